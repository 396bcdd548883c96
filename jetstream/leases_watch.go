package jetstream

import (
	"context"
	"sync/atomic"
	"time"

	"natter/chat"
)

// leaseWatch is one Watch.
type leaseWatch struct {
	l      *leases
	filter string
	told   func(chat.LeaseChange)
	again  chan struct{} // the stream has lost what it held

	// Of the watchers, one after the other.
	seen  atomic.Uint64
	ready atomic.Bool // what was there at the beginning is told
	since time.Time   // since when there is none
}

// leaseSilence is how long the watch may have no consumer and go on where it was. What
// went away meanwhile must still be there as a marker.
const leaseSilence = leaseMarker / 2

// Watch implements chat.Leases.
func (l *leases) Watch(ctx context.Context, prefix string, told func(chat.LeaseChange)) error {
	if err := ctx.Err(); err != nil {
		return unavailable("watch", prefix, err)
	}
	w := &leaseWatch{l: l, filter: l.prefix + ">", told: told, again: make(chan struct{}, 1)}
	if prefix != "" {
		w.filter = l.prefix + prefix + ".>"
	}
	running, err := w.begin(ctx, chat.LeaseChange{Kind: chat.LeaseBegan})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.watches[w] = struct{}{}
	l.mu.Unlock()
	l.s.goes(func() {
		l.s.keepWatching(ctx, running, w.again, w.next)
		l.mu.Lock()
		delete(l.watches, w)
		l.mu.Unlock()
	})
	return nil
}

// next begins again, where the last watcher was if it can.
func (w *leaseWatch) next(ctx context.Context, lost bool) (*watcher, error) {
	if w.since.IsZero() {
		w.since = time.Now()
	}
	var next *watcher
	var err error
	if after := w.seen.Load(); !lost && w.ready.Load() && after > 0 && time.Since(w.since) < leaseSilence {
		next, err = w.from(ctx, after, func() {})
	} else {
		next, err = w.begin(ctx, chat.LeaseChange{Kind: chat.LeaseBegan, Lost: lost})
	}
	if err == nil {
		w.since = time.Time{}
	}
	return next, err
}

// begin tells everything that is there.
func (w *leaseWatch) begin(ctx context.Context, began chat.LeaseChange) (*watcher, error) {
	w.seen.Store(0)
	w.ready.Store(false)
	return w.from(ctx, 0, func() { w.told(began) })
}

// from tells what comes after a sequence; 0 is everything that is there, after began.
func (w *leaseWatch) from(ctx context.Context, after uint64, began func()) (*watcher, error) {
	next, err := w.l.s.watcher(ctx, w.l.stream, w.filter, after)
	if err != nil {
		return nil, unavailable("watch", w.filter, err)
	}
	began()
	told := func(pending uint64) {
		if pending == 0 && w.ready.CompareAndSwap(false, true) {
			w.told(chat.LeaseChange{Kind: chat.LeaseReady})
		}
	}
	told(next.pending)
	if err := next.hear(func(msg heard) {
		w.l.reached(msg.sequence)
		w.seen.Store(msg.sequence)
		w.told(changeOf(msg.Subject()[len(w.l.prefix):], msg.Headers(), msg.Data(), msg.sequence))
		told(msg.pending)
	}); err != nil {
		return nil, unavailable("watch", w.filter, err)
	}
	return next, nil
}
