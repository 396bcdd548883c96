package edge

import (
	"slices"
	"strings"
	"sync"
	"time"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// roster is who is here now: online with one session at the device on any node,
// away when all say so, offline once the last has been gone for the linger, so
// that a phone changing cells, or nodes, makes no noise.
//
//	sessions here ──┐
//	                ├─▶ presence ─▶ linger ─▶ those who watch, and friends
//	chat.Roster ────┘      │
//	(the other nodes)      └─▶ chat.Seen, when the last one was here
//
// Each node tells its own sessions, from its own view of all.
type roster struct {
	e *Edge

	mu sync.Mutex
	places
	here     map[chat.UserID]*presence
	seen     map[chat.UserID]chat.Millis // when people were last here, of some, bounded
	watchers map[chat.UserID]map[*session]closeness
	news     []wire.Presence // to be told, in order

	telling sync.Mutex // held while telling, never with mu but inside it
	stop    func()     // of Roster.Watch
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

// presence is one person's, while they are here or linger, on any node.
type presence struct {
	sessions  []attendance // on this node; few
	places    []place      // on the others; few
	lingering *time.Timer  // nil: they are here, or there is nothing to linger for
	left      chat.Millis  // when the last one went, while they linger
	was       chat.Standing
	note      bool // this node keeps when they were last here
}

// attendance is how one of a person's sessions says they are.
type attendance struct {
	session  *session
	standing chat.Standing
}

// view is how a person looks from outside.
type view = chat.Standing

// maxSeen bounds last-seen times in memory; at the bound an arbitrary one goes,
// and is read again when it is asked for.
const maxSeen = 20_000

func newRoster(e *Edge) *roster {
	return &roster{e: e, places: newPlaces(), here: map[chat.UserID]*presence{}, seen: map[chat.UserID]chat.Millis{},
		watchers: map[chat.UserID]map[*session]closeness{}}
}

// open begins to hear of the other nodes.
func (r *roster) open() error {
	r.e.Auth.OnVisibility(r.visibility)
	if r.e.Roster == nil {
		return nil
	}
	stop, err := r.e.Roster.Watch(r.changed)
	r.stop = stop
	return err
}

// standing is the best of all of p's devices, wherever they are.
func (r *roster) standing(p *presence) chat.Standing {
	best := r.elsewhere(p)
	for _, one := range p.sessions {
		best = max(best, one.standing)
	}
	return best
}

// viewLocked is how p looks: who lingers is still as they were.
func (r *roster) viewLocked(p *presence) view {
	if now := r.standing(p); now != chat.Gone || p.lingering == nil {
		return now
	}
	return p.was
}

// of is the place of a session in p.sessions, -1 if it isn't there.
func (p *presence) of(s *session) int {
	return slices.IndexFunc(p.sessions, func(one attendance) bool { return one.session == s })
}

// device is how a device of p's is on this node.
func (p *presence) device(d chat.DeviceID) chat.Standing {
	best := chat.Gone
	for _, one := range p.sessions {
		if one.session.who.Device == d {
			best = max(best, one.standing)
		}
	}
	return best
}

// alterLocked changes a person, and leaves what follows from it to be told.
func (r *roster) alterLocked(u chat.UserID, change func(*presence)) {
	p := r.here[u]
	if p == nil {
		p = &presence{}
		r.here[chat.UserID(strings.Clone(string(u)))] = p // what was told may be a piece of something longer
	}
	before := r.viewLocked(p)
	change(p)
	r.settleLocked(u, p, before)
}

// settleLocked begins or ends the linger of one who has changed.
func (r *roster) settleLocked(u chat.UserID, p *presence, before view) {
	now := r.standing(p)
	switch {
	case now != chat.Gone && p.lingering != nil:
		p.lingering.Stop()
		p.lingering, p.note = nil, false
	case now == chat.Gone && p.lingering == nil && before != chat.Gone:
		p.was, p.left = before, chat.MillisOf(r.e.Now())
		p.lingering = time.AfterFunc(r.e.linger, func() { r.gone(u, p) })
	}
	if after := r.viewLocked(p); after != before {
		r.newsLocked(u, after)
	}
	r.dropLocked(u, p)
}

// dropLocked forgets who isn't here in any way.
func (r *roster) dropLocked(u chat.UserID, p *presence) {
	if len(p.sessions) == 0 && len(p.places) == 0 && p.lingering == nil && r.here[u] == p {
		delete(r.here, u)
	}
}

// alterSession changes one of a person's sessions, and has the other nodes told
// if that changes how its device is.
func (r *roster) alterSession(s *session, change func(*presence)) {
	u, d := s.who.User, s.who.Device
	r.mu.Lock()
	r.alterLocked(u, func(p *presence) {
		before := p.device(d)
		change(p)
		if after := p.device(d); after != before && r.e.Roster != nil {
			r.e.Roster.Set(u, d, after) // under the lock, so that the last one told is the last one meant
		}
	})
	r.mu.Unlock()
	r.tell()
}

// enter makes s one of its person's sessions.
func (r *roster) enter(s *session) {
	r.alterSession(s, func(p *presence) {
		p.sessions = append(p.sessions, attendance{s, chat.Here})
	})
	r.keep(s.who.User, chat.MillisOf(r.e.Now())) // should this node not live to see them go
}

// leave takes s out, and out of what it watched.
func (r *roster) leave(s *session) {
	r.mu.Lock()
	r.unwatchLocked(s)
	r.mu.Unlock()
	r.alterSession(s, func(p *presence) {
		if i := p.of(s); i >= 0 {
			p.sessions = slices.Delete(p.sessions, i, i+1)
			p.note = len(p.sessions) == 0
		}
	})
}

func (r *roster) setStatus(s *session, status wire.Status) {
	standing := chat.Here
	if status == wire.Away {
		standing = chat.Away
	}
	r.alterSession(s, func(p *presence) {
		if i := p.of(s); i >= 0 {
			p.sessions[i].standing = standing
		}
	})
}

// gone is the end of the linger.
func (r *roster) gone(u chat.UserID, p *presence) {
	r.mu.Lock()
	if r.here[u] != p || p.lingering == nil || r.standing(p) != chat.Gone {
		r.mu.Unlock()
		return
	}
	p.lingering = nil
	at, note := p.left, p.note
	r.rememberLocked(u, at)
	r.newsLocked(u, chat.Gone)
	r.dropLocked(u, p)
	r.mu.Unlock()
	if note {
		r.keep(u, at)
	}
	r.tell()
}

// keep keeps when u was last here beyond this node's life.
func (r *roster) keep(u chat.UserID, at chat.Millis) {
	if r.e.Seen != nil {
		r.e.Seen.Put(u, at)
	}
}

func (r *roster) rememberLocked(u chat.UserID, at chat.Millis) {
	for one := range r.seen {
		if len(r.seen) < maxSeen {
			break
		}
		delete(r.seen, one)
	}
	r.seen[u] = at
}

// close stops what lingers, and hearing of the others. Who lingers has left.
func (r *roster) close() {
	if r.stop != nil {
		r.stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for u, p := range r.here {
		if p.lingering == nil {
			continue
		}
		p.lingering.Stop()
		if p.note {
			r.keep(u, p.left)
		}
	}
}
