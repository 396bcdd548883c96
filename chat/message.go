package chat

// MessageKind is text for what a person wrote, system for what happened.
type MessageKind string

// The kinds of message.
const (
	KindText   MessageKind = "text"
	KindSystem MessageKind = "system"
)

// Message is one message of a room's history, as it is stored. A newer record
// of the same room and seq replaces an older one.
type Message struct {
	ID        MessageID   `cbor:"1,keyasint"`
	Room      RoomID      `cbor:"-"` // known from where it is stored
	Seq       Seq         `cbor:"3,keyasint"`
	Kind      MessageKind `cbor:"4,keyasint"`
	Sender    UserID      `cbor:"5,keyasint"`
	ClientID  ClientID    `cbor:"6,keyasint,omitempty"`
	Text      string      `cbor:"7,keyasint,omitempty"`
	System    *System     `cbor:"8,keyasint,omitempty"`
	ReplyTo   Seq         `cbor:"9,keyasint,omitempty"`
	CreatedAt Millis      `cbor:"10,keyasint"`
	EditedAt  Millis      `cbor:"11,keyasint,omitempty"`
	DeletedAt Millis      `cbor:"12,keyasint,omitempty"`
	Reactions []Reaction  `cbor:"13,keyasint,omitempty"`
	// Mentions are the members whose usernames stand in Text, in its order, each
	// once, at most MaxMentions.
	Mentions []UserID `cbor:"14,keyasint,omitempty"`
}

// Reaction is one emoji on a message and who gave it, in order of giving.
type Reaction struct {
	Emoji string   `cbor:"1,keyasint" json:"emoji"`
	Users []UserID `cbor:"2,keyasint" json:"user_ids"`
}

// System says what happened to a room.
type System struct {
	Action SystemAction `cbor:"1,keyasint" json:"action"`
	Users  []UserID     `cbor:"2,keyasint,omitempty" json:"user_ids"`
	Name   string       `cbor:"3,keyasint,omitempty" json:"name,omitempty"`
	Role   Role         `cbor:"4,keyasint,omitempty" json:"role,omitempty"`
}

// SystemAction is what a system message reports.
type SystemAction string

// The actions. Users are those it happened to; the message's sender did it.
const (
	ActionCreated SystemAction = "created" // the room, with Users; Name
	ActionRenamed SystemAction = "renamed" // Name
	ActionTopic   SystemAction = "topic"   // Name is the new topic
	ActionAvatar  SystemAction = "avatar"
	ActionHistory SystemAction = "history" // Name is what holds now
	ActionJoined  SystemAction = "joined"  // Users were added by the sender
	ActionLeft    SystemAction = "left"    // the sender left
	ActionRemoved SystemAction = "removed" // Users were removed by the sender
	ActionRole    SystemAction = "role"    // Users have Role now
)
