package wire

import "natter/chat"

// The frames a server sends; typing is OpTyping.
const (
	OpWelcome   Op = "welcome"
	OpSent      Op = "sent"
	OpOK        Op = "ok"
	OpEvent     Op = "event"
	OpEvents    Op = "events"
	OpSynced    Op = "synced"
	OpReset     Op = "reset"
	OpPresence  Op = "presence"
	OpDelivered Op = "delivered"
	OpPong      Op = "pong"
	OpError     Op = "error"
	OpMove      Op = "move"
)

// Welcome answers hello. Cursor is where the events start.
type Welcome struct {
	Op          Op            `json:"op"`
	Ref         string        `json:"ref,omitempty"`
	User        User          `json:"user"`
	DeviceID    chat.DeviceID `json:"device_id"`
	Node        string        `json:"node"`
	Cursor      string        `json:"cursor"`
	HeartbeatMS int64         `json:"heartbeat_ms"`
	ServerTime  Time          `json:"server_time"`
}

// Sent answers send: the message is on disk.
type Sent struct {
	Op        Op        `json:"op"`
	Ref       string    `json:"ref,omitempty"`
	MessageID MessageID `json:"message_id"`
	Seq       chat.Seq  `json:"seq"`
	CreatedAt Time      `json:"created_at"`
}

// OK answers what has nothing else to say.
type OK struct {
	Op  Op     `json:"op"`
	Ref string `json:"ref,omitempty"`
}

// Placed is an event and the place in the queue after it.
type Placed struct {
	Cursor string `json:"cursor"`
	Event  Event  `json:"event"`
}

// EventFrame is one event.
type EventFrame struct {
	Op     Op     `json:"op"`
	Cursor string `json:"cursor"`
	Event  Event  `json:"event"`
}

// EventsFrame is several, in the queue's order.
type EventsFrame struct {
	Op     Op       `json:"op"`
	Events []Placed `json:"events"`
}

// Synced says that everything up to Cursor has been sent: from here on events
// are news.
type Synced struct {
	Op     Op     `json:"op"`
	Cursor string `json:"cursor"`
}

// Reset says that the cursor of hello can't be honoured: load rooms again, keep
// what you have, go on from Cursor.
type Reset struct {
	Op     Op     `json:"op"`
	Cursor string `json:"cursor"`
}

// PresenceFrame is passing news of a watched person.
type PresenceFrame struct {
	Op       Op          `json:"op"`
	UserID   chat.UserID `json:"user_id"`
	Status   Status      `json:"status"`
	LastSeen Time        `json:"last_seen,omitzero"`
}

// TypingFrame is passing news: somebody writes.
type TypingFrame struct {
	Op     Op          `json:"op"`
	RoomID chat.RoomID `json:"room_id"`
	UserID chat.UserID `json:"user_id"`
}

// Delivered is passing news: a device of the other one has up to Seq.
type Delivered struct {
	Op     Op          `json:"op"`
	RoomID chat.RoomID `json:"room_id"`
	UserID chat.UserID `json:"user_id"`
	Seq    chat.Seq    `json:"seq"`
}

// Pong answers ping.
type Pong struct {
	Op         Op     `json:"op"`
	Ref        string `json:"ref,omitempty"`
	ServerTime Time   `json:"server_time"`
}

// Error says that the request of Ref failed; the connection lives.
type Error struct {
	Op      Op      `json:"op"`
	Ref     string  `json:"ref,omitempty"`
	Problem Problem `json:"problem"`
}

// Move says that this node is leaving: connect to one of Nodes at a random time
// within WithinMS.
type Move struct {
	Op       Op     `json:"op"`
	Nodes    []Node `json:"nodes"`
	WithinMS int64  `json:"within_ms"`
}

func (f *Welcome) stamp() Op       { f.Op = OpWelcome; return f.Op }
func (f *Sent) stamp() Op          { f.Op = OpSent; return f.Op }
func (f *OK) stamp() Op            { f.Op = OpOK; return f.Op }
func (f *EventFrame) stamp() Op    { f.Op = OpEvent; return f.Op }
func (f *EventsFrame) stamp() Op   { f.Op = OpEvents; return f.Op }
func (f *Synced) stamp() Op        { f.Op = OpSynced; return f.Op }
func (f *Reset) stamp() Op         { f.Op = OpReset; return f.Op }
func (f *PresenceFrame) stamp() Op { f.Op = OpPresence; return f.Op }
func (f *TypingFrame) stamp() Op   { f.Op = OpTyping; return f.Op }
func (f *Delivered) stamp() Op     { f.Op = OpDelivered; return f.Op }
func (f *Pong) stamp() Op          { f.Op = OpPong; return f.Op }
func (f *Error) stamp() Op         { f.Op = OpError; return f.Op }
func (f *Move) stamp() Op          { f.Op = OpMove; return f.Op }

// serverFrames makes an empty frame of each op a server may send.
var serverFrames = map[Op]func() Frame{
	OpWelcome:   func() Frame { return new(Welcome) },
	OpSent:      func() Frame { return new(Sent) },
	OpOK:        func() Frame { return new(OK) },
	OpEvent:     func() Frame { return new(EventFrame) },
	OpEvents:    func() Frame { return new(EventsFrame) },
	OpSynced:    func() Frame { return new(Synced) },
	OpReset:     func() Frame { return new(Reset) },
	OpPresence:  func() Frame { return new(PresenceFrame) },
	OpTyping:    func() Frame { return new(TypingFrame) },
	OpDelivered: func() Frame { return new(Delivered) },
	OpPong:      func() Frame { return new(Pong) },
	OpError:     func() Frame { return new(Error) },
	OpMove:      func() Frame { return new(Move) },
}
