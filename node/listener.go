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

	mu     sync.Mutex
	silent map[*tcpConn]struct{} // those that have not sent a byte
}

func newListener(inner net.Listener, most int, log *slog.Logger) *listener {
	return &listener{Listener: inner, log: log, slots: make(chan struct{}, most), done: make(chan struct{}), silent: map[*tcpConn]struct{}{}}
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
				return l.wait(&tcpConn{TCPConn: tcp, l: l}), nil
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

// wait notes that c has said nothing yet.
func (l *listener) wait(c *tcpConn) *tcpConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent[c] = struct{}{}
	return c
}

func (l *listener) spoke(c *tcpConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.silent, c)
}

// hush closes the connections that have not sent a byte, until told to stop. The
// HTTP server knows those as busy, and a stop would wait for them: browsers and
// HTTP clients open one more than they need at times, and keep it.
func (l *listener) hush(stop <-chan struct{}) {
	tick := time.NewTicker(hushEvery)
	defer tick.Stop()
	for {
		l.mu.Lock()
		var silent []*tcpConn
		for c := range l.silent {
			silent = append(silent, c)
		}
		l.mu.Unlock()
		for _, c := range silent {
			_ = c.Close() // whatever it says, it is gone
		}
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

// hushEvery is how often a stop looks for them: some may still be in the kernel's
// queue when it begins.
const hushEvery = 50 * time.Millisecond

// tcpConn frees its place when it closes. It stays a TCP connection to those
// who look (SyscallConn, ReadFrom).
type tcpConn struct {
	*net.TCPConn
	l     *listener
	heard bool // the reader's own
	once  sync.Once
}

// Read implements net.Conn.
func (c *tcpConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 && !c.heard {
		c.heard = true
		c.l.spoke(c)
	}
	return n, err
}

func (c *tcpConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() {
		c.l.spoke(c)
		c.l.release()
	})
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
