package chat

import (
	"crypto/sha256"
	"encoding/binary"
)

// Draft is what a person has begun to write in a room: one a room and person,
// the newest counts. It is their own record, like a Mark, and kept apart from it:
// a mark is written with every message of its person.
type Draft struct {
	Text    string `cbor:"1,keyasint,omitempty"` // empty: there is no draft
	ReplyTo Seq    `cbor:"2,keyasint,omitempty"`
	At      Millis `cbor:"3,keyasint,omitempty"`
}

// DraftSum tells one draft from another without holding its text; the zero one
// is no draft.
type DraftSum [16]byte

// DraftUnknown differs from every draft, and from none.
var DraftUnknown = DraftSum{0: 1}

// Sum is of what the person wrote; the time doesn't count.
func (d *Draft) Sum() DraftSum {
	if d.Text == "" {
		return DraftSum{}
	}
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(d.ReplyTo)))
	h.Write([]byte(d.Text))
	return DraftSum(h.Sum(nil)[:16])
}

// draft keeps what the member has begun to write, for their other devices; an
// empty text takes it away. The same again changes nothing.
func (r *RoomState) draft(c *Command, _ *Window) Outcome {
	m, p := r.member(c)
	if p != nil {
		return refuse(p)
	}
	now := Draft{Text: c.Text, At: c.At}
	if c.Text != "" {
		if c.ReplyTo > r.Last {
			return refuse(Invalid("reply_to", "is not a message of this room"))
		}
		if err := CheckDraft("text", c.Text); err != nil {
			return refuse(ProblemOf(err))
		}
		now.ReplyTo = c.ReplyTo
	}
	if now.Sum() == m.Draft {
		return Outcome{Result: Result{ID: c.ID, Retry: true}}
	}
	m.Draft = now.Sum()
	event := Event{Type: EventDraft, Room: r.Room.ID}
	if now.Text != "" {
		event.Draft = &now
	}
	return Outcome{Result: Result{ID: c.ID}, Draft: &now, Events: []Addressed{{To: []UserID{c.By}, Event: event}}}
}
