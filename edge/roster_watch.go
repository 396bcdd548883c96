package edge

import (
	"context"

	"natter/chat"
	"natter/wire"
)

// Who is told of whom: sessions that watch, and friends.

// statusOf is the wire's word for a standing.
func statusOf(s chat.Standing) wire.Status {
	switch s {
	case chat.Here:
		return wire.Online
	case chat.Away:
		return wire.Away
	}
	return wire.Offline
}

// newsLocked leaves u's new status to be told.
func (r *roster) newsLocked(u chat.UserID, now view) {
	if len(r.watchers[u]) == 0 && r.e.Friends == nil {
		return
	}
	news := wire.Presence{UserID: u, Status: statusOf(now)}
	if now == chat.Gone {
		news.LastSeen = wire.Time(r.seen[u])
	}
	r.news = append(r.news, news)
}

// tell tells what is left to be told, in its order. The caller doesn't hold mu.
func (r *roster) tell() {
	r.telling.Lock()
	defer r.telling.Unlock()
	for {
		r.mu.Lock()
		if len(r.news) == 0 {
			r.mu.Unlock()
			return
		}
		news := r.news[0]
		r.news = r.news[1:]
		if len(r.news) == 0 {
			r.news = nil
		}
		visibility := r.e.Auth.Visibility(news.UserID)
		told := map[*session]bool{}
		for s, as := range r.watchers[news.UserID] {
			if as.sees(visibility) {
				told[s] = true
			}
		}
		r.mu.Unlock()
		if r.e.Friends != nil && friend.sees(visibility) {
			for _, f := range r.e.Friends(news.UserID) {
				for _, s := range r.e.hub.sessionsOf(f) {
					told[s] = true
				}
			}
		}
		if len(told) == 0 {
			continue
		}
		frame := presenceFrame(news)
		for s := range told {
			s.pass(frame)
		}
	}
}

// visibility is told by auth, on every node, that who may see u has changed. Who
// could and may no longer is told offline, who may now how u is.
func (r *roster) visibility(u chat.UserID, before, after string) {
	r.tell()
	r.telling.Lock() // so that this comes after what was before, and before what comes after
	defer r.telling.Unlock()
	told := map[*session]closeness{}
	if r.e.Friends != nil {
		for _, f := range r.e.Friends(u) {
			for _, s := range r.e.hub.sessionsOf(f) {
				told[s] = friend
			}
		}
	}
	now := chat.Gone
	r.mu.Lock()
	if p := r.here[u]; p != nil {
		now = r.viewLocked(p)
	}
	for s, as := range r.watchers[u] {
		told[s] = max(told[s], as)
	}
	r.mu.Unlock()
	if now == chat.Gone {
		return // they look the same to all
	}
	var lost, won []*session
	for s, as := range told {
		switch could, may := as.sees(before), as.sees(after); {
		case could && !may:
			lost = append(lost, s)
		case !could && may:
			won = append(won, s)
		}
	}
	pass(lost, wire.Presence{UserID: u, Status: wire.Offline})
	pass(won, wire.Presence{UserID: u, Status: statusOf(now)})
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

// watch replaces what s watches and returns how those people are now.
func (r *roster) watch(ctx context.Context, s *session, people []viewed) []wire.Presence {
	r.load(ctx, people)
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
func (r *roster) look(ctx context.Context, people []viewed) []wire.Presence {
	r.load(ctx, people)
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
	if !v.as.sees(r.e.Auth.Visibility(v.user)) {
		return seen
	}
	if p := r.here[v.user]; p != nil {
		seen.Status = statusOf(r.viewLocked(p))
	}
	if seen.Status == wire.Offline {
		seen.LastSeen = wire.Time(r.seen[v.user])
	}
	return seen
}

// load reads when those of people who aren't here were, as far as the viewer may
// know and memory doesn't. What can't be read is left out.
func (r *roster) load(ctx context.Context, people []viewed) {
	if r.e.Seen == nil {
		return
	}
	var unknown []chat.UserID
	r.mu.Lock()
	for _, v := range people {
		_, known := r.seen[v.user]
		p := r.here[v.user]
		if (p == nil || r.viewLocked(p) == chat.Gone) && !known && v.as.sees(r.e.Auth.Visibility(v.user)) {
			unknown = append(unknown, v.user)
		}
	}
	r.mu.Unlock()
	_ = parallel(len(unknown), func(i int) error {
		at, err := r.e.Seen.Get(ctx, unknown[i])
		if err != nil {
			r.e.Logger.Debug("when somebody was last here can't be read", "user", unknown[i], "err", err)
			return nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, known := r.seen[unknown[i]]; !known && at != 0 {
			r.rememberLocked(unknown[i], at)
		}
		return nil
	})
}

// greet tells a new session how its friends are who are here.
func (r *roster) greet(s *session) {
	if r.e.Friends == nil {
		return
	}
	friends := r.e.Friends(s.who.User)
	var now []wire.Presence
	r.mu.Lock()
	for _, f := range friends {
		if p := r.lookLocked(viewed{f, friend}); p.Status != wire.Offline {
			now = append(now, p)
		}
	}
	r.mu.Unlock()
	for _, p := range now {
		s.pass(presenceFrame(p))
	}
}

func presenceFrame(p wire.Presence) []byte {
	return wire.Encode(&wire.PresenceFrame{UserID: p.UserID, Status: p.Status, LastSeen: p.LastSeen})
}
