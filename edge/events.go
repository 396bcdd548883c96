package edge

import (
	"context"
	"runtime"
	"sync"
	"time"

	"natter/chat"
	"natter/wire"
)

// encoder turns events into JSON, once for everybody where everybody gets the
// same.
type encoder struct {
	e *Edge

	mu sync.Mutex
	// fresh holds new messages by id: a message as it was sent never changes, so
	// all members' queues carry the same. ring tells whose turn it is to go.
	fresh map[chat.MessageID][]byte
	ring  []chat.MessageID
	next  int
}

// messageOverhead is about what a message's event has beside its text.
const messageOverhead = 320

// The cache holds a busy second's messages, about 1 MB and never more than
// freshMessages x freshBytes = 8 MB; a longer one is encoded for each receiver.
const (
	freshMessages = 2048
	freshBytes    = 4096
)

func newEncoder(e *Edge) *encoder {
	return &encoder{e: e, fresh: map[chat.MessageID][]byte{}, ring: make([]chat.MessageID, freshMessages)}
}

// encode is the event in JSON as viewer gets it; nil if there is nothing to
// tell. wait tells that it can't be made without waiting for a store, and then
// nothing was made: encodeSlow makes it. Whoever gets the bytes only reads them.
func (c *encoder) encode(viewer chat.UserID, ev *chat.Event) (json []byte, wait bool) {
	switch ev.Type {
	case chat.EventMessage, chat.EventEdited, chat.EventDeleted, chat.EventReaction:
		return c.message(ev), false
	case chat.EventRoom:
		if ev.Snapshot == nil {
			return nil, false
		}
		room := c.e.wireRoom(viewer, ev.Snapshot)
		return wire.Marshal(&wire.Event{Type: ev.Type, Room: &room}), false
	case chat.EventContact, chat.EventBlock:
		return c.pair(viewer, ev)
	case chat.EventProfile, chat.EventSettings:
		return nil, true // changed on another node, it may not be in this one's memory yet
	}
	return wire.Marshal(&wire.Event{
		Type: ev.Type, RoomID: ev.Room, UserID: ev.User, Seq: ev.Seq,
		Change: ev.Change, Role: ev.Role, MemberCount: ev.Count, DeviceID: ev.Device,
		Draft: wireDraft(ev.Draft),
	}), false
}

// encodeSlow is encode for who may wait.
func (c *encoder) encodeSlow(ctx context.Context, viewer chat.UserID, ev *chat.Event) ([]byte, error) {
	json, wait := c.encode(viewer, ev)
	if !wait {
		return json, nil
	}
	if ev.Pair != nil {
		return c.pairSlow(ctx, viewer, ev)
	}
	if ev.Type == chat.EventProfile {
		u, ok, err := c.e.Auth.Current(ctx, ev.User)
		if err != nil || !ok {
			return nil, err
		}
		user := wireUser(u)
		return wire.Marshal(&wire.Event{Type: ev.Type, User: &user}), nil
	}
	p, err := c.e.Auth.Profile(ctx, viewer)
	if chat.KindOf(err) == chat.KindNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&wire.Event{
		Type: ev.Type, Settings: p.Settings, Locale: p.Locale, TimeZone: p.TimeZone, PresenceVisibility: p.Visibility,
	}), nil
}

func (c *encoder) message(ev *chat.Event) []byte {
	m := ev.Message
	if m == nil {
		return nil
	}
	cached := ev.Type == chat.EventMessage
	if cached {
		if json := c.cached(m.ID); json != nil {
			return json
		}
	}
	w := wireMessage(ev.Room, m)
	json := wire.AppendMessageEvent(make([]byte, 0, len(m.Text)+messageOverhead), ev.Type, &w)
	if cached && len(json) <= freshBytes {
		c.keep(m.ID, json)
	}
	return json
}

func (c *encoder) cached(id chat.MessageID) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fresh[id]
}

func (c *encoder) keep(id chat.MessageID, json []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.fresh[id]; there {
		return
	}
	delete(c.fresh, c.ring[c.next])
	c.ring[c.next] = id
	c.next = (c.next + 1) % len(c.ring)
	c.fresh[id] = json
}

// placed is an encoded event and the place in the queue after it.
type placed struct {
	cursor chat.Cursor
	json   []byte
	direct direct // whom to tell "delivered"; no seq for nobody
}

// unfold is the events of an entry after from, encoded and placed. from lies in
// the middle of the entry if it has its sequence and a place.
func unfold(viewer chat.UserID, from chat.Cursor, entry *chat.Entry, encode func(*chat.Event) ([]byte, error)) ([]placed, error) {
	skip := uint64(0)
	if from.Place != 0 && from.Seq == entry.Cursor.Seq {
		skip = from.Place
	}
	var all []placed
	for i := range entry.Events {
		if uint64(i) < skip {
			continue
		}
		json, err := encode(entry.Events[i])
		if err != nil {
			return nil, err
		}
		if json == nil {
			continue
		}
		at := entry.Cursor
		if i < len(entry.Events)-1 {
			at.Place = uint64(i) + 1
		}
		all = append(all, placed{at, json, directOf(viewer, entry.Events[i])})
	}
	return all, nil
}

// chunk is a piece of a queue, encoded.
type chunk struct {
	at     chat.Cursor // where it begins
	events []placed
	after  chat.Cursor // the place after all of it
	more   bool
	reset  bool // at is the head, and what was before may be gone
}

// readQueue reads up to limit entries of a queue after c; back says that a device has come
// back to what it missed. Both kinds leave half of the cores to others.
func (e *Edge) readQueue(ctx context.Context, u chat.UserID, c chat.Cursor, limit int, back bool) (got chunk, err error) {
	if back {
		if !e.returns.turn(ctx) {
			return chunk{}, chat.Unavailable("too many devices catch up", time.Second)
		}
		begun := time.Now()
		defer func() { e.returns.over(begun, got.more) }()
		limit = e.returns.piece(limit, begun)
	} else {
		select {
		case e.readers <- struct{}{}:
			defer func() { <-e.readers }()
		case <-ctx.Done():
			return chunk{}, chat.Unavailable("too many devices catch up", time.Second)
		}
	}
	batch, err := e.Queues.Read(ctx, u, c, limit)
	if err != nil {
		return chunk{}, err
	}
	got = chunk{at: batch.At, after: batch.At, more: batch.More, reset: batch.Reset}
	for i := range batch.Entries {
		entry := &batch.Entries[i]
		events, err := unfold(u, batch.At, entry, func(ev *chat.Event) ([]byte, error) {
			return e.encoder.encodeSlow(ctx, u, ev)
		})
		if err != nil {
			return chunk{}, err
		}
		got.events = append(got.events, events...)
		got.after = entry.Cursor
		runtime.Gosched() // who comes back is in no hurry
	}
	return got, nil
}

// startOf is where sync starts: at the cursor, at the message, or at now.
func (e *Edge) startOf(ctx context.Context, u chat.UserID, cursor, since string) (chat.Cursor, error) {
	switch {
	case cursor != "" && since != "":
		return chat.Cursor{}, chat.Invalid("since_message", "excludes cursor")
	case cursor != "":
		return chat.ParseCursor(cursor, u)
	case since != "":
		id, err := chat.ParseMessageID("since_message", since)
		if err != nil {
			return chat.Cursor{}, err
		}
		return e.Queues.Since(ctx, u, id)
	}
	return e.Queues.Head(ctx, u)
}
