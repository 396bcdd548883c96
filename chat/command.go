package chat

// CommandOp is what a command asks.
type CommandOp uint8

// The commands. The numbers are stored: add, never renumber.
const (
	OpSend    CommandOp = 1  // ClientID, Text, ReplyTo, Mentions
	OpRead    CommandOp = 2  // Seq
	OpDirect  CommandOp = 3  // Users: the other one
	OpCreate  CommandOp = 4  // Name, History, Users: the first members
	OpChange  CommandOp = 5  // Name, Topic, Avatar, History: those in Fields
	OpAdd     CommandOp = 6  // Users
	OpRemove  CommandOp = 7  // Users: one; oneself is leaving
	OpRole    CommandOp = 8  // Users: one, Role
	OpMute    CommandOp = 9  // Flag
	OpClose   CommandOp = 10 // delete the room for all
	OpEdit    CommandOp = 11 // Seq, Text, Mentions, Within
	OpDelete  CommandOp = 12 // Seq
	OpReact   CommandOp = 13 // Seq, Emoji
	OpUnreact CommandOp = 14 // Seq, Emoji
	OpTell    CommandOp = 15 // a person's own matter: Tell goes to Users' queues
	OpDraft   CommandOp = 16 // Text, ReplyTo; without a text the draft goes
)

// Field bits of OpChange.
const (
	FieldName uint8 = 1 << iota
	FieldTopic
	FieldAvatar
	FieldHistory
)

// Command is what a device asks and the log keeps. It carries everything its
// outcome depends on beside the room's state: its own Snowflake, which becomes
// the message's id, and the time. The edge has checked the fields' form; the
// rules check everything else.
type Command struct {
	ID       MessageID `cbor:"1,keyasint"`
	At       Millis    `cbor:"2,keyasint"`
	Op       CommandOp `cbor:"3,keyasint"`
	Room     RoomID    `cbor:"4,keyasint,omitempty"` // empty for OpTell
	By       UserID    `cbor:"5,keyasint"`
	Device   DeviceID  `cbor:"6,keyasint,omitempty"`
	ClientID ClientID  `cbor:"7,keyasint,omitempty"`
	Text     string    `cbor:"8,keyasint,omitempty"`
	ReplyTo  Seq       `cbor:"9,keyasint,omitempty"`
	Seq      Seq       `cbor:"10,keyasint,omitempty"`
	Users    []UserID  `cbor:"11,keyasint,omitempty"`
	Role     Role      `cbor:"12,keyasint,omitempty"`
	Name     string    `cbor:"13,keyasint,omitempty"`
	Topic    string    `cbor:"14,keyasint,omitempty"`
	Avatar   AvatarID  `cbor:"15,keyasint,omitempty"`
	Fields   uint8     `cbor:"16,keyasint,omitempty"`
	Flag     bool      `cbor:"17,keyasint,omitempty"`
	Emoji    string    `cbor:"18,keyasint,omitempty"`
	Tell     *Event    `cbor:"19,keyasint,omitempty"`
	// Mentions are the people whose usernames stand in Text, as far as the edge
	// knows them; who of them is a member is for the rules to say.
	Mentions []UserID `cbor:"20,keyasint,omitempty"`
	// Within is how long after its sending a message may be edited; 0: for ever.
	Within  Millis         `cbor:"21,keyasint,omitempty"`
	History HistoryVisible `cbor:"22,keyasint,omitempty"`
}

// Result is what the projector answers to a command.
type Result struct {
	ID    MessageID // the message's; of the first one if this was a retry
	Seq   Seq
	At    Millis
	Retry bool // the same client_id, or nothing to change: the first answer again
}

// Outcome is what a command comes to. Refusal and the rest exclude each other.
type Outcome struct {
	Refusal  *Problem
	Result   Result
	Messages []Message   // new or changed messages of the room, by seq
	Events   []Addressed // in order
	Changed  bool        // the Room record has changed
	Marks    []UserID    // members whose Mark has changed
	Left     []UserID    // people who are no longer members
	Draft    *Draft      // the author's draft has changed to this; without a text it is gone
}
