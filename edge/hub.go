package edge

import (
	"slices"
	"sync"

	"natter/chat"
	"natter/wire"
)

// hub knows every session on this node by its person. A session enters after
// hello and leaves before its handler returns.
type hub struct {
	most int // sessions a person

	mu     sync.Mutex
	of     map[chat.UserID][]*session // those after hello, oldest first
	open   map[*session]struct{}      // those before hello too
	closed bool                       // nobody more comes in
	away   bool                       // nobody does for now
	all    sync.WaitGroup             // of open
}

func newHub(most int) *hub {
	return &hub{most: most, of: map[chat.UserID][]*session{}, open: map[*session]struct{}{}}
}

// begin counts a new socket; false when the node is closing, or
// sends its clients elsewhere.
func (h *hub) begin(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.away {
		return false
	}
	h.open[s] = struct{}{}
	h.all.Add(1)
	return true
}

// end is the last thing a session does.
func (h *hub) end(s *session) {
	h.mu.Lock()
	delete(h.open, s)
	h.mu.Unlock()
	h.all.Done()
}

// enter makes s one of its person's sessions. Who has as many as one may gives
// up the oldest of the same device, which is returned: a client that lost its
// connections without a word gets in. A further device doesn't.
func (h *hub) enter(s *session) (oldest *session, entered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.of[s.who.User]
	if len(of) >= h.most {
		i := slices.IndexFunc(of, func(one *session) bool { return one.who.Device == s.who.Device })
		if i < 0 {
			return nil, false
		}
		oldest = of[i]
		of = slices.Delete(of, i, i+1)
	}
	h.of[s.who.User] = append(of, s)
	return oldest, true
}

func (h *hub) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := slices.DeleteFunc(h.of[s.who.User], func(one *session) bool { return one == s })
	if len(of) == 0 {
		delete(h.of, s.who.User)
		return
	}
	h.of[s.who.User] = of
}

// sessionsOf is the sessions of a person on this node.
func (h *hub) sessionsOf(u chat.UserID) []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.of[u])
}

// revoke closes the sessions of a device.
func (h *hub) revoke(u chat.UserID, d chat.DeviceID) {
	h.mu.Lock()
	var ended []*session
	for _, s := range h.of[u] {
		if s.who.Device == d {
			ended = append(ended, s)
		}
	}
	h.mu.Unlock()
	for _, s := range ended {
		s.close(wire.CloseRevoked, "the session was ended")
	}
}

// shut lets nobody in any more and returns who is there.
func (h *hub) shut() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	return h.openLocked()
}

// suspend lets nobody in, or everybody again, and returns who is there.
func (h *hub) suspend(away bool) []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = away
	return h.openLocked()
}

func (h *hub) sessions() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.openLocked()
}

func (h *hub) openLocked() []*session {
	all := make([]*session, 0, len(h.open))
	for s := range h.open {
		all = append(all, s)
	}
	return all
}
