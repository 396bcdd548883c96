package wire

// Op names what a frame is.
type Op string

// The frames a client sends.
const (
	OpHello   Op = "hello"
	OpSend    Op = "send"
	OpRead    Op = "read"
	OpEdit    Op = "edit"
	OpDelete  Op = "delete"
	OpReact   Op = "react"
	OpUnreact Op = "unreact"
	OpAck     Op = "ack"
	OpTyping  Op = "typing" // a server frame too
	OpStatus  Op = "status"
	OpWatch   Op = "watch"
	OpPing    Op = "ping"
	OpDraft   Op = "draft"
)

// Frame is any frame of either direction. Encode fills in its op.
type Frame interface {
	// stamp sets the frame's op to the one of its type, and returns it.
	stamp() Op
}

// MaxRefBytes bounds a ref, which is echoed.
const MaxRefBytes = 64

// Hello is a client's first frame. Cursor and SinceMessage exclude each other;
// without both, events start at now.
type Hello struct {
	Op           Op     `json:"op"`
	Ref          string `json:"ref,omitempty"`
	Token        string `json:"token,omitempty"`
	Cursor       string `json:"cursor,omitempty"`
	SinceMessage string `json:"since_message,omitempty"`
	Client       string `json:"client,omitempty"`
}

// Send is a message. ReplyTo is a seq of the same room.
type Send struct {
	Op       Op     `json:"op"`
	Ref      string `json:"ref,omitempty"`
	RoomID   string `json:"room_id"`
	ClientID string `json:"client_id"`
	Text     string `json:"text"`
	ReplyTo  uint64 `json:"reply_to,omitzero"`
}

// Read moves one's read mark of a room.
type Read struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	RoomID string `json:"room_id"`
	Seq    uint64 `json:"seq"`
}

// Edit replaces the text of one's own message.
type Edit struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	RoomID string `json:"room_id"`
	Seq    uint64 `json:"seq"`
	Text   string `json:"text"`
}

// Delete deletes a message for everyone.
type Delete struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	RoomID string `json:"room_id"`
	Seq    uint64 `json:"seq"`
}

// React puts an emoji on a message.
type React struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	RoomID string `json:"room_id"`
	Seq    uint64 `json:"seq"`
	Emoji  string `json:"emoji"`
}

// Unreact takes an emoji back.
type Unreact struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	RoomID string `json:"room_id"`
	Seq    uint64 `json:"seq"`
	Emoji  string `json:"emoji"`
}

// SetDraft keeps what the person has begun to write in a room; an empty Text takes
// it away.
type SetDraft struct {
	Op      Op     `json:"op"`
	Ref     string `json:"ref,omitempty"`
	RoomID  string `json:"room_id"`
	Text    string `json:"text"`
	ReplyTo uint64 `json:"reply_to,omitzero"`
}

// Ack says that this device has everything up to Cursor. It has no answer.
type Ack struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	Cursor string `json:"cursor"`
}

// Typing says that the person is writing in a room. It has no answer.
type Typing struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	RoomID string `json:"room_id"`
}

// SetStatus says whether the person is at this device.
type SetStatus struct {
	Op     Op     `json:"op"`
	Ref    string `json:"ref,omitempty"`
	Status Status `json:"status"`
}

// Watch replaces the set of people whose presence is pushed to this socket.
type Watch struct {
	Op      Op       `json:"op"`
	Ref     string   `json:"ref,omitempty"`
	UserIDs []string `json:"user_ids"`
}

// Ping keeps the socket.
type Ping struct {
	Op  Op     `json:"op"`
	Ref string `json:"ref,omitempty"`
}

func (f *Hello) stamp() Op     { f.Op = OpHello; return f.Op }
func (f *Send) stamp() Op      { f.Op = OpSend; return f.Op }
func (f *Read) stamp() Op      { f.Op = OpRead; return f.Op }
func (f *Edit) stamp() Op      { f.Op = OpEdit; return f.Op }
func (f *Delete) stamp() Op    { f.Op = OpDelete; return f.Op }
func (f *React) stamp() Op     { f.Op = OpReact; return f.Op }
func (f *Unreact) stamp() Op   { f.Op = OpUnreact; return f.Op }
func (f *Ack) stamp() Op       { f.Op = OpAck; return f.Op }
func (f *Typing) stamp() Op    { f.Op = OpTyping; return f.Op }
func (f *SetStatus) stamp() Op { f.Op = OpStatus; return f.Op }
func (f *Watch) stamp() Op     { f.Op = OpWatch; return f.Op }
func (f *Ping) stamp() Op      { f.Op = OpPing; return f.Op }
func (f *SetDraft) stamp() Op  { f.Op = OpDraft; return f.Op }

// clientFrames makes an empty frame of each op a client may send.
var clientFrames = map[Op]func() Frame{
	OpHello:   func() Frame { return new(Hello) },
	OpSend:    func() Frame { return new(Send) },
	OpRead:    func() Frame { return new(Read) },
	OpEdit:    func() Frame { return new(Edit) },
	OpDelete:  func() Frame { return new(Delete) },
	OpReact:   func() Frame { return new(React) },
	OpUnreact: func() Frame { return new(Unreact) },
	OpAck:     func() Frame { return new(Ack) },
	OpTyping:  func() Frame { return new(Typing) },
	OpStatus:  func() Frame { return new(SetStatus) },
	OpWatch:   func() Frame { return new(Watch) },
	OpPing:    func() Frame { return new(Ping) },
	OpDraft:   func() Frame { return new(SetDraft) },
}
