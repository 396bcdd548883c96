package chat

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// UserID, RoomID and DeviceID are opaque names of [A-Za-z0-9_-]{1,64}. Parse
// them where they enter; whoever holds one holds a valid one. They may stand
// as a token of a NATS subject, which is why nothing else is allowed.
type (
	UserID   string
	RoomID   string
	DeviceID string
	// AvatarID names a stored picture.
	AvatarID string
)

// MaxIDBytes bounds every opaque id.
const MaxIDBytes = 64

// ValidID tells whether s is [A-Za-z0-9_-]{1,64}.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > MaxIDBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// ParseID checks s as one of the opaque id types; field names it in the refusal.
func ParseID[T ~string](field, s string) (T, error) {
	if !ValidID(s) {
		return "", Invalid(field, "must be 1 to 64 of A-Z a-z 0-9 _ -")
	}
	return T(s), nil
}

// MessageID is a Snowflake: unique, and sortable by time as a number. On the
// wire it is a decimal string, because it does not fit a JSON double.
type MessageID uint64

// SnowflakeEpoch is the zero of every Snowflake's time: 2026-01-01 00:00 UTC. 41
// bits of milliseconds last until 2095. Below them are 10 bits of worker number
// and 12 of a counter, the layout of the original.
const SnowflakeEpoch Millis = 1767225600000

// Time is the moment the id was made, by its node's clock.
func (id MessageID) Time() Millis { return SnowflakeEpoch + Millis(id>>22) }

// String is the decimal form used on the wire.
func (id MessageID) String() string { return strconv.FormatUint(uint64(id), 10) }

// ParseMessageID reads the decimal form: digits only, no sign, no leading zero.
func ParseMessageID(field, s string) (MessageID, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 || s[0] == '0' || s[0] == '+' {
		return 0, Invalid(field, "must be a message id, a decimal number in a string")
	}
	return MessageID(n), nil
}

// Seq is a message's place in its room: from 1, without holes.
type Seq uint64

// Millis is a time in milliseconds since 1970 UTC, the precision of the wire.
type Millis int64

// MillisOf truncates t to milliseconds.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time is m as a time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// String is RFC 3339 in UTC with milliseconds.
func (m Millis) String() string { return string(m.Append(nil)) }

// Append appends String's form to b without allocating.
func (m Millis) Append(b []byte) []byte {
	return m.Time().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// ClientID is the UUIDv7 a client gives a message, RFC 9562 section 5.7.
type ClientID [16]byte

// ParseClientID reads the 36-character form in either case. A UUID of another
// version or variant is refused: the id's own time decides where its first use
// is looked for.
func ParseClientID(field, s string) (ClientID, error) {
	var id ClientID
	bad := Invalid(field, "must be a UUIDv7, as 01890a5d-ac96-774b-bcce-b302099a8057")
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, bad
	}
	var packed [32]byte
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '-' {
			if i != 8 && i != 13 && i != 18 && i != 23 {
				return id, bad
			}
			continue
		}
		packed[n] = s[i]
		n++
	}
	if _, err := hex.Decode(id[:], packed[:]); err != nil {
		return ClientID{}, bad
	}
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		return ClientID{}, bad
	}
	return id, nil
}

// NewClientID makes a UUIDv7 of the time and ten random bytes.
func NewClientID(at time.Time, random [10]byte) ClientID {
	var id ClientID
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	copy(id[6:], random[:])
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// IsZero tells whether no client id was given.
func (id ClientID) IsZero() bool { return id == ClientID{} }

// Time is the moment the client made the id, by the client's clock.
func (id ClientID) Time() Millis {
	var ms uint64
	for i := range 6 {
		ms = ms<<8 | uint64(id[i])
	}
	return Millis(ms)
}

// String is the lower-case 36-character form.
func (id ClientID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// DirectRoomID is the id of the one room of two users, whichever asks: a hash
// of both, so that two nodes asked at once name the same room.
func DirectRoomID(a, b UserID) RoomID {
	if a > b {
		a, b = b, a
	}
	sum := sha256.Sum256([]byte("direct\x00" + string(a) + "\x00" + string(b)))
	return RoomID("d" + lowerBase32.EncodeToString(sum[:15]))
}

var lowerBase32 = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewUserID, NewRoomID and NewDeviceID make ids of a Snowflake, which is unique
// in the cluster.
func NewUserID(id MessageID) UserID { return UserID(fmt.Sprintf("u%s", base36(id))) }

// NewRoomID names a group room; see NewUserID.
func NewRoomID(id MessageID) RoomID { return RoomID("g" + base36(id)) }

// NewDeviceID names a device; see NewUserID.
func NewDeviceID(id MessageID) DeviceID { return DeviceID("v" + base36(id)) }

// MadeAt is when an id of NewUserID was made; false for any other text.
func MadeAt(u UserID) (Millis, bool) {
	digits, ok := strings.CutPrefix(string(u), "u")
	id, err := strconv.ParseUint(digits, 36, 63)
	if !ok || err != nil || NewUserID(MessageID(id)) != u {
		return 0, false
	}
	return MessageID(id).Time(), true
}

func base36(id MessageID) string { return strconv.FormatUint(uint64(id), 36) }
