package wire

import (
	"strconv"
	"time"

	"natter/chat"
)

// Time is a moment on the wire: RFC 3339 in UTC with exactly three decimals.
type Time chat.Millis

// TimeOf truncates t to the wire's precision.
func TimeOf(t time.Time) Time { return Time(chat.MillisOf(t)) }

// Time is t in UTC.
func (t Time) Time() time.Time { return chat.Millis(t).Time() }

// String is the wire form.
func (t Time) String() string { return chat.Millis(t).String() }

// AppendText appends the wire form; it never fails.
func (t Time) AppendText(b []byte) ([]byte, error) { return chat.Millis(t).Append(b), nil }

// MarshalText is the wire form; it never fails.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText reads any RFC 3339 time and truncates it to milliseconds.
func (t *Time) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return chat.Invalid("", "must be a time as 2026-11-22T10:00:00.000Z")
	}
	*t = TimeOf(at)
	return nil
}

// MessageID is a message's Snowflake on the wire: a decimal string, because it
// does not fit a JSON double. Compare two of them as numbers.
type MessageID chat.MessageID

// String is the wire form.
func (id MessageID) String() string { return chat.MessageID(id).String() }

// AppendText appends the wire form; it never fails.
func (id MessageID) AppendText(b []byte) ([]byte, error) {
	return strconv.AppendUint(b, uint64(id), 10), nil
}

// MarshalText is the wire form; it never fails.
func (id MessageID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText reads the wire form.
func (id *MessageID) UnmarshalText(b []byte) error {
	parsed, err := chat.ParseMessageID("", string(b))
	if err != nil {
		return err
	}
	*id = MessageID(parsed)
	return nil
}

// ClientID is a chat.ClientID on the wire: a UUIDv7 in lower case.
type ClientID chat.ClientID

// IsZero tells whether there is none, as in a system message.
func (id ClientID) IsZero() bool { return chat.ClientID(id).IsZero() }

// String is the wire form.
func (id ClientID) String() string { return chat.ClientID(id).String() }

// MarshalText is the wire form; it never fails.
func (id ClientID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the wire form, in either case.
func (id *ClientID) UnmarshalText(b []byte) error {
	parsed, err := chat.ParseClientID("", string(b))
	if err != nil {
		return err
	}
	*id = ClientID(parsed)
	return nil
}
