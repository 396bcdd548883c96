package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"natter/edge"
)

// How a start looks from outside. Clients that come in its first moments wait in
// the kernel: that is quicker for them than being sent away, and a node alone is
// ready in a second. From then on, and in a cluster at once, they are told.
const (
	earlyAfter = 2 * time.Second
	// earlyLeave is what connections that say nothing have when the edge takes over.
	earlyLeave = 250 * time.Millisecond
	// reminder is how often a start that waits for the same thing says so again.
	reminder = time.Minute
)

// early serves on the node's listener until the edge does.
type early struct {
	server *http.Server
	loan   *loan
	over   chan struct{} // closed by end
	once   sync.Once
	done   sync.WaitGroup
}

// startEarly begins after a while.
func startEarly(l *listener, secure *tls.Config, after time.Duration, log *slog.Logger) *early {
	e := &early{over: make(chan struct{}), loan: &loan{listener: l}}
	e.server = &http.Server{Handler: edge.Early(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	front := net.Listener(e.loan)
	if secure != nil {
		front = tls.NewListener(front, secure)
	}
	e.done.Go(func() {
		select {
		case <-time.After(after):
			_ = e.server.Serve(front) // only end ends it; another error is the edge's to meet
		case <-e.over:
		}
	})
	return e
}

// end gives the listener back, open as it was. Again it does nothing.
func (e *early) end() {
	e.once.Do(func() {
		close(e.over)
		ctx, cancel := context.WithTimeout(context.Background(), earlyLeave)
		defer cancel()
		if e.server.Shutdown(ctx) != nil {
			_ = e.server.Close()
		}
		_ = e.loan.Close() // if it never served, the server doesn't know it
		e.done.Wait()
		e.loan.giveBack()
	})
}

// loan is the node's listener for a while: closing it only ends Accept.
type loan struct{ *listener }

// Accept implements net.Listener.
func (l *loan) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = net.ErrClosed
	}
	return c, err
}

// Close implements net.Listener.
func (l *loan) Close() error { return l.deadline(time.Unix(1, 0)) }

func (l *loan) giveBack() { _ = l.deadline(time.Time{}) }

func (l *loan) deadline(t time.Time) error {
	inner, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return errors.New("a listener without deadlines can't be lent")
	}
	return inner.SetDeadline(t)
}

// stage is what a start waits for: one line at a time in the log, and the reason
// of /readyz. Its methods are safe for concurrent use.
type stage struct {
	log   *slog.Logger
	level slog.Level

	mu   sync.Mutex
	now  string
	told time.Time
}

// is says what the start waits for now. It may be called again and again.
func (s *stage) is(what string) {
	s.mu.Lock()
	at := time.Now()
	tell := what != s.now || at.Sub(s.told) > reminder
	if tell {
		s.now, s.told = what, at
	}
	s.mu.Unlock()
	if tell {
		s.log.Log(context.Background(), s.level, what)
	}
}

func (s *stage) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}
