package edge

import (
	"sync"

	"natter/chat"
	"natter/wire"
)

// hub knows every session on this node by its person. A session enters after
// hello and leaves before its handler returns.
type hub struct {
	most int // sessions a person

	mu     sync.Mutex
	of     map[chat.UserID]map[*session]struct{}
	open   map[*session]struct{} // those before hello too
	closed bool                  // nobody more comes in
	all    sync.WaitGroup        // of open
}

func newHub(most int) *hub {
	return &hub{most: most, of: map[chat.UserID]map[*session]struct{}{}, open: map[*session]struct{}{}}
}

// begin counts a new socket; false when the node is closing.
func (h *hub) begin(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
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

// enter makes s one of u's sessions; false when u has as many as one may.
func (h *hub) enter(u chat.UserID, s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.of[u]) >= h.most {
		return false
	}
	if h.of[u] == nil {
		h.of[u] = map[*session]struct{}{}
	}
	h.of[u][s] = struct{}{}
	return true
}

func (h *hub) leave(u chat.UserID, s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of[u], s)
	if len(h.of[u]) == 0 {
		delete(h.of, u)
	}
}

// revoke closes the sessions of a device.
func (h *hub) revoke(u chat.UserID, d chat.DeviceID) {
	h.mu.Lock()
	var ended []*session
	for s := range h.of[u] {
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
