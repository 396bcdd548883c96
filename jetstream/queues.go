package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"natter/chat"
)

// queues is the chat.Queues of a Store.
type queues struct{ s *Store }

// Head implements chat.Queues.
func (q queues) Head(ctx context.Context, u chat.UserID) (chat.Cursor, error) {
	n := q.s.userPartition(u)
	stream := numbered(streamSync, n)
	found, err := q.s.reader.many(ctx, stream, ask{MultiLast: []string{subjectSync(n, u)}})
	if err != nil {
		return chat.Cursor{}, err
	}
	head := chat.Cursor{Epoch: q.s.epochs.current(), Seq: found.UpTo}
	for _, m := range found.Messages {
		head.Seq = max(head.Seq, m.Sequence)
	}
	if head.Seq != 0 {
		return head, nil
	}
	// Nothing of this user: after everything there is, so that retention passing
	// an empty queue never looks like a loss.
	_, head.Seq, err = q.s.bounds(ctx, stream)
	return head, err
}

// Read implements chat.Queues.
func (q queues) Read(ctx context.Context, u chat.UserID, c chat.Cursor, limit int) (chat.Batch, error) {
	n := q.s.userPartition(u)
	stream := numbered(streamSync, n)
	at, err := q.s.epochs.clamp(c, n)
	if err != nil {
		return q.younger(ctx, u)
	}
	// Another node told the device of what this one has yet to hear of.
	if there, err := q.s.reaches(ctx, stream, at.Seq); err != nil {
		return chat.Batch{}, err
	} else if !there {
		if err := q.s.certain(ctx); err != nil {
			return chat.Batch{}, err
		}
		// What this node knew may have been what one that was cut off knew.
		if there, err := q.s.reaches(ctx, stream, at.Seq); err != nil || !there {
			return q.resetUnless(ctx, u, err)
		}
	}
	from := at.Seq + 1
	if at.Place > 0 {
		from = at.Seq
	}
	found, err := q.s.reader.many(ctx, stream, ask{Seq: max(from, 1), NextFor: subjectSync(n, u), Batch: min(max(limit, 1), readPage)})
	if err != nil {
		return chat.Batch{}, err
	}
	// Entries leave a queue by age only, oldest of the stream first. So if the
	// cursor's own sequence is still there, nothing after it has gone.
	kept, err := q.kept(ctx, stream, at.Seq)
	if err != nil {
		return chat.Batch{}, err
	}
	if !kept {
		return q.reset(ctx, u)
	}
	batch := chat.Batch{At: at, More: found.More}
	for _, m := range found.Messages {
		entry, err := q.s.decodeEntry(m)
		if err != nil {
			return chat.Batch{}, err
		}
		batch.Entries = append(batch.Entries, *entry)
	}
	return batch, nil
}

func (q queues) kept(ctx context.Context, stream string, sequence uint64) (bool, error) {
	if sequence > 0 {
		_, err := q.s.reader.one(ctx, stream, ask{Seq: sequence})
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, errNone) {
			return false, err
		}
	}
	// Either the very beginning, or gone by age, or never there.
	first, last, err := q.s.bounds(ctx, stream)
	if err != nil {
		return false, err
	}
	floor, _ := q.s.floors.of(stream) // a follower may have applied what the leader has yet to
	return sequence+1 >= first && sequence <= max(last, floor), nil
}

// younger resets a cursor of an epoch that isn't known here, if a node that knows
// less than the others can't be why.
func (q queues) younger(ctx context.Context, u chat.UserID) (chat.Batch, error) {
	return q.resetUnless(ctx, u, q.s.certain(ctx))
}

func (q queues) resetUnless(ctx context.Context, u chat.UserID, err error) (chat.Batch, error) {
	if err != nil {
		return chat.Batch{}, err
	}
	return q.reset(ctx, u)
}

// certain is nil when this node is not cut off from the others.
func (s *Store) certain(ctx context.Context) error {
	if s.o.Certain == nil {
		return nil
	}
	return s.o.Certain(ctx)
}

func (q queues) reset(ctx context.Context, u chat.UserID) (chat.Batch, error) {
	head, err := q.Head(ctx, u)
	return chat.Batch{At: head, Reset: true}, err
}

// sinceSlack covers the difference of two nodes' clocks and an edit's delay.
const sinceSlack = 2 * time.Minute

// Since implements chat.Queues.
func (q queues) Since(ctx context.Context, u chat.UserID, id chat.MessageID) (chat.Cursor, error) {
	n := q.s.userPartition(u)
	start := id.Time().Time().Add(-sinceSlack)
	found, err := q.s.reader.many(ctx, numbered(streamSync, n), ask{NextFor: subjectSync(n, u), StartTime: &start, Batch: 1})
	if err != nil {
		return chat.Cursor{}, err
	}
	if len(found.Messages) == 0 {
		return q.Head(ctx, u)
	}
	return chat.Cursor{Epoch: q.s.epochs.current(), Seq: found.Messages[0].Sequence - 1}, nil
}

// decodeEntry reads a stored entry of a queue.
func (s *Store) decodeEntry(m stored) (*chat.Entry, error) {
	events, err := s.decodeEvents(m.Data)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", m.Subject, m.Sequence, err)
	}
	return &chat.Entry{Cursor: chat.Cursor{Epoch: s.epochs.current(), Seq: m.Sequence}, Events: events}, nil
}

// decodeEvents reads the events of a stored entry of a queue.
func (s *Store) decodeEvents(data []byte) ([]*chat.Event, error) {
	var rec queueEntry
	if err := decode(data, &rec); err != nil {
		return nil, err
	}
	events := make([]*chat.Event, len(rec.Events))
	for i, raw := range rec.Events {
		var err error
		if events[i], err = s.events.decode(raw); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// eventCache remembers lately decoded events by their stored bytes: a message
// to a room of a hundred is decoded once a node, and its receivers share the
// pointer, by which the edge in turn shares the encoded frame.
type eventCache struct {
	seed maphash.Seed
	// A slot is overwritten by whatever hashes to it.
	slots [eventSlots]struct {
		mu    sync.Mutex
		raw   []byte
		event *chat.Event
	}
}

const eventSlots = 512

func newEventCache() *eventCache { return &eventCache{seed: maphash.MakeSeed()} }

func (c *eventCache) decode(raw []byte) (*chat.Event, error) {
	slot := &c.slots[maphash.Bytes(c.seed, raw)%eventSlots]
	slot.mu.Lock()
	if string(slot.raw) == string(raw) && slot.event != nil {
		event := slot.event
		slot.mu.Unlock()
		return event, nil
	}
	slot.mu.Unlock()
	event, err := decodeEvent(raw)
	if err != nil {
		return nil, err
	}
	slot.mu.Lock()
	slot.raw, slot.event = bytes.Clone(raw), event // not the whole entry
	slot.mu.Unlock()
	return event, nil
}

func decodeEvent(raw []byte) (*chat.Event, error) {
	event := new(chat.Event)
	if err := decoding.Unmarshal(raw, event); err != nil {
		return nil, err
	}
	if event.Message != nil {
		event.Message.Room = event.Room
	}
	return event, nil
}
