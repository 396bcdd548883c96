package node

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// listener accepts at most so many connections at once; the next ones wait in
// the kernel's queue until one closes. When the system is out of something
// (descriptors above all) it waits and goes on: the accept loop above it would
// end for ever on such an error.
type listener struct {
	net.Listener
	log   *slog.Logger
	slots chan struct{}
	done  chan struct{} // closed by Close
	once  sync.Once
}

func newListener(inner net.Listener, most int, log *slog.Logger) *listener {
	return &listener{Listener: inner, log: log, slots: make(chan struct{}, most), done: make(chan struct{})}
}

// The wait after a failed accept: doubled from first to most.
const (
	firstBackoff = 5 * time.Millisecond
	mostBackoff  = time.Second
)

// Accept implements net.Listener. After Close it fails with net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	for backoff := firstBackoff; ; backoff = min(2*backoff, mostBackoff) {
		inner, err := l.Listener.Accept()
		if err == nil {
			if tcp, ok := inner.(*net.TCPConn); ok {
				return &tcpConn{TCPConn: tcp, release: l.release}, nil
			}
			return &plainConn{Conn: inner, release: l.release}, nil
		}
		if errors.Is(err, net.ErrClosed) || !exhausted(err) {
			l.release()
			return nil, err
		}
		if backoff == firstBackoff {
			l.log.Error("no connection can be accepted now; trying on", "err", err)
		}
		select {
		case <-time.After(backoff):
		case <-l.done:
			l.release()
			return nil, net.ErrClosed
		}
	}
}

// Close implements net.Listener. Connections stay open.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

func (l *listener) release() { <-l.slots }

// open is how many connections are open.
func (l *listener) open() int { return len(l.slots) }

// tcpConn frees its place when it closes. It stays a TCP connection to those
// who look (SyscallConn, ReadFrom).
type tcpConn struct {
	*net.TCPConn
	release func()
	once    sync.Once
}

func (c *tcpConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(c.release)
	return err
}

type plainConn struct {
	net.Conn
	release func()
	once    sync.Once
}

func (c *plainConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}
