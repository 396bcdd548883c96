package check

import (
	"sync"

	"natter/chat"
)

// Reader is a device that shows a room's messages, by a name for the report.
type Reader string

// History is the record of a run. All methods are safe for concurrent use and
// don't block on anything but each other.
type History struct {
	mu    sync.Mutex
	rooms map[chat.RoomID]*roomHistory
}

type roomHistory struct {
	members map[Reader]chat.Seq // the last seq before the reader joined
	sent    []send              // in the order of sending
	bySend  map[chat.ClientID]int
	shown   map[Reader][]shown // in the order of showing
	again   []again            // acknowledgements that contradict the first
}

type send struct {
	by    string
	key   chat.ClientID
	acked bool
	id    chat.MessageID
	seq   chat.Seq
}

type again struct {
	send
	id  chat.MessageID
	seq chat.Seq
}

type shown struct {
	seq chat.Seq
	id  chat.MessageID
	key chat.ClientID // zero for a system message
}

// NewHistory is an empty record.
func NewHistory() *History { return &History{rooms: map[chat.RoomID]*roomHistory{}} }

func (h *History) roomLocked(id chat.RoomID) *roomHistory {
	r := h.rooms[id]
	if r == nil {
		r = &roomHistory{members: map[Reader]chat.Seq{}, bySend: map[chat.ClientID]int{}, shown: map[Reader][]shown{}}
		h.rooms[id] = r
	}
	return r
}

// Member says that a reader must be shown everything of the room after seq
// since. Whoever sees the room without being named here is a stranger.
func (h *History) Member(room chat.RoomID, reader Reader, since chat.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.roomLocked(room).members[reader] = since
}

// Sent says that by is about to send a message. Call it before the message
// leaves, once a message however often it is tried, and in the sender's order.
func (h *History) Sent(room chat.RoomID, by string, key chat.ClientID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.roomLocked(room)
	r.bySend[key] = len(r.sent)
	r.sent = append(r.sent, send{by: by, key: key})
}

// Acked says what the server answered. An answer to a retry is told as well:
// it must agree with the first.
func (h *History) Acked(room chat.RoomID, key chat.ClientID, id chat.MessageID, seq chat.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.roomLocked(room)
	i, ok := r.bySend[key]
	if !ok { // an answer to what nobody asked
		r.again = append(r.again, again{send: send{by: "nobody", key: key}, id: id, seq: seq})
		return
	}
	s := &r.sent[i]
	if s.acked && (s.id != id || s.seq != seq) {
		r.again = append(r.again, again{send: *s, id: id, seq: seq})
		return
	}
	s.acked, s.id, s.seq = true, id, seq
}

// Seen says that a reader showed a message, after the device's own dropping of
// what it has. key is zero for a system message.
func (h *History) Seen(room chat.RoomID, reader Reader, seq chat.Seq, id chat.MessageID, key chat.ClientID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.roomLocked(room)
	r.shown[reader] = append(r.shown[reader], shown{seq: seq, id: id, key: key})
}

// Missing is how many acknowledged messages have not been shown to a reader
// that must see them, for the readers that which names. Use it to wait for the
// end of a run; what it counts is what Check would call lost.
func (h *History) Missing(which func(Reader) bool) (missing int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		for reader, since := range r.members {
			if !which(reader) {
				continue
			}
			has := make(map[chat.ClientID]bool, len(r.shown[reader]))
			for _, s := range r.shown[reader] {
				has[s.key] = true
			}
			for i := range r.sent {
				if s := &r.sent[i]; s.acked && s.seq > since && !has[s.key] {
					missing++
				}
			}
		}
	}
	return missing
}

// Check judges what has been recorded so far.
func (h *History) Check() *Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	rep := &Report{Rooms: len(h.rooms)}
	for id, r := range h.rooms {
		r.check(id, rep)
	}
	return rep
}
