package chat

import "slices"

// RoomKind is direct for the one room of two people, group for any other.
type RoomKind string

// The kinds of room.
const (
	RoomDirect RoomKind = "direct"
	RoomGroup  RoomKind = "group"
)

// Role is what a member may do. Owner: all. Admin: name, members. Member: talk.
type Role string

// The roles.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// ParseRole checks a role of the wire.
func ParseRole(field, s string) (Role, error) {
	switch r := Role(s); r {
	case RoleOwner, RoleAdmin, RoleMember:
		return r, nil
	}
	return "", Invalid(field, "must be owner, admin or member")
}

// HistoryVisible is how much of a room's past a new member may see.
type HistoryVisible string

// What a new member sees. The zero value is HistoryJoined.
const (
	HistoryAll    HistoryVisible = "all"    // everything
	HistoryJoined HistoryVisible = "joined" // what is said from their joining on
)

// ParseHistory checks a setting of the wire.
func ParseHistory(field, s string) (HistoryVisible, error) {
	switch h := HistoryVisible(s); h {
	case HistoryAll, HistoryJoined:
		return h, nil
	}
	return "", Invalid(field, "must be all or joined")
}

// Room is what a room is: its record in the history stream, written when it
// changes, without what changes with every message.
type Room struct {
	ID        RoomID   `cbor:"1,keyasint"`
	Kind      RoomKind `cbor:"2,keyasint"`
	Name      string   `cbor:"3,keyasint,omitempty"`
	Topic     string   `cbor:"4,keyasint,omitempty"`
	Avatar    AvatarID `cbor:"5,keyasint,omitempty"`
	CreatedAt Millis   `cbor:"6,keyasint"`
	CreatedBy UserID   `cbor:"7,keyasint"`
	Members   []Member `cbor:"8,keyasint"` // in order of joining
	Closed    bool     `cbor:"9,keyasint,omitempty"`
	// History is HistoryAll or nothing; Shows tells which it means.
	History HistoryVisible `cbor:"10,keyasint,omitempty"`
}

// Member is one person in a room.
type Member struct {
	User     UserID `cbor:"1,keyasint"`
	Role     Role   `cbor:"2,keyasint"`
	JoinedAt Millis `cbor:"3,keyasint"`
	// Since is fixed at joining: they see what is after it. It is the last seq
	// before them, or 0 where new members see everything.
	Since Seq `cbor:"4,keyasint,omitempty"`
	// Joined is the last seq before they joined, where Since isn't: what they may
	// see and need not have read.
	Joined Seq `cbor:"5,keyasint,omitempty"`
	// Read and Muted are the member's own record (see Mark), not the room's.
	Read  Seq  `cbor:"-"`
	Muted bool `cbor:"-"`
	// Draft tells the member's draft from others; it isn't the room's either.
	Draft DraftSum `cbor:"-"`
}

// ReadFrom is the read mark a member begins with: what was there before them
// isn't unread.
func (m *Member) ReadFrom() Seq { return max(m.Since, m.Joined) }

// Mark is one person's own record of a room: it lists the room among theirs
// and holds their read mark.
type Mark struct {
	User  UserID `cbor:"-"`
	Room  RoomID `cbor:"-"`
	Read  Seq    `cbor:"1,keyasint,omitempty"`
	Muted bool   `cbor:"2,keyasint,omitempty"`
	Left  bool   `cbor:"3,keyasint,omitempty"`
}

// Shows is what a new member sees.
func (r *Room) Shows() HistoryVisible {
	if r.History == HistoryAll {
		return HistoryAll
	}
	return HistoryJoined
}

// Member finds a member; nil if u is none.
func (r *Room) Member(u UserID) *Member {
	for i := range r.Members {
		if r.Members[i].User == u {
			return &r.Members[i]
		}
	}
	return nil
}

// UserIDs are the members, in order of joining. The caller owns the slice.
func (r *Room) UserIDs() []UserID {
	ids := make([]UserID, len(r.Members))
	for i := range r.Members {
		ids[i] = r.Members[i].User
	}
	return ids
}

// Clone is a copy that shares nothing with r.
func (r *Room) Clone() Room {
	c := *r
	c.Members = slices.Clone(r.Members)
	return c
}
