package memory

import (
	"context"
	"slices"
	"sync"

	"natter/chat"
)

// History is chat.History and chat.Drafts in memory. Safe for concurrent use.
type History struct {
	mu    sync.RWMutex
	rooms map[chat.RoomID]*room
	marks map[chat.UserID]map[chat.RoomID]chat.Mark
	// drafts are by person and room.
	drafts map[draftKey]chat.Draft
}

type draftKey struct {
	user chat.UserID
	room chat.RoomID
}

// room is a room's state and all its messages: messages[i] has seq i+1.
type room struct {
	state    *chat.RoomState
	messages []chat.Message
}

// NewHistory is an empty history.
func NewHistory() *History {
	return &History{rooms: map[chat.RoomID]*room{}, marks: map[chat.UserID]map[chat.RoomID]chat.Mark{},
		drafts: map[draftKey]chat.Draft{}}
}

// Room implements chat.History. The caller owns what it gets.
func (h *History) Room(ctx context.Context, id chat.RoomID) (*chat.Room, *chat.Message, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r, err := h.find(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	record := r.state.Room.Clone()
	var last *chat.Message
	if n := len(r.messages); n > 0 {
		m := clone(r.messages[n-1])
		last = &m
	}
	return &record, last, nil
}

// Page implements chat.History. The caller owns the slice.
func (h *History) Page(ctx context.Context, id chat.RoomID, from, to chat.Seq) ([]chat.Message, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r, err := h.find(ctx, id)
	if err != nil {
		return nil, err
	}
	from, to = max(from, 1), min(to, chat.Seq(len(r.messages)))
	if from > to {
		return nil, nil
	}
	to = min(to, from+chat.MaxPage-1)
	page := make([]chat.Message, 0, to-from+1)
	for _, m := range r.messages[from-1 : to] {
		page = append(page, clone(m))
	}
	return page, nil
}

// Find implements chat.History.
func (h *History) Find(ctx context.Context, id chat.RoomID, by chat.UserID, client chat.ClientID, since chat.Millis) (*chat.Message, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r, err := h.find(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, m := range slices.Backward(r.messages) {
		if m.CreatedAt < since {
			break
		}
		if m.Sender == by && m.ClientID == client && !client.IsZero() {
			found := clone(m)
			return &found, nil
		}
	}
	return nil, nil
}

// Of implements chat.Drafts.
func (h *History) Of(ctx context.Context, u chat.UserID, rooms ...chat.RoomID) (map[chat.RoomID]chat.Draft, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	held := map[chat.RoomID]chat.Draft{}
	for _, id := range rooms {
		if d, ok := h.drafts[draftKey{u, id}]; ok {
			held[id] = d
		}
	}
	return held, nil
}

// Mine implements chat.History.
func (h *History) Mine(ctx context.Context, u chat.UserID) ([]chat.Mark, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	marks := make([]chat.Mark, 0, len(h.marks[u]))
	for _, m := range h.marks[u] {
		marks = append(marks, m)
	}
	return marks, nil
}

func (h *History) find(ctx context.Context, id chat.RoomID) (*room, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := h.rooms[id]
	if r == nil || r.state.Room.Kind == "" {
		return nil, chat.NotFound("room")
	}
	return r, nil
}

// apply decides a command on a room and keeps what comes of it.
func (h *History) apply(c *chat.Command, w *chat.Window) chat.Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[c.Room]
	if r == nil {
		r = &room{state: chat.NewRoomState(nil, 0)}
	}
	if chat.Amends(c) && r.state.Find(c.Seq) == nil && c.Seq >= 1 && int(c.Seq) <= len(r.messages) {
		r.state.Reach = []chat.Message{clone(r.messages[c.Seq-1])}
	}
	out := r.state.Apply(c, w)
	r.state.Reach = nil
	r.state.TakePages()
	if r.state.Room.Kind != "" {
		h.rooms[c.Room] = r
	}
	for _, m := range out.Messages {
		m = clone(m)
		m.Room = c.Room
		if int(m.Seq) == len(r.messages)+1 {
			r.messages = append(r.messages, m)
		} else {
			r.messages[m.Seq-1] = m
		}
	}
	for _, u := range out.Marks {
		if m := r.state.Room.Member(u); m != nil {
			h.mark(chat.Mark{User: u, Room: c.Room, Read: m.Read, Muted: m.Muted})
		}
	}
	for _, u := range out.Left {
		m := h.marks[u][c.Room]
		m.User, m.Room, m.Left = u, c.Room, true
		h.mark(m)
		delete(h.drafts, draftKey{u, c.Room})
	}
	if d := out.Draft; d != nil && d.Text != "" {
		h.drafts[draftKey{c.By, c.Room}] = *d
	} else if d != nil {
		delete(h.drafts, draftKey{c.By, c.Room})
	}
	return out
}

func (h *History) mark(m chat.Mark) {
	if h.marks[m.User] == nil {
		h.marks[m.User] = map[chat.RoomID]chat.Mark{}
	}
	h.marks[m.User][m.Room] = m
}

func clone(m chat.Message) chat.Message {
	m.Reactions = slices.Clone(m.Reactions)
	return m
}
