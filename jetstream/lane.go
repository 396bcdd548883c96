package jetstream

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// Lanes.
//
// Every partition writes to every queue stream. While SYNC-q elects a leader for seconds
// the rooms must go on, so in a cluster what a projector writes to queues goes ahead of
// its takes: each queue stream has a lane, which sends in order, on its own.
//
//	take 7   HISTORY-p ✓  MARKS-p ✓  SYNC-0 ✓  SYNC-1 …     answered, not finished
//	take 8   HISTORY-p ✓  MARKS-p ✓  SYNC-0 ✓     └ waits   answered, not finished
//	take 9   HISTORY-p …                                    its rooms are on their way
//
// Rooms' writes still go take by take: what is read of history is what was applied. That
// HISTORY-p or MARKS-p has taken a write under the projector's claim says that its states
// were right, so the take may be answered. A checkpoint is of finished takes only, and a
// projector that begins again finds in each queue, by Upto, how far it was written. A
// lane ends at the first write that fails: a later entry of the same user would say that
// all before it is there.
type lanes struct {
	fence *fence
	each  map[string]*lane

	mu    sync.Mutex
	bytes int
	freed chan struct{} // holds one token when something has landed
}

// lanesBytes bounds what is on its way to queues, of one partition. Beyond it no take
// goes on.
const lanesBytes = 8 << 20

type lane struct {
	all     *lanes
	stream  string
	backlog *backlog // of the stream's teller

	mu      sync.Mutex
	parcels []parcel
	failed  error
	wake    chan struct{} // holds one token when there are parcels
}

// parcel is what a take writes to one stream.
type parcel struct {
	take     *take
	messages []*nats.Msg
	entries  []storedEntry // of the messages
	bytes    int
	note     func(*take, uint64)
}

// newLanes has a lane for each queue stream until ctx ends.
func (p *projector) newLanes(ctx context.Context) *lanes {
	all := &lanes{fence: p.fence, each: make(map[string]*lane, p.s.o.Partitions), freed: make(chan struct{}, 1)}
	for q := range p.s.o.Partitions {
		l := &lane{all: all, stream: numbered(streamSync, q), backlog: p.s.tellers[q].backlog, wake: make(chan struct{}, 1)}
		all.each[l.stream] = l
		p.s.goes(func() { l.run(ctx) })
	}
	return all
}

// room waits until more may be on its way.
func (a *lanes) room(ctx context.Context) error {
	for {
		a.mu.Lock()
		full := a.bytes >= lanesBytes
		a.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-a.freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (a *lanes) count(bytes int) {
	a.mu.Lock()
	a.bytes += bytes
	a.mu.Unlock()
	if bytes < 0 {
		select {
		case a.freed <- struct{}{}:
		default:
		}
	}
}

// add has a parcel sent after those before it.
func (l *lane) add(in parcel) {
	l.all.count(in.bytes)
	l.mu.Lock()
	failed := l.failed
	if failed == nil {
		l.parcels = append(l.parcels, in)
	}
	l.mu.Unlock()
	if failed != nil {
		l.landed([]parcel{in}, 0, failed)
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run sends what there is, until ctx ends.
func (l *lane) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		for some := l.take(); len(some) > 0; some = l.take() {
			sequence, told, err := l.send(ctx, some)
			l.landed(some, sequence, err)
			if err != nil {
				l.landed(l.fail(err), 0, err)
				return
			}
			if !told {
				l.all.fence.p.s.grew(l.all.fence.p.out, l.stream, sequence)
			}
		}
	}
}

// send writes parcels, and hands over what is stored to the stream's teller if that works
// here: told.
func (l *lane) send(ctx context.Context, some []parcel) (last uint64, told bool, err error) {
	var messages []*nats.Msg
	var entries []storedEntry
	for _, in := range some {
		messages = append(messages, in.messages...)
		entries = append(entries, in.entries...)
	}
	l.backlog.expect(1)
	defer l.backlog.expect(-1)
	handed := 0
	last, err = l.all.fence.put(ctx, l.stream, messages, func(from, to int, last uint64) {
		if l.backlog.add(placed(entries[from:to], last)...) {
			handed += to - from
		}
	})
	return last, handed == len(messages), err
}

// placed gives entries that a stream took one behind the other their sequences; last is that
// of the last.
func placed(entries []storedEntry, last uint64) []storedEntry {
	for i := range entries {
		entries[i].sequence = last - uint64(len(entries)-1-i)
	}
	return entries
}

// take is the next parcels, about a chunk of them; whole ones, at least one if there is
// any.
func (l *lane) take() []parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, messages, bytes := 0, 0, 0
	for n < len(l.parcels) {
		messages += len(l.parcels[n].messages)
		bytes += l.parcels[n].bytes
		if n > 0 && (messages > chunkMessages || bytes > chunkBytes) {
			break
		}
		n++
	}
	some := l.parcels[:n:n]
	if l.parcels = l.parcels[n:]; len(l.parcels) == 0 {
		l.parcels = nil
	}
	return some
}

// landed tells the takes of some. The sequence is where the last of them ends: those
// before it end somewhere before, and a checkpoint of theirs may well know less.
func (l *lane) landed(some []parcel, sequence uint64, err error) {
	for i, in := range some {
		note := in.note
		if i < len(some)-1 {
			note = func(*take, uint64) {}
		}
		l.all.count(-in.bytes)
		in.take.acked(note, sequence, err)
	}
}

// fail ends the lane, and returns what waits in it.
func (l *lane) fail(err error) []parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.parcels
	l.failed, l.parcels = err, nil
	return rest
}
