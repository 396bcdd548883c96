package edge

import (
	"context"
	"time"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// hello makes the socket a session of its person. The order matters: it follows
// the queue before it finds out where to start, so that nothing falls between.
func (s *session) hello(f *wire.Hello, ref string) error {
	cookie := s.cookie
	ctx, cancel := context.WithTimeout(s.life, callWithin)
	defer cancel()
	verify := func() (auth.Identity, error) {
		if f.Token != "" {
			return s.e.Auth.Verify(f.Token)
		}
		if cookie != "" {
			return s.e.Auth.VerifyCookie(ctx, cookie)
		}
		return auth.Identity{}, chat.Unauthenticated("hello needs an access token")
	}
	who, err := verify()
	if err != nil {
		return s.dismiss(ref, err)
	}
	start, fromNow, err := s.startAt(ctx, who, f)
	if err != nil {
		s.refuse(ref, err)
		if chat.KindOf(err) == chat.KindInvalid {
			return nil // another hello may follow
		}
		return &goodbye{wire.CloseUnavailable, "the queue can't be read now"}
	}
	profile, err := s.e.Auth.Profile(ctx, who.User)
	if err != nil {
		return s.dismiss(ref, err)
	}
	s.mu.Lock()
	s.who, s.place, s.reading = who, start, true // hints wait until the first look
	s.mu.Unlock()
	oldest, entered := s.e.hub.enter(s)
	if !entered {
		s.refuse(ref, chat.TooMany("too many connections of one person", int64(s.e.MaxSocketsPerUser), 0))
		return &goodbye{wire.CloseTooMany, "too many connections"}
	}
	s.undo(func() { s.e.hub.leave(s) })
	if oldest != nil {
		oldest.close(wire.CloseTooMany, "the device has newer connections")
	}
	// Whoever was revoked between the first look and enter wasn't told.
	if _, err := verify(); err != nil {
		return s.dismiss(ref, err)
	}
	if err := s.follow(who, fromNow); err != nil {
		s.refuse(ref, err)
		return &goodbye{wire.CloseUnavailable, "the queue can't be followed now"}
	}
	s.greeted, s.cookie = true, ""
	s.put(wire.Encode(&wire.Welcome{
		Ref: ref, User: wireUser(profile.User), DeviceID: who.Device, Node: s.e.NodeID, Cursor: s.placeNow().String(who.User),
		HeartbeatMS: s.e.Heartbeat.Milliseconds(), ServerTime: wire.TimeOf(s.e.Now()),
	}))
	s.e.roster.enter(s)
	s.undo(func() { s.e.roster.leave(s) })
	if f.Token != "" { // a client that refreshes in time has connected anew before that
		s.expires = time.Now().Add(who.Expires.Add(s.e.expiryGrace).Sub(s.e.Now()))
	}
	s.start(s.catchUp)
	return nil
}

// startAt is where the device goes on: where it says, else what it acked last,
// else now.
func (s *session) startAt(ctx context.Context, who auth.Identity, f *wire.Hello) (at chat.Cursor, fromNow bool, err error) {
	fromNow = f.Cursor == "" && f.SinceMessage == ""
	if fromNow && s.e.Cursors != nil {
		if at, known, err := s.e.Cursors.Get(ctx, who.User, who.Device); err != nil || known {
			return at, false, err
		}
	}
	at, err = s.e.startOf(ctx, who.User, f.Cursor, f.SinceMessage)
	return at, fromNow, err
}

// dismiss says why and closes; who can't be asked now may come back.
func (s *session) dismiss(ref string, err error) error {
	s.refuse(ref, err)
	if chat.KindOf(err) == chat.KindUnauthenticated {
		return &goodbye{wire.CloseUnauthenticated, "sign in again"}
	}
	return &goodbye{wire.CloseUnavailable, "not available now"}
}

// follow listens to the queue and to passing news. fromNow moves the place to
// the queue's head as it is after following began.
func (s *session) follow(who auth.Identity, fromNow bool) error {
	stop, err := s.e.Queues.Follow(who.User, s.hint)
	if err != nil {
		return err
	}
	s.undo(stop)
	if stop, err = s.e.News.Listen(who.User, s.pass); err != nil {
		return err
	}
	s.undo(stop)
	if !fromNow {
		return nil
	}
	head, err := s.e.Queues.Head(s.life, who.User)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.place = head
	s.mu.Unlock()
	return nil
}

// undo has stop called when the session ends.
func (s *session) undo(stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = append(s.stop, stop)
}

func (s *session) placeNow() chat.Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place
}
