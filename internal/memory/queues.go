package memory

import (
	"context"
	"slices"
	"sync"

	"natter/chat"
)

// Queues is chat.Queues in memory. An entry holds what one command told one
// person. Safe for concurrent use.
type Queues struct {
	mu     sync.Mutex
	queues map[chat.UserID]*queue
}

// queue is one person's: entries[i] has sequence gone+i+1.
type queue struct {
	entries   [][]*chat.Event
	gone      uint64 // entries dropped from the front
	epoch     uint64
	opened    uint64 // the last sequence when the present epoch began
	followers map[*follower]struct{}
}

// follower guards deliver, so that it isn't called after stop.
type follower struct {
	mu      sync.Mutex
	deliver func(*chat.Entry)
}

func (f *follower) tell(e *chat.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deliver != nil {
		f.deliver(e)
	}
}

// NewQueues holds nothing.
func NewQueues() *Queues { return &Queues{queues: map[chat.UserID]*queue{}} }

// Head implements chat.Queues.
func (q *Queues) Head(ctx context.Context, u chat.UserID) (chat.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return chat.Cursor{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.of(u).head(), nil
}

// Read implements chat.Queues. An entry comes whole, also the one in whose
// middle c is: who reads skips the first c.Place events of entry c.Seq.
func (q *Queues) Read(ctx context.Context, u chat.UserID, c chat.Cursor, limit int) (chat.Batch, error) {
	if err := ctx.Err(); err != nil {
		return chat.Batch{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.of(u)
	if c.Epoch < queue.epoch && c.Seq > queue.opened {
		c = chat.Cursor{Seq: queue.opened}
	}
	next := c.Seq + 1 // the first sequence to read
	if c.Place != 0 {
		next = c.Seq
	}
	if c.Epoch > queue.epoch || c.Seq > queue.last() || next <= queue.gone {
		return chat.Batch{At: queue.head(), Reset: true}, nil
	}
	c.Epoch = queue.epoch
	b := chat.Batch{At: c}
	for ; next <= queue.last() && len(b.Entries) < limit; next++ {
		b.Entries = append(b.Entries, chat.Entry{
			Cursor: chat.Cursor{Epoch: queue.epoch, Seq: next},
			Events: slices.Clone(queue.entries[next-queue.gone-1]),
		})
	}
	b.More = next <= queue.last()
	return b, nil
}

// Since implements chat.Queues.
func (q *Queues) Since(ctx context.Context, u chat.UserID, id chat.MessageID) (chat.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return chat.Cursor{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.of(u)
	for i, events := range queue.entries {
		for _, e := range events {
			if e.Message != nil && e.Message.ID > id {
				return chat.Cursor{Epoch: queue.epoch, Seq: queue.gone + uint64(i)}, nil
			}
		}
	}
	return queue.head(), nil
}

// Follow implements chat.Queues.
func (q *Queues) Follow(u chat.UserID, deliver func(*chat.Entry)) (func(), error) {
	f := &follower{deliver: deliver}
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.of(u)
	queue.followers[f] = struct{}{}
	return func() {
		q.mu.Lock()
		delete(queue.followers, f)
		q.mu.Unlock()
		f.mu.Lock()
		f.deliver = nil
		f.mu.Unlock()
	}, nil
}

// Forget drops all entries of u but the last keep, as the age limit does.
func (q *Queues) Forget(u chat.UserID, keep int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.of(u)
	if n := len(queue.entries) - keep; n > 0 {
		queue.entries, queue.gone = slices.Clone(queue.entries[n:]), queue.gone+uint64(n)
	}
}

// Crash takes back the last n entries of u, as an unclean stop of a single node
// may, and opens a new epoch.
func (q *Queues) Crash(u chat.UserID, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.of(u)
	queue.entries = queue.entries[:max(len(queue.entries)-n, 0)]
	queue.epoch++
	queue.opened = queue.last()
}

// Nudge says "look at the queue" to all followers of u.
func (q *Queues) Nudge(u chat.UserID) {
	q.mu.Lock()
	followers := q.of(u).following()
	q.mu.Unlock()
	for _, f := range followers {
		f.tell(nil)
	}
}

// add puts events into the queues of those they are addressed to, one entry a
// person, and returns what is to be told once the caller's lock is open.
func (q *Queues) add(events []chat.Addressed) []func() {
	if len(events) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	per := map[chat.UserID][]*chat.Event{}
	for _, a := range events {
		for _, u := range a.To {
			per[u] = append(per[u], &a.Event)
		}
	}
	var tell []func()
	for u, events := range per {
		queue := q.of(u)
		entry := &chat.Entry{Prev: queue.last(), Events: events}
		queue.entries = append(queue.entries, events)
		entry.Cursor = queue.head()
		for _, f := range queue.following() {
			tell = append(tell, func() { f.tell(entry) })
		}
	}
	return tell
}

func (q *Queues) of(u chat.UserID) *queue {
	found := q.queues[u]
	if found == nil {
		found = &queue{epoch: 1, followers: map[*follower]struct{}{}}
		q.queues[u] = found
	}
	return found
}

func (q *queue) last() uint64 { return q.gone + uint64(len(q.entries)) }

func (q *queue) head() chat.Cursor { return chat.Cursor{Epoch: q.epoch, Seq: q.last()} }

func (q *queue) following() []*follower {
	all := make([]*follower, 0, len(q.followers))
	for f := range q.followers {
		all = append(all, f)
	}
	return all
}
