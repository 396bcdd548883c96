package jetstream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"natter/chat"
)

// Telling where a node is alone.
//
// All who write to SYNC-q are in this process then, so what they hand over is everything.
// A sequence that doesn't come is one whose answer was lost: then the teller begins again,
// and everybody looks at their queue.

// lineUp tells what is handed over in the stream's order, until a sequence is missing.
func (t *teller) lineUp(ctx context.Context) error {
	next, err := t.begin(ctx)
	if err != nil {
		return err
	}
	bytes := 0
	l := &line{next: next, early: make(map[uint64]storedEntry),
		tell: func(e storedEntry) { bytes = t.tellOf(e) },
		late: func(e storedEntry) { bytes = t.backlog.told(e.bytes) }, // all have looked since
	}
	defer func() {
		for _, e := range l.early {
			t.backlog.told(e.bytes)
		}
	}()
	var gap <-chan time.Time // while a sequence is missing
	var some []storedEntry
	waits := t.s.metrics.backlog.WithLabelValues(strconv.Itoa(t.q))
	for ; ; waits.Set(float64(bytes)) {
		select {
		case <-t.backlog.wake:
		case <-gap:
			return fmt.Errorf("nobody has stored sequence %d", l.next)
		case <-ctx.Done():
			return ctx.Err()
		}
		some, bytes = t.backlog.take(some)
		waits.Set(float64(bytes))
		reached := l.next
		for i, e := range some {
			some[i] = storedEntry{}
			l.put(e)
		}
		switch {
		case len(l.early) == 0:
			gap = nil
		case gap == nil || l.next > reached:
			gap = time.After(gapPatience)
		}
	}
}

// tellOf tells of the next entry; left is what waits behind it, in bytes.
func (t *teller) tellOf(e storedEntry) (left int) {
	_ = t.next(e.user, e.sequence, func(before uint64) error {
		t.s.followers.tell(e.user, e.sequence, before, e.read)
		return nil
	})
	return t.backlog.told(e.bytes)
}

// read is the entry's events.
func (e *storedEntry) read() ([]*chat.Event, error) {
	events := make([]*chat.Event, len(e.events))
	for i, told := range e.events {
		var err error
		if events[i], err = told.decoded(); err != nil {
			return nil, err
		}
	}
	return events, nil
}
