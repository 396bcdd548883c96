package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"natter/chat"
)

// record is one line of a history's file. Of Member, Sent, Again and Seen one is
// set, and says what the rest means.
type record struct {
	Room   chat.RoomID `json:"room"`
	Member Reader      `json:"member,omitempty"`
	Since  chat.Seq    `json:"since,omitempty"`

	Sent  string `json:"sent,omitempty"`  // who sent it
	Again string `json:"again,omitempty"` // whose message was acknowledged once more, differently
	Seen  Reader `json:"seen,omitempty"`

	Key   string         `json:"key,omitempty"` // none for a system message
	Acked bool           `json:"acked,omitempty"`
	ID    chat.MessageID `json:"id,omitempty"`
	Seq   chat.Seq       `json:"seq,omitempty"`
}

// WriteTo writes the history as JSON, a record a line, in an order from which
// ReadHistory makes the same one.
func (h *History) WriteTo(w io.Writer) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	counted := &counter{w: w}
	buffered := bufio.NewWriter(counted)
	out := json.NewEncoder(buffered)
	var err error
	for _, room := range slices.Sorted(maps.Keys(h.rooms)) {
		h.rooms[room].records(func(r record) {
			r.Room = room
			if err == nil {
				err = out.Encode(&r)
			}
		})
	}
	return counted.n, errors.Join(err, buffered.Flush())
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (r *roomHistory) records(write func(record)) {
	for _, reader := range slices.Sorted(maps.Keys(r.members)) {
		write(record{Member: reader, Since: r.members[reader]})
	}
	for _, s := range r.sent {
		write(record{Sent: s.by, Key: keyText(s.key), Acked: s.acked, ID: s.id, Seq: s.seq})
	}
	for _, a := range r.again {
		write(record{Again: a.by, Key: keyText(a.key), ID: a.id, Seq: a.seq})
	}
	for _, reader := range slices.Sorted(maps.Keys(r.shown)) {
		for _, s := range r.shown[reader] {
			write(record{Seen: reader, Key: keyText(s.key), ID: s.id, Seq: s.seq})
		}
	}
}

func keyText(key chat.ClientID) string {
	if key.IsZero() {
		return ""
	}
	return key.String()
}

// ReadHistory reads what WriteTo wrote.
func ReadHistory(from io.Reader) (*History, error) {
	h := NewHistory()
	in := json.NewDecoder(from)
	for n := 1; ; n++ {
		var r record
		err := in.Decode(&r)
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err == nil {
			err = h.apply(&r)
		}
		if err != nil {
			return nil, fmt.Errorf("check: record %d of the history: %w", n, err)
		}
	}
}

func (h *History) apply(r *record) error {
	var key chat.ClientID
	if r.Key != "" {
		var err error
		if key, err = chat.ParseClientID("key", r.Key); err != nil {
			return err
		}
	}
	switch {
	case r.Member != "":
		h.Member(r.Room, r.Member, r.Since)
	case r.Sent != "":
		h.Sent(r.Room, r.Sent, key)
		if r.Acked {
			h.Acked(r.Room, key, r.ID, r.Seq)
		}
	case r.Again != "":
		h.Acked(r.Room, key, r.ID, r.Seq)
	case r.Seen != "":
		h.Seen(r.Room, r.Seen, r.Seq, r.ID, key)
	default:
		return errors.New("it is none of member, sent, again and seen")
	}
	return nil
}
