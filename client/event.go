package client

import (
	"slices"
	"sync/atomic"

	"natter/chat"
	"natter/wire"
)

// Event is one event as it reached the device. It is valid until the callback
// it was handed to returns: what is to be kept must be taken out of it.
type Event struct {
	Type    chat.EventType
	Message Brief // of message, message_edited, message_deleted and reaction

	cursor  []byte
	raw     []byte
	message []byte
	decoded *wire.Event // from a Poller, which has it whole
}

// Brief is the part of a message that its place needs; Event.Full has the rest.
type Brief struct {
	Room     []byte
	ID       chat.MessageID
	Seq      chat.Seq
	Person   bool // kind text: a person wrote it
	ClientID []byte
	Sender   []byte
	Text     []byte // as it stands in the JSON, without quotes; see unquoting in Full

	mentions []byte        // the JSON of them
	named    []chat.UserID // from a Poller
}

// Mentions tells whether the message has u's username in it, as the server found.
func (b *Brief) Mentions(u chat.UserID) bool {
	found := slices.Contains(b.named, u)
	if b.mentions != nil {
		_ = elements(b.mentions, func(value []byte) bool {
			found = found || string(plain(value)) == string(u)
			return !found
		})
	}
	return found
}

// Key is the message's client_id, zero for a system message.
func (b *Brief) Key() chat.ClientID {
	if len(b.ClientID) == 0 {
		return chat.ClientID{}
	}
	key, err := chat.ParseClientID("client_id", string(b.ClientID))
	if err != nil {
		return chat.ClientID{}
	}
	return key
}

// Cursor is the place after this event.
func (e *Event) Cursor() string { return string(e.cursor) }

// Full is the whole event. It may be kept.
func (e *Event) Full() (*wire.Event, error) {
	if e.decoded != nil {
		return e.decoded, nil
	}
	full := new(wire.Event)
	if err := wire.Parse(e.raw, full); err != nil {
		return nil, err
	}
	return full, nil
}

// scan reads what is needed of the event raw.
func (e *Event) scan(cursor, raw []byte) error {
	*e = Event{cursor: cursor, raw: raw}
	o := openObject(raw)
	for {
		key, value, ok := o.next()
		if !ok {
			break
		}
		switch string(key) {
		case "type":
			e.Type = eventType(plain(value))
		case "message":
			e.message = value
		}
	}
	if o.err != nil || e.message == nil {
		return o.err
	}
	return e.Message.scan(e.message)
}

func (b *Brief) scan(raw []byte) error {
	o := openObject(raw)
	for {
		key, value, ok := o.next()
		if !ok {
			return o.err
		}
		switch string(key) {
		case "id":
			b.ID = chat.MessageID(number(plain(value)))
		case "room_id":
			b.Room = plain(value)
		case "seq":
			b.Seq = chat.Seq(number(value))
		case "kind":
			b.Person = string(plain(value)) == string(chat.KindText)
		case "client_id":
			b.ClientID = plain(value)
		case "sender_id":
			b.Sender = plain(value)
		case "text":
			b.Text = plain(value)
		case "mentions":
			b.mentions = value
		}
	}
}

// eventType avoids making a string of the usual one.
func eventType(b []byte) chat.EventType {
	if string(b) == string(chat.EventMessage) {
		return chat.EventMessage
	}
	return chat.EventType(b)
}

// places remembers the highest seq shown of each room, and so drops what comes
// again: after a reconnect, after a crash that took a queue's end back.
type places struct {
	last    map[chat.RoomID]*chat.Seq
	repeats atomic.Uint64
}

// fresh tells whether the event is to be shown. Only new messages are counted;
// an edit or a reaction carries its message's present form and may repeat.
func (p *places) fresh(e *Event) bool {
	if e.Type != chat.EventMessage {
		return true
	}
	last := p.last[chat.RoomID(e.Message.Room)]
	switch {
	case last == nil:
		last = new(chat.Seq)
		if p.last == nil {
			p.last = map[chat.RoomID]*chat.Seq{}
		}
		p.last[chat.RoomID(e.Message.Room)] = last
	case e.Message.Seq <= *last:
		p.repeats.Add(1)
		return false
	}
	*last = e.Message.Seq
	return true
}
