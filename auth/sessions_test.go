package auth

import (
	"strings"
	"sync"
	"testing"
	"time"

	"natter/chat"
)

func TestRefreshRotates(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		first := h.signUp(s, "minsu")
		h.pass(10 * time.Minute)
		second, err := s.Refresh(h.Context(), first.RefreshToken)
		h.fine(err)
		if second.Device != first.Device || second.User != first.User || second.RefreshToken == first.RefreshToken {
			h.Errorf("refreshed to %+v", second)
		}
		h.pass(10 * time.Minute)
		_, err = s.Verify(first.AccessToken)
		h.is(err, ErrExpired)
		_, err = s.Verify(second.AccessToken)
		h.fine(err)
		_, err = s.VerifyCookie(h.Context(), first.Cookie) // stays
		h.fine(err)
	})
}

func TestReuseOfARefreshTokenEndsTheSession(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		first := h.signUp(s, "minsu")
		laptop := h.signIn(s, "minsu")
		// The thief refreshes twice before the owner comes with the first one.
		second, err := s.Refresh(h.Context(), first.RefreshToken)
		h.fine(err)
		third, err := s.Refresh(h.Context(), second.RefreshToken)
		h.fine(err)
		_, err = s.Refresh(h.Context(), first.RefreshToken)
		h.is(err, ErrRevoked)
		for _, token := range []string{first.AccessToken, second.AccessToken, third.AccessToken} {
			_, err = s.Verify(token)
			h.is(err, ErrRevoked)
		}
		_, err = s.Refresh(h.Context(), third.RefreshToken)
		h.is(err, ErrRevoked)
		_, err = s.Refresh(h.Context(), laptop.RefreshToken)
		h.fine(err)
	})
}

func TestRefreshByTwoAtOnce(t *testing.T) {
	story(t, func(h *house) {
		nodes := []*Service{h.node(), h.node()}
		made := h.signUp(nodes[0], "minsu")
		var all sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, s := range nodes {
			all.Go(func() {
				_, err := s.Refresh(h.Context(), made.RefreshToken)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if err != error(ErrRevoked) {
					h.Errorf("%v; want revoked", err)
				}
			})
		}
		all.Wait()
		if won > 1 {
			h.Error("one token was good twice")
		}
	})
}

func TestRefreshExpires(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		made := h.signUp(s, "minsu")
		h.pass(59 * 24 * time.Hour)
		made, err := s.Refresh(h.Context(), made.RefreshToken)
		h.fine(err)
		h.pass(59 * 24 * time.Hour)
		made, err = s.Refresh(h.Context(), made.RefreshToken)
		h.fine(err)
		h.pass(60 * 24 * time.Hour)
		if _, err = s.Refresh(h.Context(), made.RefreshToken); chat.KindOf(err) != chat.KindUnauthenticated {
			h.Errorf("%v; want unauthenticated", err)
		}
	})
}

func TestForgedTokens(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		made, other := h.signUp(s, "minsu"), h.signUp(s, "hyejin")
		foreign := newSigner([]byte("another key")).sealAccess(made.User.ID, made.Device, 1<<50)
		access := made.AccessToken
		user, device := string(made.User.ID), string(made.Device)
		for _, token := range []string{
			"", "na_", "na_..", "nonsense", foreign, made.RefreshToken, made.Cookie,
			strings.Replace(access, user, string(other.User.ID), 1),
			strings.Replace(access, device, string(other.Device), 1),
			access + "A", access[:len(access)-1], access + "\n", strings.ToUpper(access),
			"nr_" + access[3:], strings.Repeat("a", 1<<16),
		} {
			_, err := s.Verify(token)
			h.is(err, ErrToken)
			if token != made.RefreshToken {
				_, err = s.Refresh(h.Context(), token)
				h.is(err, ErrToken)
			}
			if token != made.Cookie {
				_, err = s.VerifyCookie(h.Context(), token)
				h.is(err, ErrToken)
			}
		}
		_, err := s.Refresh(h.Context(), made.RefreshToken) // none of it ended the session
		h.fine(err)
	})
}

func TestRevoke(t *testing.T) {
	story(t, func(h *house) {
		s, other := h.node(), h.node()
		var mu sync.Mutex
		told := map[string]int{}
		for name, node := range map[string]*Service{"here": s, "there": other} {
			node.OnRevoked(func(u chat.UserID, d chat.DeviceID) {
				mu.Lock()
				defer mu.Unlock()
				told[name+" "+string(u)+" "+string(d)]++
			})
		}
		phone := h.signUp(s, "minsu")
		laptop, stranger := h.signIn(s, "minsu"), h.signUp(s, "hyejin")
		h.refused(s.Revoke(h.Context(), phone.User.ID, stranger.Device), chat.KindNotFound, "")
		h.refused(s.Revoke(h.Context(), phone.User.ID, "nonsense"), chat.KindNotFound, "")
		h.fine(s.Revoke(h.Context(), phone.User.ID, laptop.Device))
		_, err := s.Verify(laptop.AccessToken)
		h.is(err, ErrRevoked) // at once here
		h.settle()
		_, err = other.Verify(laptop.AccessToken)
		h.is(err, ErrRevoked) // and there
		h.refused(s.Revoke(h.Context(), phone.User.ID, laptop.Device), chat.KindNotFound, "")
		key := string(phone.User.ID) + " " + string(laptop.Device)
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 2 || told["here "+key] != 1 || told["there "+key] != 1 {
			h.Errorf("told %v", told)
		}
		devices, err := other.Devices(h.Context(), phone.User.ID)
		h.fine(err)
		if len(devices) != 1 || devices[0].ID != phone.Device || devices[0].Name != "phone" {
			h.Errorf("devices %+v", devices)
		}
	})
}

func TestRevocationOutlivesARestart(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		phone := h.signUp(s, "minsu")
		h.fine(s.Revoke(h.Context(), phone.User.ID, phone.Device))
		s.Close()
		s = h.node()
		_, err := s.Verify(phone.AccessToken)
		h.is(err, ErrRevoked)
		// Once no token can be left the tombstone goes.
		h.pass(2 * time.Hour)
		_, _, err = h.store.Get(h.Context(), revokedKey(phone.Device))
		h.refused(err, chat.KindNotFound, "")
		if s.revoked.has(phone.Device) {
			h.Error("the set keeps what the store has forgotten")
		}
		_, err = s.Verify(phone.AccessToken)
		h.is(err, ErrExpired)
	})
}

// A crash between tombstone and record leaves a session that nobody may use,
// after the tombstone's time either.
func TestCrashWhileRevoking(t *testing.T) {
	story(t, func(h *house) {
		store := &faulty{Records: h.store}
		s := h.node(func(o *Options) { o.Records = store })
		phone := h.signUp(s, "minsu")
		store.failOn("delete", "session.")
		h.refused(s.Revoke(h.Context(), phone.User.ID, phone.Device), chat.KindUnavailable, "")
		store.failOn("", "")
		_, err := s.Refresh(h.Context(), phone.RefreshToken)
		h.is(err, ErrRevoked)
		h.pass(3 * time.Hour)
		_, err = s.Refresh(h.Context(), phone.RefreshToken)
		h.is(err, ErrRevoked)
	})
}

func TestCookie(t *testing.T) {
	story(t, func(h *house) {
		store := &faulty{Records: h.store}
		s := h.node(func(o *Options) { o.Records = store })
		made := h.signUp(s, "minsu")
		_, err := s.VerifyCookie(h.Context(), made.Cookie)
		h.fine(err)
		before := store.gets.Load()
		who, err := s.VerifyCookie(h.Context(), made.Cookie)
		h.fine(err)
		if who.User != made.User.ID || who.Device != made.Device || store.gets.Load() != before {
			h.Errorf("%+v with %d reads of the store", who, store.gets.Load()-before)
		}
		// Used each 20 days it goes on; 30 days unused it ends.
		for range 4 {
			h.pass(20 * 24 * time.Hour)
			who, err = s.VerifyCookie(h.Context(), made.Cookie)
			h.fine(err)
			if left := who.Expires.Sub(s.o.Now()); left != 30*24*time.Hour {
				h.Errorf("the cookie has %v left", left)
			}
		}
		h.pass(30 * 24 * time.Hour)
		if _, err = s.VerifyCookie(h.Context(), made.Cookie); chat.KindOf(err) != chat.KindUnauthenticated {
			h.Errorf("%v; want unauthenticated", err)
		}
	})
}

func TestLastSeenIsWrittenSeldom(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		made := h.signUp(s, "minsu")
		_, first, err := h.store.Get(h.Context(), sessionKey(made.User.ID, made.Device))
		h.fine(err)
		for range 20 {
			h.pass(12 * time.Second)
			_, err := s.VerifyCookie(h.Context(), made.Cookie)
			h.fine(err)
		}
		_, now, err := h.store.Get(h.Context(), sessionKey(made.User.ID, made.Device))
		h.fine(err)
		if now != first {
			h.Error("four minutes of use wrote the session")
		}
		h.pass(2 * time.Minute)
		_, err = s.VerifyCookie(h.Context(), made.Cookie)
		h.fine(err)
		devices, err := s.Devices(h.Context(), made.User.ID)
		h.fine(err)
		if len(devices) != 1 || devices[0].LastSeenAt != s.millis() {
			h.Errorf("devices %+v at %v", devices, s.millis())
		}
	})
}

func TestExpiredSessionsArePruned(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		made := h.signUp(s, "minsu")
		h.pass(62 * 24 * time.Hour)
		_, _, err := h.store.Get(h.Context(), sessionKey(made.User.ID, made.Device))
		h.refused(err, chat.KindNotFound, "")
		h.signIn(s, "minsu")
	})
}

func BenchmarkVerify(b *testing.B) {
	s := &Service{o: Options{Now: time.Now}, signer: newSigner(make([]byte, 32))}
	token := s.signer.sealAccess("u1y2p0ij32e8e7", "v1y2p0ij32e8e8", 1<<50)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
