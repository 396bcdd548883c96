package wire

import "natter/chat"

// User is a person as everybody sees them.
type User struct {
	ID       chat.UserID   `json:"id"`
	Username string        `json:"username"`
	Name     string        `json:"name"`
	About    string        `json:"about,omitempty"`
	AvatarID chat.AvatarID `json:"avatar_id,omitempty"`
}

// Me is a person as they see themselves.
type Me struct {
	User
	Locale             string            `json:"locale"`
	TimeZone           string            `json:"time_zone"`
	PresenceVisibility string            `json:"presence_visibility" enum:"everyone,friends,nobody"`
	Settings           map[string]string `json:"settings"`
	CreatedAt          Time              `json:"created_at" format:"date-time"`
}

// Session answers a sign-up, a sign-in and a refresh.
type Session struct {
	AccessToken     string        `json:"access_token"`
	AccessExpiresAt Time          `json:"access_expires_at" format:"date-time"`
	RefreshToken    string        `json:"refresh_token"`
	DeviceID        chat.DeviceID `json:"device_id"`
	User            User          `json:"user"`
	Nodes           []Node        `json:"nodes"`
}

// Device is one signed-in app of a person.
type Device struct {
	DeviceID   chat.DeviceID `json:"device_id"`
	DeviceName string        `json:"device_name"`
	CreatedAt  Time          `json:"created_at" format:"date-time"`
	LastSeenAt Time          `json:"last_seen_at" format:"date-time"`
	Current    bool          `json:"current"`
}

// Devices answers GET /v1/sessions.
type Devices struct {
	Sessions []Device `json:"sessions"`
}

// Users answers GET /v1/users.
type Users struct {
	Users []User `json:"users"`
}

// Room is a room as one of its members sees it: Role is theirs.
type Room struct {
	ID          chat.RoomID   `json:"id"`
	Kind        chat.RoomKind `json:"kind" enum:"direct,group"`
	Name        string        `json:"name,omitempty"`
	Topic       string        `json:"topic,omitempty"`
	AvatarID    chat.AvatarID `json:"avatar_id,omitempty"`
	MemberCount int           `json:"member_count"`
	Members     []Member      `json:"members,omitempty"`
	CreatedAt   Time          `json:"created_at" format:"date-time"`
	Role        chat.Role     `json:"role" enum:"owner,admin,member"`
	// History is what people who join from now on see.
	History chat.HistoryVisible `json:"history" enum:"all,joined"`
}

// OneRoom answers GET /v1/rooms/{room_id}: the room and one's own draft in it.
type OneRoom struct {
	Room
	Draft *Draft `json:"draft,omitempty"`
}

// Draft is what one has begun to write in a room.
type Draft struct {
	Text      string   `json:"text"`
	ReplyTo   chat.Seq `json:"reply_to,omitzero"`
	UpdatedAt Time     `json:"updated_at" format:"date-time"`
}

// Member is one person of a room.
type Member struct {
	User     User      `json:"user"`
	Role     chat.Role `json:"role" enum:"owner,admin,member"`
	JoinedAt Time      `json:"joined_at" format:"date-time"`
	ReadSeq  chat.Seq  `json:"read_seq"`
}

// Members answers GET /v1/rooms/{id}/members.
type Members struct {
	Members []Member `json:"members"`
}

// Message is one message in its current form.
type Message struct {
	ID        MessageID        `json:"id"`
	RoomID    chat.RoomID      `json:"room_id"`
	Seq       chat.Seq         `json:"seq"`
	Kind      chat.MessageKind `json:"kind" enum:"text,system"`
	SenderID  chat.UserID      `json:"sender_id"`
	ClientID  ClientID         `json:"client_id,omitzero"`
	Text      string           `json:"text"`
	System    *System          `json:"system,omitempty"`
	ReplyTo   chat.Seq         `json:"reply_to,omitzero"`
	Mentions  []chat.UserID    `json:"mentions,omitempty" maxItems:"50"`
	EditedAt  Time             `json:"edited_at,omitzero" format:"date-time"`
	DeletedAt Time             `json:"deleted_at,omitzero" format:"date-time"`
	Reactions []Reaction       `json:"reactions,omitempty"`
	CreatedAt Time             `json:"created_at" format:"date-time"`
}

// System is what a system message reports.
type System struct {
	Action  chat.SystemAction `json:"action" enum:"created,renamed,topic,avatar,history,joined,left,removed,role"`
	UserIDs []chat.UserID     `json:"user_ids"`
	Name    string            `json:"name,omitempty"`
	Role    chat.Role         `json:"role,omitempty" enum:"owner,admin,member"`
}

// Reaction is one emoji on a message and who gave it.
type Reaction struct {
	Emoji   string        `json:"emoji"`
	UserIDs []chat.UserID `json:"user_ids"`
}

// Messages is a page of a room's history, oldest first.
type Messages struct {
	Messages   []Message `json:"messages"`
	MoreBefore bool      `json:"more_before"`
	MoreAfter  bool      `json:"more_after"`
}

// RoomEntry is a room in its member's list.
type RoomEntry struct {
	Room        Room     `json:"room"`
	LastMessage *Message `json:"last_message,omitempty"`
	LastSeq     chat.Seq `json:"last_seq"`
	ReadSeq     chat.Seq `json:"read_seq"`
	Unread      uint64   `json:"unread"`
	Muted       bool     `json:"muted"`
	Draft       *Draft   `json:"draft,omitempty"`
}

// Rooms is a page of a person's rooms, newest activity first.
type Rooms struct {
	Rooms []RoomEntry `json:"rooms"`
	Next  string      `json:"next,omitempty"`
}

// Event is what a queue tells. Which fields hold depends on the type, as the
// table of docs/PROTOCOL.md says.
type Event struct {
	Type               chat.EventType    `json:"type"`
	Message            *Message          `json:"message,omitempty"`
	Room               *Room             `json:"room,omitempty"`
	RoomID             chat.RoomID       `json:"room_id,omitempty"`
	UserID             chat.UserID       `json:"user_id,omitempty"`
	Seq                chat.Seq          `json:"seq,omitzero"`
	Change             chat.MemberChange `json:"change,omitempty" enum:"joined,left,role"`
	Role               chat.Role         `json:"role,omitempty" enum:"owner,admin,member"`
	MemberCount        int               `json:"member_count,omitzero"`
	User               *User             `json:"user,omitempty"`
	Settings           map[string]string `json:"settings,omitzero"`
	Locale             string            `json:"locale,omitempty"`
	TimeZone           string            `json:"time_zone,omitempty"`
	PresenceVisibility string            `json:"presence_visibility,omitempty" enum:"everyone,friends,nobody"`
	DeviceID           chat.DeviceID     `json:"device_id,omitempty"`
	Draft              *Draft            `json:"draft,omitempty"`
}

// SyncAnswer answers GET /v1/sync.
type SyncAnswer struct {
	Events []Event `json:"events"`
	Cursor string  `json:"cursor"`
	More   bool    `json:"more"`
	Reset  bool    `json:"reset,omitzero"`
}

// Presence is whether a person is here, as far as the asker may know.
type Presence struct {
	UserID   chat.UserID `json:"user_id"`
	Status   Status      `json:"status" enum:"online,away,offline"`
	LastSeen Time        `json:"last_seen,omitzero" format:"date-time"`
}

// Presences answers GET /v1/presence.
type Presences struct {
	Presence []Presence `json:"presence"`
}

// Status is a person's presence.
type Status string

// The states of presence.
const (
	Online  Status = "online"
	Away    Status = "away"
	Offline Status = "offline"
)

// Node is a chat node a client may connect to.
type Node struct {
	ID     string  `json:"id"`
	URL    string  `json:"url"`
	Region string  `json:"region"`
	Load   float64 `json:"load"`
}

// Nodes answers GET /v1/nodes, best first.
type Nodes struct {
	Nodes []Node `json:"nodes"`
}

// Server answers GET /v1/server.
type Server struct {
	Name     string           `json:"name"`
	Version  string           `json:"version"`
	Limits   map[string]int64 `json:"limits"`
	Auth     []string         `json:"auth"`
	Features []string         `json:"features"`
}
