package edge

import (
	"slices"
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
	seen     map[chat.UserID]lastSeen // of those who were here, bounded
	watchers map[chat.UserID]map[*session]closeness
}

// lastSeen is when a person left, and who may know.
type lastSeen struct {
	at         wire.Time
	visibility string
}

// closeness is how near a viewer is to the one they look at.
type closeness uint8

const (
	stranger closeness = iota
	roomMate
	friend
	oneself
)

// sees tells whether a viewer so close may see a person of that visibility.
func (c closeness) sees(visibility string) bool {
	switch visibility {
	case auth.VisibleToEveryone:
		return c >= roomMate
	case auth.VisibleToFriends:
		return c >= friend
	}
	return c == oneself
}

// viewed is a person as one viewer stands to them.
type viewed struct {
	user chat.UserID
	as   closeness
}

// presence is one person's, while they are here or linger.
type presence struct {
	sessions   []attendance // few
	visibility string
	told       wire.Status // what watchers were told last
	lingering  *time.Timer
}

// attendance is how one of a person's sessions says they are.
type attendance struct {
	session *session
	status  wire.Status
}

// maxSeen bounds last-seen times; at the bound an arbitrary one goes.
const maxSeen = 20_000

func newRoster(e *Edge) *roster {
	return &roster{e: e, here: map[chat.UserID]*presence{}, seen: map[chat.UserID]lastSeen{}, watchers: map[chat.UserID]map[*session]closeness{}}
}

func (p *presence) status() wire.Status {
	if len(p.sessions) == 0 {
		return p.told // lingers as it was
	}
	for _, one := range p.sessions {
		if one.status == wire.Online {
			return wire.Online
		}
	}
	return wire.Away
}

// of is the place of a session in p.sessions, -1 if it isn't there.
func (p *presence) of(s *session) int {
	return slices.IndexFunc(p.sessions, func(one attendance) bool { return one.session == s })
}

// enter makes s one of its person's sessions.
func (r *roster) enter(s *session, visibility string) {
	u := s.who.User
	r.mu.Lock()
	p := r.here[u]
	if p == nil {
		p = &presence{told: wire.Offline}
		r.here[u] = p
	}
	if p.lingering != nil {
		p.lingering.Stop()
		p.lingering = nil
	}
	p.visibility = visibility
	p.sessions = append(p.sessions, attendance{s, wire.Online})
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
	if i := p.of(s); i >= 0 {
		p.sessions = slices.Delete(p.sessions, i, i+1)
	}
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
	r.seen[u] = lastSeen{wire.TimeOf(r.e.Now()), p.visibility}
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
		if i := p.of(s); i >= 0 {
			p.sessions[i].status = status
		}
		tell = r.changedLocked(u, p)
	}
	r.mu.Unlock()
	tell()
}

// setVisibility takes over who may see u, from now on. Who could and may no
// longer is told offline, who may now how u is.
func (r *roster) setVisibility(u chat.UserID, visibility string) {
	r.mu.Lock()
	if last, ok := r.seen[u]; ok {
		r.seen[u] = lastSeen{last.at, visibility}
	}
	p := r.here[u]
	if p == nil || p.visibility == visibility {
		r.mu.Unlock()
		return
	}
	var lost, won []*session
	for s, as := range r.watchers[u] {
		switch before, now := as.sees(p.visibility), as.sees(visibility); {
		case before && !now:
			lost = append(lost, s)
		case !before && now:
			won = append(won, s)
		}
	}
	p.visibility = visibility
	status := p.status()
	r.mu.Unlock()
	pass(lost, wire.Presence{UserID: u, Status: wire.Offline})
	pass(won, wire.Presence{UserID: u, Status: status})
}

func pass(to []*session, p wire.Presence) {
	if len(to) == 0 {
		return
	}
	frame := presenceFrame(p)
	for _, s := range to {
		s.pass(frame)
	}
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
	var watchers []*session
	for s, as := range r.watchers[u] {
		if as.sees(visibility) {
			watchers = append(watchers, s)
		}
	}
	news := wire.Presence{UserID: u, Status: status}
	if status == wire.Offline {
		news.LastSeen = r.seen[u].at
	}
	return func() { pass(watchers, news) }
}

// watch replaces what s watches and returns how those people are now.
func (r *roster) watch(s *session, people []viewed) []wire.Presence {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwatchLocked(s)
	if p := r.here[s.who.User]; p == nil || p.of(s) < 0 {
		return nil // it has left meanwhile
	}
	now := make([]wire.Presence, 0, len(people))
	for _, v := range people {
		if v.as == stranger {
			continue
		}
		if r.watchers[v.user] == nil {
			r.watchers[v.user] = map[*session]closeness{}
		}
		r.watchers[v.user][s] = v.as
		s.watched = append(s.watched, v.user)
		now = append(now, r.lookLocked(v))
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

// look is how the viewer sees each of people.
func (r *roster) look(people []viewed) []wire.Presence {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make([]wire.Presence, len(people))
	for i, v := range people {
		seen[i] = r.lookLocked(v)
	}
	return seen
}

func (r *roster) lookLocked(v viewed) wire.Presence {
	seen := wire.Presence{UserID: v.user, Status: wire.Offline}
	if p := r.here[v.user]; p != nil {
		if v.as.sees(p.visibility) {
			seen.Status = p.status()
		}
	} else if last := r.seen[v.user]; v.as.sees(last.visibility) {
		seen.LastSeen = last.at
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
