package chat

import "time"

// The limits of the contract. GET /v1/server publishes them under the names in
// the comments; every refusal names the one it hit.
const (
	MaxTextRunes     = 8000             // text_chars: a message's text, in Unicode code points
	MaxNameRunes     = 64               // name_chars: a person's or a room's name
	MaxTopicRunes    = 256              // topic_chars
	MaxAboutRunes    = 256              // about_chars
	MaxMembers       = 100              // room_members: people in a group room
	MinUsernameRunes = 2                // username_chars_min
	MaxUsernameRunes = 32               // username_chars
	MinPasswordBytes = 8                // password_bytes_min
	MaxPasswordBytes = 1024             // password_bytes
	MaxDeviceRunes   = 64               // device_name_chars
	MaxPage          = 100              // page: messages, rooms or users a page
	MaxSyncEvents    = 500              // sync_events: events an answer of GET /v1/sync
	MaxSyncWait      = 50 * time.Second // sync_wait_seconds
	MaxWatch         = 200              // watch_users
	MaxFrameBytes    = 64 << 10         // frame_bytes: a frame from a client
	MaxBodyBytes     = 256 << 10        // body_bytes: an HTTP request's body
	MaxRoomsPerUser  = 1000             // rooms: rooms a person is in
	MaxReadTold      = 20               // read_told_members: larger rooms learn read marks on demand only
	MemberPreview    = 20               // members of a room object
	MaxMentions      = 50               // mentions: of one message; whom the text names beyond is text only

	// WindowSpan is how long the projector remembers a client_id: a younger one is
	// checked in memory, an older one is looked up in the room's history.
	WindowSpan = 2 * time.Minute
	// MaxClockAhead is how far in the future a client_id's time may lie.
	MaxClockAhead = 2 * time.Minute
	// PageMessages is how many messages a sealed page of history holds: page k
	// holds the seqs 64k+1 to 64k+64.
	PageMessages = 64
)
