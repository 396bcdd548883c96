package jetstream

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"natter/chat"
)

// Telling where a node is alone.
//
// All who write to SYNC-q are in this process then, and each learns from the stream which
// sequence its entry has. So nobody needs to read the stream to know its order: the
// projectors hand over what is stored, and the teller lines it up.
//
//	projector-0   entry of a is 7 ──┐            next 7
//	projector-1   entry of b is 9 ──┼─▶ backlog ─▶ tells 7; 9 waits
//	projector-1   entry of a is 8 ──┘             ─▶ tells 8 (before: 7), 9
//
// A sequence that doesn't come is one whose answer was lost: then the teller begins again,
// and everybody looks at their queue.
type backlog struct {
	mu     sync.Mutex
	stored []storedEntry
	bytes  int           // of what was handed over and isn't told
	freed  chan struct{} // closed and replaced when there is room again
	wake   chan struct{} // holds one token when there is something
}

// storedEntry is an entry that a stream has taken.
type storedEntry struct {
	sequence uint64
	user     chat.UserID
	events   []*event
	bytes    int
}

const (
	// backlogBytes bounds what waits to be told of one queue stream. Beyond it
	// projectors wait, and so do at last those who send.
	backlogBytes = 8 << 20
	// gapPatience is how long a sequence may be missing. A stream answers in its order.
	gapPatience = time.Second
)

// event is an event of a take on its way to many queues. It is read once for all who
// follow them, from what is stored, so that they share one pointer.
type event struct {
	raw  []byte
	once sync.Once
	read *chat.Event
	err  error
}

func (e *event) decoded() (*chat.Event, error) {
	e.once.Do(func() { e.read, e.err = decodeEvent(e.raw) })
	return e.read, e.err
}

func newBacklog() *backlog {
	return &backlog{freed: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// add hands over an entry. It doesn't block.
func (b *backlog) add(e storedEntry) {
	b.mu.Lock()
	b.stored = append(b.stored, e)
	b.bytes += e.bytes
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // it is known
	}
}

// take is all that was handed over since the last time, and what now waits in bytes.
func (b *backlog) take(into []storedEntry) (some []storedEntry, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	some, b.stored = b.stored, into[:0]
	return some, b.bytes
}

// told makes room for others; left is what still waits, in bytes.
func (b *backlog) told(bytes int) (left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.bytes >= backlogBytes
	if b.bytes -= bytes; full && b.bytes < backlogBytes {
		close(b.freed)
		b.freed = make(chan struct{})
	}
	return b.bytes
}

// room waits until more may be handed over.
func (b *backlog) room(ctx context.Context) error {
	for {
		b.mu.Lock()
		full, freed := b.bytes >= backlogBytes, b.freed
		b.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lineUp tells what is handed over in the stream's order, until a sequence is missing.
func (t *teller) lineUp(ctx context.Context) error {
	next, err := t.begin(ctx)
	if err != nil {
		return err
	}
	early := make(map[uint64]storedEntry)
	defer func() {
		for _, e := range early {
			t.backlog.told(e.bytes)
		}
	}()
	var gap <-chan time.Time // while a sequence is missing
	var some []storedEntry
	waits := t.s.metrics.backlog.WithLabelValues(strconv.Itoa(t.q))
	for bytes := 0; ; waits.Set(float64(bytes)) {
		select {
		case <-t.backlog.wake:
		case <-gap:
			return fmt.Errorf("nobody has stored sequence %d", next)
		case <-ctx.Done():
			return ctx.Err()
		}
		some, bytes = t.backlog.take(some)
		waits.Set(float64(bytes))
		reached := next
		for i, e := range some {
			some[i] = storedEntry{}
			switch {
			case e.sequence < next: // all have looked since
				bytes = t.backlog.told(e.bytes)
				continue
			case e.sequence > next:
				early[e.sequence] = e
				continue
			}
			for waits := true; waits; e, waits = early[next] {
				delete(early, next)
				bytes = t.tellOf(e)
				next++
			}
		}
		switch {
		case len(early) == 0:
			gap = nil
		case gap == nil || next > reached:
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
