package chat

// EventType is what an event of a queue tells; the texts are the wire's.
type EventType string

// The events.
const (
	EventMessage        EventType = "message"
	EventEdited         EventType = "message_edited"
	EventDeleted        EventType = "message_deleted"
	EventReaction       EventType = "reaction"
	EventRead           EventType = "read"
	EventRoom           EventType = "room"
	EventMember         EventType = "member"
	EventRoomLeft       EventType = "room_left"
	EventContact        EventType = "contact"
	EventProfile        EventType = "profile"
	EventSettings       EventType = "settings"
	EventSessionRevoked EventType = "session_revoked"
	EventDraft          EventType = "draft"
)

// Event is what enters a queue. Which fields hold depends on the type:
//
//	message, message_edited, message_deleted, reaction   Room, Message
//	read             Room, User, Seq
//	room             Room, Snapshot (of the time, without marks)
//	member           Room, User, Change, Role, Count
//	room_left        Room
//	profile          User (its current profile is looked up when it is sent)
//	settings         User
//	session_revoked  Device
//	draft            Room, Draft (nil: it is gone)
type Event struct {
	Type     EventType    `cbor:"1,keyasint"`
	Room     RoomID       `cbor:"2,keyasint,omitempty"`
	Message  *Message     `cbor:"3,keyasint,omitempty"`
	User     UserID       `cbor:"4,keyasint,omitempty"`
	Seq      Seq          `cbor:"5,keyasint,omitempty"`
	Snapshot *Room        `cbor:"6,keyasint,omitempty"`
	Change   MemberChange `cbor:"7,keyasint,omitempty"`
	Role     Role         `cbor:"8,keyasint,omitempty"`
	Count    int          `cbor:"9,keyasint,omitempty"`
	Device   DeviceID     `cbor:"10,keyasint,omitempty"`
	Draft    *Draft       `cbor:"11,keyasint,omitempty"`
}

// MemberChange is what a member event reports.
type MemberChange string

// The changes.
const (
	ChangeJoined MemberChange = "joined"
	ChangeLeft   MemberChange = "left"
	ChangeRole   MemberChange = "role"
)

// Addressed is an event and the people whose queues it enters. To is shared
// and must not be changed.
type Addressed struct {
	To    []UserID
	Event Event
}
