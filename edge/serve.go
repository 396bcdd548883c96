package edge

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"natter/wire"
)

// Serve answers on ln until Shutdown or until ln fails for good. It may be
// called for several listeners.
func (e *Edge) Serve(ln net.Listener) error {
	err := e.server.Serve(newListener(ln, e.MaxConnections))
	if e.draining.Load() {
		return nil
	}
	return err
}

// Shutdown lets the clients go: it tells every socket where to connect to,
// gives them a moment to do so, closes what is left with 4000, and returns when
// every session and every request has ended, or with ctx's error.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.draining.Store(true)
	e.drain() // long polls and streams answer and end
	e.farewell(ctx)
	sessions := make(chan struct{})
	go func() {
		e.hub.all.Wait()
		close(sessions)
	}()
	err := e.server.ShutdownWithContext(ctx)
	select {
	case <-sessions:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	e.roster.close()
	return err
}

// farewell sends move, waits for the sockets to leave if there is somewhere to
// go, and closes the rest.
func (e *Edge) farewell(ctx context.Context) {
	var others []wire.Node
	for _, n := range e.Nodes("") {
		if n.ID != e.NodeID {
			others = append(others, n)
		}
	}
	frame := wire.Encode(&wire.Move{Nodes: others, WithinMS: drainWithin.Milliseconds()})
	sessions := e.hub.shut()
	for _, s := range sessions {
		s.put(frame)
	}
	if len(others) > 0 {
		ctx, cancel := context.WithTimeout(ctx, drainWithin)
		defer cancel()
		for _, s := range sessions {
			select {
			case <-s.life.Done():
			case <-ctx.Done():
			}
		}
	}
	for _, s := range e.hub.sessions() {
		s.close(wire.CloseDraining, "the node is draining")
	}
}

// listener bounds the open connections, and survives the process running out of
// files: fasthttp takes any error that isn't a time-out for the end.
type listener struct {
	net.Listener
	slots chan struct{} // one for each open connection
	done  chan struct{}
	once  sync.Once
}

// acceptPause is how long accepting rests when the system has no more files.
const acceptPause = 50 * time.Millisecond

func newListener(ln net.Listener, most int) *listener {
	return &listener{Listener: ln, slots: make(chan struct{}, most), done: make(chan struct{})}
}

// Accept waits for a free slot, then for a connection. Beyond the bound clients
// wait in the kernel's queue, and beyond that are refused by it.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &counted{Conn: c, free: func() { <-l.slots }}, nil
		}
		if !passing(err) {
			<-l.slots
			return nil, err
		}
		select {
		case <-time.After(acceptPause):
		case <-l.done:
			<-l.slots
			return nil, net.ErrClosed
		}
	}
}

// Close ends Accept.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// passing tells whether accepting may succeed a moment later.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM, os.ErrDeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// counted frees its slot when it is closed, once.
type counted struct {
	net.Conn
	once sync.Once
	free func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free)
	return err
}
