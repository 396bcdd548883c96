package chat

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Cursor is a device's place in its user's queue. All entries up to Seq are
// had; but if Place is not 0, only the first Place events of entry Seq are.
//
// Why an epoch: a single node acknowledges entries that a crash may take back.
// Queue at 1000, told and acked; crash; the restart finds 990 and two more come
// as 991 and 992. A device at 1000 would wait for 1001 and miss both. So each
// unclean start opens an epoch at the sequence it found (990), and a cursor of
// an older epoch beyond that is clamped to it: it gets 991 and 992, and again
// what was rewritten, which it drops by room and seq.
type Cursor struct {
	Epoch uint64
	Seq   uint64
	Place uint64
}

// Before tells whether c lies before d. Only the same epoch compares.
func (c Cursor) Before(d Cursor) bool {
	if c.Seq != d.Seq {
		return c.Seq < d.Seq
	}
	// Place 0 is the end of the entry.
	return c.Place != 0 && (d.Place == 0 || c.Place < d.Place)
}

const (
	cursorVersion = 1
	cursorCheck   = 4
)

// Append appends the wire form for its user to b: base64url of a version byte,
// a checksum that binds it to the user, and three varints.
func (c Cursor) Append(b []byte, u UserID) []byte {
	var raw [1 + cursorCheck + 3*binary.MaxVarintLen64]byte
	body := binary.AppendUvarint(raw[:1+cursorCheck], c.Epoch)
	body = binary.AppendUvarint(body, c.Seq)
	body = binary.AppendUvarint(body, c.Place)
	body[0] = cursorVersion
	sum := cursorSum(u, body[1+cursorCheck:])
	copy(body[1:], sum[:])
	return base64.RawURLEncoding.AppendEncode(b, body)
}

// String is the wire form for u.
func (c Cursor) String(u UserID) string { return string(c.Append(nil, u)) }

// ParseCursor reads a cursor of u. One of another user, or nonsense, is refused
// as invalid; the checksum is no secret, and a made-up cursor only ever reads
// the queue of the one who brings it.
func ParseCursor(s string, u UserID) (Cursor, error) {
	bad := Invalid("cursor", "is not a cursor of this user")
	if len(s) > 64 {
		return Cursor{}, bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) < 1+cursorCheck+3 || raw[0] != cursorVersion {
		return Cursor{}, bad
	}
	body := raw[1+cursorCheck:]
	if sum := cursorSum(u, body); string(sum[:]) != string(raw[1:1+cursorCheck]) {
		return Cursor{}, bad
	}
	var c Cursor
	for _, part := range []*uint64{&c.Epoch, &c.Seq, &c.Place} {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return Cursor{}, bad
		}
		*part, body = v, body[n:]
	}
	if len(body) != 0 {
		return Cursor{}, bad
	}
	return c, nil
}

func cursorSum(u UserID, body []byte) [cursorCheck]byte {
	var in [MaxIDBytes + 40]byte
	b := append(in[:0], u...)
	b = append(b, 0)
	b = append(b, body...)
	full := sha256.Sum256(b)
	return [cursorCheck]byte(full[:cursorCheck])
}
