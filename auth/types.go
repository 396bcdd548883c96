package auth

import (
	"fmt"
	"log/slog"
	"time"

	"natter/chat"
)

// User is a person as other people see them.
type User struct {
	ID       chat.UserID
	Username string
	Name     string
	About    string
	Avatar   chat.AvatarID // empty if none
}

// Who may see a person's presence.
const (
	VisibleToEveryone = "everyone"
	VisibleToFriends  = "friends"
	VisibleToNobody   = "nobody"
)

// Profile is a person as they see themselves.
type Profile struct {
	User
	Locale     string            // BCP 47, empty if never set
	TimeZone   string            // IANA name, empty if never set
	Visibility string            // everyone, friends or nobody
	Settings   map[string]string // never nil; the caller's own copy
	CreatedAt  chat.Millis
}

// ProfileChange is what ChangeProfile changes: nil leaves a field as it is.
type ProfileChange struct {
	Name       *string
	About      *string
	Locale     *string
	TimeZone   *string
	Visibility *string
	Avatar     *chat.AvatarID     // empty takes the picture away
	Settings   map[string]*string // a nil value deletes the setting
}

// Device is a signed-in app.
type Device struct {
	ID         chat.DeviceID
	Name       string
	CreatedAt  chat.Millis
	LastSeenAt chat.Millis // to a few minutes
}

// Identity is who a token speaks for, and until when. Its strings are copies.
type Identity struct {
	User    chat.UserID
	Device  chat.DeviceID
	Expires time.Time
}

// Session is what signing up, signing in and refreshing answer.
type Session struct {
	User          User
	Device        chat.DeviceID
	AccessToken   string
	AccessExpires time.Time
	RefreshToken  string
	// Cookie is the value for natter_session. Refresh leaves it empty: the
	// session's cookie stays as it is and slides by being used.
	Cookie        string
	CookieExpires time.Time
}

// Credentials are what a person brings to sign up or in. Name counts for
// signing up only; empty, the username stands in. DeviceName may be empty.
// Addr is the caller's IP address, for the throttles; empty shares one.
type Credentials struct {
	Username   string
	Password   string
	Name       string
	DeviceName string
	Addr       string
}

const redacted = "[redacted]"

// LogValue keeps the password out of the log.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(slog.String("username", c.Username), slog.String("password", redacted), slog.String("addr", c.Addr))
}

// String keeps the password out of %v and %s.
func (c Credentials) String() string {
	return fmt.Sprintf("credentials of %q from %s", c.Username, c.Addr)
}

// GoString keeps the password out of %#v.
func (c Credentials) GoString() string { return c.String() }

// LogValue keeps the tokens out of the log.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", string(s.User.ID)), slog.String("device", string(s.Device)), slog.String("tokens", redacted))
}

// String keeps the tokens out of %v and %s.
func (s Session) String() string {
	return fmt.Sprintf("session of %s on %s", s.User.ID, s.Device)
}

// GoString keeps the tokens out of %#v.
func (s Session) GoString() string { return s.String() }
