package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/wire"
)

// away is whether the clients are sent elsewhere for now: the node lives, but can do
// nothing for them.
type away struct {
	why     atomic.Pointer[chat.Problem] // nil: they may stay
	mu      sync.Mutex
	back    context.CancelFunc // ends the waves
	leaving sync.WaitGroup
}

// awaySpread is over how long the waves go, when clients are sent elsewhere: they
// wait for an answer already.
const awaySpread = 2 * time.Second

// Suspend sends the clients elsewhere until Resume. Sockets are told to move in waves,
// and closed with 4003 when they stay; long polls and streams end; whatever needs the
// store is refused with why, which is KindUnavailable. It returns at once. Again, or
// after Shutdown, it changes nothing.
func (e *Edge) Suspend(why *chat.Problem) {
	a := &e.away
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.draining.Load() || a.why.Load() != nil {
		return
	}
	var ctx context.Context
	ctx, a.back = context.WithCancel(context.Background())
	a.why.Store(why)
	sessions := e.hub.suspend(true)
	e.polls.endAll()
	a.leaving.Go(func() {
		e.letGo(ctx, sessions, awaySpread, goodbye{wire.CloseUnavailable, "not available now"})
	})
}

// Resume lets the clients in again; those who haven't been told to move stay.
func (e *Edge) Resume() {
	a := &e.away
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.why.Load() == nil {
		return
	}
	a.back()
	e.hub.suspend(false)
	a.why.Store(nil)
}

// present is nil, or why clients are sent elsewhere.
func (e *Edge) present() error {
	if why := e.away.why.Load(); why != nil {
		return why
	}
	return nil
}
