package jetstream

import (
	"context"
	"sync"
	"time"

	"natter/chat"
)

// backlog is what projectors of this node have stored in a queue stream and its teller has
// yet to tell. Each learns from the stream which sequence its entry has, so nobody needs to
// read the stream to know the order of those: the projectors hand them over, and the teller
// lines them up.
//
//	projector-0   entry of a is 7 ──┐            next 7
//	projector-1   entry of b is 9 ──┼─▶ backlog ─▶ tells 7; 9 waits
//	projector-1   entry of a is 8 ──┘             ─▶ tells 8 (before: 7), 9
//
// Safe for concurrent use.
type backlog struct {
	mu     sync.Mutex
	shut   bool // nobody tells here
	under  int  // writes that are under way to the stream, in a cluster
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
	data     []byte // as it is stored; of a cluster, for the sessions of other nodes
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

// open has entries taken, or no longer: what waits is forgotten then, and nobody waits for
// room.
func (b *backlog) open(is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stored, b.bytes, b.shut = nil, 0, !is
	b.freeLocked()
}

// add hands over entries; false: nobody tells here. It doesn't block.
func (b *backlog) add(entries ...storedEntry) bool {
	b.mu.Lock()
	shut := b.shut
	if !shut {
		b.stored = append(b.stored, entries...)
		for i := range entries {
			b.bytes += entries[i].bytes
		}
	}
	b.mu.Unlock()
	if !shut {
		b.nudge()
	}
	return !shut
}

// expect counts the writes that are under way, whose entries may yet be handed over.
func (b *backlog) expect(more int) {
	b.mu.Lock()
	b.under += more
	none := b.under == 0
	b.mu.Unlock()
	if none {
		b.nudge()
	}
}

// expects tells whether any is.
func (b *backlog) expects() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.under > 0
}

func (b *backlog) nudge() {
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
		b.freeLocked()
	}
	return b.bytes
}

func (b *backlog) freeLocked() {
	close(b.freed)
	b.freed = make(chan struct{})
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

// line is what a teller was handed over, on its way into the stream's order.
type line struct {
	next  uint64 // the sequence that is told next
	early map[uint64]storedEntry
	tell  func(storedEntry)
	late  func(storedEntry) // of what was told already
}

// put takes in an entry, and has it told, with those that waited for it, if it is next.
func (l *line) put(e storedEntry) {
	switch {
	case e.sequence < l.next:
		l.late(e)
		return
	case e.sequence > l.next:
		l.early[e.sequence] = e
		return
	}
	for waits := true; waits; e, waits = l.early[l.next] {
		delete(l.early, l.next)
		l.tell(e)
		l.next++
	}
}

// pass has told what is early up to before sequence, which is the next the stream has: what
// is missing there isn't in it, or is for nobody.
func (l *line) pass(sequence uint64) {
	for l.next < sequence && len(l.early) > 0 {
		if e, ok := l.early[l.next]; ok {
			l.put(e)
			continue
		}
		l.next = min(sequence, l.ahead())
	}
	l.next = max(l.next, sequence)
	if e, ok := l.early[l.next]; ok {
		delete(l.early, l.next)
		l.put(e)
	}
}

// ahead is the first sequence that is early; 0: none is.
func (l *line) ahead() (first uint64) {
	for n := range l.early {
		if first == 0 || n < first {
			first = n
		}
	}
	return first
}
