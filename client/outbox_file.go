package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"

	"natter/chat"
)

// The file of an Outbox is text, one record a line:
//
//	natter outbox 1
//	1c291ca3 {"send":{"client_id":"01a2…","room_id":"dda…","text":"Hi","reply_to":3}}
//	0b7741aa {"done":"01a2…"}
//	9f0e3d11 {"cursor":"AYkSppoBCwA"}
//
// In front of each stands the CRC-32C of the rest of its line. Records are only
// appended; a line that isn't whole counts as not written. After a power failure
// that may be several, because the disk writes in an order of its own: none of
// them had been synced, so nobody was told that it was kept.

const outboxHead = "natter outbox 1\n"

// record is one line; one of its fields is set.
type record struct {
	Send   *sendRecord `json:"send,omitempty"`
	Done   string      `json:"done,omitempty"`
	Cursor string      `json:"cursor,omitempty"`
}

type sendRecord struct {
	ClientID string `json:"client_id"`
	RoomID   string `json:"room_id"`
	Text     string `json:"text"`
	ReplyTo  uint64 `json:"reply_to,omitempty"`
}

// message is what was written down, or why it can't be sent.
func (s *sendRecord) message() (Outgoing, error) {
	key, err := chat.ParseClientID("client_id", s.ClientID)
	if err != nil {
		return Outgoing{}, err
	}
	room, err := chat.ParseID[chat.RoomID]("room_id", s.RoomID)
	return Outgoing{Room: room, ClientID: key, Text: s.Text, ReplyTo: chat.Seq(s.ReplyTo)}, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumBytes = 9 // eight digits and a space

func recordOf(m *Outgoing) *sendRecord {
	return &sendRecord{ClientID: m.ClientID.String(), RoomID: string(m.Room), Text: m.Text, ReplyTo: uint64(m.ReplyTo)}
}

// line is the record as it stands in the file.
func (r record) line() []byte {
	body, err := json.Marshal(r)
	if err != nil {
		panic("client: a record that can't be encoded: " + err.Error()) // it has strings only
	}
	return fmt.Appendf(make([]byte, 0, len(body)+sumBytes+1), "%08x %s\n", crc32.Checksum(body, castagnoli), body)
}

// parseRecord reads one line without its end.
func parseRecord(line []byte) (r record, ok bool) {
	if len(line) <= sumBytes || line[sumBytes-1] != ' ' {
		return r, false
	}
	sum, err := strconv.ParseUint(string(line[:sumBytes-1]), 16, 32)
	body := line[sumBytes:]
	if err != nil || uint32(sum) != crc32.Checksum(body, castagnoli) || json.Unmarshal(body, &r) != nil {
		return record{}, false
	}
	return r, true
}

// contents is what a file comes to: the messages without an answer, in order.
type contents struct {
	order   []chat.ClientID // with those that were dropped meanwhile
	left    map[chat.ClientID]Outgoing
	bytes   int // about what left takes in the file
	cursor  string
	damaged int
}

const recordOverhead = 120 // of a send record beside its text

func (c *contents) add(m Outgoing) {
	if _, again := c.left[m.ClientID]; again {
		return
	}
	if c.left == nil {
		c.left = map[chat.ClientID]Outgoing{}
	}
	c.left[m.ClientID] = m
	c.order = append(c.order, m.ClientID)
	c.bytes += len(m.Text) + recordOverhead
}

// drop tells whether the message was there.
func (c *contents) drop(key chat.ClientID) bool {
	m, ok := c.left[key]
	if !ok {
		return false
	}
	delete(c.left, key)
	c.bytes -= len(m.Text) + recordOverhead
	if len(c.order) > 64 && len(c.order) > 2*len(c.left) {
		c.order = slices.DeleteFunc(c.order, func(k chat.ClientID) bool { _, is := c.left[k]; return !is })
	}
	return true
}

func (c *contents) messages() []Outgoing {
	all := make([]Outgoing, 0, len(c.left))
	for _, key := range c.order {
		if m, ok := c.left[key]; ok {
			all = append(all, m)
		}
	}
	return all
}

// file is the shortest file that comes to c.
func (c *contents) file() []byte {
	b := append(make([]byte, 0, len(outboxHead)+c.bytes), outboxHead...)
	for _, m := range c.messages() {
		b = append(b, record{Send: recordOf(&m)}.line()...)
	}
	if c.cursor != "" {
		b = append(b, record{Cursor: c.cursor}.line()...)
	}
	return b
}

// parseOutbox reads a file. Bad lines are passed over, and counted as damage if
// a good one follows.
func parseOutbox(raw []byte) (*contents, error) {
	c := &contents{}
	if len(raw) < len(outboxHead) && bytes.HasPrefix([]byte(outboxHead), raw) {
		return c, nil // new, or it died while it was made
	}
	rest, ok := bytes.CutPrefix(raw, []byte(outboxHead))
	if !ok {
		return nil, errors.New("it is no outbox, or of a later version")
	}
	bad := 0
	for len(rest) > 0 {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		r, ok := parseRecord(line)
		if !whole || !ok || !c.apply(&r) {
			bad++
			continue
		}
		c.damaged += bad
		bad = 0
	}
	return c, nil
}

// apply tells whether the record makes sense.
func (c *contents) apply(r *record) bool {
	switch {
	case r.Send != nil:
		m, err := r.Send.message()
		if err != nil {
			return false
		}
		c.add(m)
	case r.Done != "":
		key, err := chat.ParseClientID("client_id", r.Done)
		if err != nil {
			return false
		}
		c.drop(key)
	case r.Cursor != "":
		c.cursor = r.Cursor
	default:
		return false
	}
	return true
}
