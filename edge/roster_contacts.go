package edge

import (
	"natter/chat"
	"natter/wire"
)

// onContacts is told, on every node, that two people have become friends or
// strangers, or are no longer: how near they are to each other is another now, for
// the sessions that watch and for friends'. It doesn't wait.
func (e *Edge) onContacts(before, after chat.Pair) {
	for _, viewer := range []chat.UserID{after.Low, after.High} {
		u := after.Other(viewer)
		for _, s := range e.hub.sessionsOf(viewer) {
			switch {
			case after.Barred():
				e.roster.stand(s, viewed{u, stranger}, before.Friends != 0)
			case after.Friends != 0:
				e.roster.stand(s, viewed{u, friend}, true)
			default:
				e.standAgain(s, u, before.Friends != 0)
			}
		}
	}
}

// standAgain finds out what else there is between a session's person and u. A
// session that has too much to do stays as it is until it watches anew.
func (e *Edge) standAgain(s *session, u chat.UserID, friends bool) {
	_ = s.jobs.add(func() {
		people, err := e.view(s.life, s.who.User, []chat.UserID{u})
		if err != nil {
			e.Logger.Debug("how near two people are can't be read", "err", err)
			return
		}
		e.roster.stand(s, people[0], friends)
	})
}

// stand makes v how s stands to a person it watches, or whose friend its person
// is or was, and tells it how they look now if that is otherwise than before.
func (r *roster) stand(s *session, v viewed, friends bool) {
	r.mu.Lock()
	was, watches := r.watchers[v.user][s]
	if !watches && !friends {
		r.mu.Unlock()
		return // it isn't told of them, and so not that it isn't any more
	}
	if watches {
		r.watchers[v.user][s] = v.as
	}
	if friends && v.as < friend && was < friend {
		was = friend
	}
	before, now := r.lookLocked(viewed{v.user, was}), r.lookLocked(v)
	r.mu.Unlock()
	if before.Status != now.Status || watches && before != now {
		s.pass(wire.Encode(&wire.PresenceFrame{UserID: now.UserID, Status: now.Status, LastSeen: now.LastSeen}))
	}
}
