package edge

import (
	"sync"
	"time"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// roster is who is here now, on this node: online with one session at the
// device, away when all say so, offline once the last has been gone for the
// linger, so that a phone changing cells makes no noise.
type roster struct {
	e *Edge

	mu       sync.Mutex
	here     map[chat.UserID]*presence
	seen     map[chat.UserID]wire.Time // of those who were here, bounded
	watchers map[chat.UserID]map[*session]struct{}
}

// presence is one person's, while they are here or linger.
type presence struct {
	sessions   map[*session]wire.Status
	visibility string
	told       wire.Status // what watchers were told last
	lingering  *time.Timer
}

// maxSeen bounds last-seen times; at the bound an arbitrary one goes.
const maxSeen = 20_000

func newRoster(e *Edge) *roster {
	return &roster{e: e, here: map[chat.UserID]*presence{}, seen: map[chat.UserID]wire.Time{}, watchers: map[chat.UserID]map[*session]struct{}{}}
}

func (p *presence) status() wire.Status {
	if len(p.sessions) == 0 {
		return p.told // lingers as it was
	}
	for _, status := range p.sessions {
		if status == wire.Online {
			return wire.Online
		}
	}
	return wire.Away
}

func (p *presence) has(s *session) bool {
	_, there := p.sessions[s]
	return there
}

// enter makes s one of its person's sessions.
func (r *roster) enter(s *session, visibility string) {
	u := s.who.User
	r.mu.Lock()
	p := r.here[u]
	if p == nil {
		p = &presence{sessions: map[*session]wire.Status{}, told: wire.Offline}
		r.here[u] = p
	}
	if p.lingering != nil {
		p.lingering.Stop()
		p.lingering = nil
	}
	p.visibility = visibility
	p.sessions[s] = wire.Online
	tell := r.changedLocked(u, p)
	r.mu.Unlock()
	tell()
}

// leave takes s out, and out of what it watched.
func (r *roster) leave(s *session) {
	u := s.who.User
	r.mu.Lock()
	r.unwatchLocked(s)
	p := r.here[u]
	if p == nil {
		r.mu.Unlock()
		return
	}
	delete(p.sessions, s)
	if len(p.sessions) == 0 {
		p.lingering = time.AfterFunc(r.e.linger, func() { r.gone(u, p) })
	}
	tell := r.changedLocked(u, p)
	r.mu.Unlock()
	tell()
}

// gone is the end of the linger.
func (r *roster) gone(u chat.UserID, p *presence) {
	r.mu.Lock()
	if r.here[u] != p || len(p.sessions) > 0 {
		r.mu.Unlock()
		return
	}
	delete(r.here, u)
	for one := range r.seen {
		if len(r.seen) < maxSeen {
			break
		}
		delete(r.seen, one)
	}
	if p.visibility == auth.VisibleToEveryone {
		r.seen[u] = wire.TimeOf(r.e.Now())
	}
	tell := r.newsLocked(u, p.visibility, wire.Offline)
	r.mu.Unlock()
	tell()
}

func (r *roster) setStatus(s *session, status wire.Status) {
	u := s.who.User
	r.mu.Lock()
	p := r.here[u]
	tell := func() {}
	if p != nil {
		if p.has(s) {
			p.sessions[s] = status
		}
		tell = r.changedLocked(u, p)
	}
	r.mu.Unlock()
	tell()
}

// setVisibility takes over who may see u, from now on. Who could and may no
// longer is told offline.
func (r *roster) setVisibility(u chat.UserID, visibility string) {
	r.mu.Lock()
	p := r.here[u]
	tell := func() {}
	if visibility != auth.VisibleToEveryone {
		delete(r.seen, u)
	}
	if p != nil && p.visibility != visibility {
		before := p.visibility
		p.visibility = visibility
		status := p.status()
		if visibility != auth.VisibleToEveryone {
			status = wire.Offline
		}
		if before == auth.VisibleToEveryone || visibility == auth.VisibleToEveryone {
			tell = r.newsLocked(u, auth.VisibleToEveryone, status)
		}
	}
	r.mu.Unlock()
	tell()
}

// changedLocked returns what tells u's watchers if their status is another now.
func (r *roster) changedLocked(u chat.UserID, p *presence) func() {
	status := p.status()
	if status == p.told {
		return func() {}
	}
	p.told = status
	return r.newsLocked(u, p.visibility, status)
}

// newsLocked returns what tells u's watchers, to be called without the lock.
func (r *roster) newsLocked(u chat.UserID, visibility string, status wire.Status) func() {
	watchers := make([]*session, 0, len(r.watchers[u]))
	for s := range r.watchers[u] {
		if s.who.User == u || visibility == auth.VisibleToEveryone {
			watchers = append(watchers, s)
		}
	}
	if len(watchers) == 0 {
		return func() {}
	}
	frame := presenceFrame(wire.Presence{UserID: u, Status: status, LastSeen: r.lastSeenLocked(u, status)})
	return func() {
		for _, s := range watchers {
			s.pass(frame)
		}
	}
}

func (r *roster) lastSeenLocked(u chat.UserID, status wire.Status) wire.Time {
	if status != wire.Offline {
		return 0
	}
	return r.seen[u]
}

// watch replaces what s watches and returns how those people are now.
func (r *roster) watch(s *session, users []chat.UserID) []wire.Presence {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwatchLocked(s)
	if p := r.here[s.who.User]; p == nil || !p.has(s) {
		return nil // it has left meanwhile
	}
	s.watched = users
	now := make([]wire.Presence, 0, len(users))
	for _, u := range users {
		if r.watchers[u] == nil {
			r.watchers[u] = map[*session]struct{}{}
		}
		r.watchers[u][s] = struct{}{}
		now = append(now, r.lookLocked(s.who.User, u))
	}
	return now
}

func (r *roster) unwatchLocked(s *session) {
	for _, u := range s.watched {
		delete(r.watchers[u], s)
		if len(r.watchers[u]) == 0 {
			delete(r.watchers, u)
		}
	}
	s.watched = nil
}

// look is how viewer sees u, who shares a room with them.
func (r *roster) look(viewer, u chat.UserID) wire.Presence {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookLocked(viewer, u)
}

func (r *roster) lookLocked(viewer, u chat.UserID) wire.Presence {
	seen := wire.Presence{UserID: u, Status: wire.Offline}
	p := r.here[u]
	switch {
	case p == nil:
		seen.LastSeen = r.seen[u]
	case viewer == u || p.visibility == auth.VisibleToEveryone:
		seen.Status = p.status()
	}
	return seen
}

// close stops what lingers.
func (r *roster) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.here {
		if p.lingering != nil {
			p.lingering.Stop()
		}
	}
}

func presenceFrame(p wire.Presence) []byte {
	return wire.Encode(&wire.PresenceFrame{UserID: p.UserID, Status: p.Status, LastSeen: p.LastSeen})
}
