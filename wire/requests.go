package wire

// The bodies of HTTP requests, shared by the edge and the client. A pointer
// field that is absent leaves things as they are.

// SignUp makes an account and its first session.
type SignUp struct {
	Username   string `json:"username" doc:"NFKC-folded, 2 to 32 characters"`
	Password   string `json:"password" doc:"8 to 1024 bytes"`
	Name       string `json:"name,omitempty" doc:"the username, if absent"`
	DeviceName string `json:"device_name,omitempty"`
}

// SignIn makes a session.
type SignIn struct {
	Username   string `json:"username"`
	Password   string `json:"password"`
	DeviceName string `json:"device_name,omitempty"`
}

// Refresh changes a refresh token for a new session; the old one dies.
type Refresh struct {
	RefreshToken string `json:"refresh_token"`
}

// ChangeMe changes one's profile and settings.
type ChangeMe struct {
	Name               *string            `json:"name,omitempty"`
	About              *string            `json:"about,omitempty"`
	AvatarID           *string            `json:"avatar_id,omitempty" doc:"empty removes it"`
	Locale             *string            `json:"locale,omitempty"`
	TimeZone           *string            `json:"time_zone,omitempty"`
	PresenceVisibility *string            `json:"presence_visibility,omitempty" enum:"everyone,friends,nobody"`
	Settings           map[string]*string `json:"settings,omitempty" doc:"merged with what is there; null removes one"`
}

// ChangePassword ends every other session.
type ChangePassword struct {
	OldPassword string `json:"old_password"`
	NewPassword string `json:"new_password"`
}

// CreateRoom makes a group, or finds or makes the direct room of two.
type CreateRoom struct {
	Kind      string   `json:"kind" enum:"direct,group"`
	UserID    string   `json:"user_id,omitempty" doc:"direct: the other one"`
	Name      string   `json:"name,omitempty" doc:"group"`
	MemberIDs []string `json:"member_ids,omitempty" doc:"group: the others, at most 99"`
	History   string   `json:"history,omitempty" enum:"all,joined" doc:"group: what people who join later see; joined, if absent"`
}

// ChangeRoom changes what a room shows, and whether it is muted for oneself.
type ChangeRoom struct {
	Name     *string `json:"name,omitempty"`
	Topic    *string `json:"topic,omitempty"`
	AvatarID *string `json:"avatar_id,omitempty"`
	History  *string `json:"history,omitempty" enum:"all,joined" doc:"what people who join from now on see"`
	Muted    *bool   `json:"muted,omitempty" doc:"one's own, changed alone"`
}

// ChangeMember gives a role.
type ChangeMember struct {
	Role string `json:"role" enum:"owner,admin,member"`
}

// PostMessage is send over HTTP.
type PostMessage struct {
	ClientID string `json:"client_id,omitempty" doc:"a UUIDv7; without one a retry makes a second message"`
	Text     string `json:"text"`
	ReplyTo  uint64 `json:"reply_to,omitzero" doc:"a seq of the same room"`
}

// PatchMessage is edit over HTTP.
type PatchMessage struct {
	Text string `json:"text"`
}

// PutDraft is draft over HTTP.
type PutDraft struct {
	Text    string `json:"text" doc:"empty takes the draft away"`
	ReplyTo uint64 `json:"reply_to,omitzero" doc:"a seq of the same room"`
}

// PutRead is read over HTTP.
type PutRead struct {
	Seq uint64 `json:"seq"`
}
