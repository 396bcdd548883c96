package chat

import "time"

// RoomState is a room as its projector holds it: the record, the last seq, and
// the messages of history that are not in a sealed page yet. It is owned by one
// goroutine.
type RoomState struct {
	Room Room // zero Kind: the room does not exist
	Last Seq
	// LastAt is the last message's time. A message's time never goes back within
	// its room, so that a page can be found by time.
	LastAt Millis
	// Tail holds the messages after the last sealed page, oldest first: those of
	// seq 64k+1 to Last.
	Tail []Message
	// Reach holds sealed messages that a command to come amends: the projector
	// puts them here before Apply, which changes them in place.
	Reach []Message
}

// Find is the message of seq in the tail or in reach, to be changed in place;
// nil if it is in neither.
func (r *RoomState) Find(seq Seq) *Message {
	for _, held := range [][]Message{r.Tail, r.Reach} {
		if n := len(held); n == 0 || seq < held[0].Seq || seq > held[n-1].Seq {
			continue
		}
		for i := range held {
			if held[i].Seq == seq {
				return &held[i]
			}
		}
	}
	return nil
}

// Exists tells whether the room has been made and not closed.
func (r *RoomState) Exists() bool { return r.Room.Kind != "" && !r.Room.Closed }

// message makes the room's next message.
func (r *RoomState) message(c *Command, kind MessageKind) Message {
	r.Last++
	if r.LastAt < c.At {
		r.LastAt = c.At
	}
	return Message{ID: c.ID, Room: r.Room.ID, Seq: r.Last, Kind: kind, Sender: c.By, CreatedAt: r.LastAt}
}

// Sealed tells how many pages of history are sealed: floor(Last / PageMessages).
func (r *RoomState) Sealed() uint64 { return uint64(r.Last) / PageMessages }

// TakePages cuts full pages off the tail, oldest first, and returns them. The
// slices are the caller's.
func (r *RoomState) TakePages() [][]Message {
	var pages [][]Message
	for len(r.Tail) > 0 {
		end := (uint64(r.Tail[0].Seq)-1)/PageMessages*PageMessages + PageMessages
		n := int(end-uint64(r.Tail[0].Seq)) + 1
		if len(r.Tail) < n {
			break
		}
		pages = append(pages, r.Tail[:n:n])
		r.Tail = append([]Message(nil), r.Tail[n:]...)
	}
	return pages
}

// Window remembers the client_ids of the last minutes (WindowKept) of one
// partition, by the commands' own time. Older ones are the edge's to look up.
// Owned by one goroutine.
type Window struct {
	seen map[sendKey]Result
	// order is the keys by the time they came; times are the commands'.
	order []sendSeen
}

type sendKey struct {
	room   RoomID
	sender UserID
	client ClientID
}

type sendSeen struct {
	key sendKey
	at  Millis
}

// windowSlack is kept beyond WindowSpan because the clocks of two nodes and the way
// from edge to log lie between the edge's look and the projector's.
const windowSlack = Millis(30_000)

// WindowKept is how long a client_id is remembered. The edge goes by the id's
// own time, which may be MaxClockAhead ahead of ours: sent at 10:00 with a time
// of 10:02, it is young until 10:04, and until then only the window knows it.
const WindowKept = Millis((WindowSpan+MaxClockAhead)/time.Millisecond) + windowSlack

// NewWindow makes an empty window.
func NewWindow() *Window { return &Window{seen: make(map[sendKey]Result)} }

// Len is how many client_ids are remembered.
func (w *Window) Len() int { return len(w.seen) }

func (w *Window) find(c *Command) (Result, bool) {
	res, ok := w.seen[sendKey{c.Room, c.By, c.ClientID}]
	return res, ok
}

func (w *Window) add(c *Command, res Result) {
	w.remember(sendKey{c.Room, c.By, c.ClientID}, res, c.At)
}

// Remember puts in a message that history holds, as if it had just been sent: a
// window that begins in the middle of the log is whole only with those before.
// Call it in the order of time.
func (w *Window) Remember(m *Message) {
	if !m.ClientID.IsZero() {
		w.remember(sendKey{m.Room, m.Sender, m.ClientID}, Result{ID: m.ID, Seq: m.Seq, At: m.CreatedAt}, m.CreatedAt)
	}
}

func (w *Window) remember(key sendKey, res Result, at Millis) {
	w.seen[key] = res
	w.order = append(w.order, sendSeen{key, at})
	limit := at - WindowKept
	drop := 0
	for drop < len(w.order) && w.order[drop].at < limit {
		delete(w.seen, w.order[drop].key)
		drop++
	}
	if drop > 0 && drop*2 >= len(w.order) {
		w.order = append(w.order[:0:0], w.order[drop:]...)
	} else {
		w.order = w.order[drop:]
	}
}

// NewRoomState holds a room (nil: none yet) whose last message has seq last.
func NewRoomState(room *Room, last Seq) *RoomState {
	r := &RoomState{Last: last}
	if room != nil {
		r.Room = room.Clone()
	}
	return r
}
