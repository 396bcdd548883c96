package auth

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natter/chat"
)

func TestSignUpAndIn(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		made, err := s.SignUp(h.Context(), Credentials{Username: "Ｋｉｍ.Minsu", Password: goodPassword, Name: " 김민수 "})
		h.fine(err)
		if made.User.Username != "kim.minsu" || made.User.Name != "김민수" {
			h.Errorf("user %+v", made.User)
		}
		if u, ok := s.User(made.User.ID); !ok || u != made.User {
			h.Errorf("own writes: %+v, %v", u, ok)
		}
		who, err := s.Verify(made.AccessToken)
		h.fine(err)
		if who.User != made.User.ID || who.Device != made.Device || !who.Expires.Equal(made.AccessExpires) {
			h.Errorf("identity %+v of %+v", who, made)
		}
		other := h.node() // another node knows all of it
		again := h.signIn(other, "KIM.MINSU")
		if again.User != made.User || again.Device == made.Device {
			h.Errorf("second session %+v", again)
		}
		_, err = s.Verify(again.AccessToken)
		h.fine(err)
	})
}

func TestWrongCredentialsAreAllTheSame(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		h.signUp(s, "minsu")
		for _, c := range []Credentials{
			{Username: "minsu", Password: "wrong password"},
			{Username: "nobody-here", Password: goodPassword},
			{Username: "mlnsu", Password: goodPassword}, // looks like minsu
			{Username: "\xff", Password: goodPassword},
			{Username: "minsu", Password: "a\x00b"},
			{Username: "minsu", Password: ""},
			{Username: "minsu", Password: strings.Repeat("x", 1<<20)},
		} {
			_, err := s.SignIn(h.Context(), c)
			h.is(err, errCredentials)
		}
	})
}

func TestSignUpRefusals(t *testing.T) {
	story(t, func(h *house) {
		s := h.node(func(o *Options) { o.RateLimits = false })
		h.signUp(s, "minsu")
		for _, c := range []struct {
			change func(*Credentials)
			kind   chat.Kind
			field  string
		}{
			{func(c *Credentials) { c.Username = "minsu" }, chat.KindConflict, "username"},
			{func(c *Credentials) { c.Username = "MINSU" }, chat.KindConflict, "username"},
			{func(c *Credentials) { c.Username = "mіnsu" }, chat.KindInvalid, "username"}, // one Cyrillic letter
			{func(c *Credentials) { c.Username = "m1nsu" }, chat.KindConflict, "username"},
			{func(c *Credentials) { c.Username = "rninsu" }, chat.KindConflict, "username"},
			{func(c *Credentials) { c.Username = "admin" }, chat.KindConflict, "username"},
			{func(c *Credentials) { c.Username = "x" }, chat.KindInvalid, "username"},
			{func(c *Credentials) { c.Username = strings.Repeat("x", 33) }, chat.KindTooLarge, "username"},
			{func(c *Credentials) { c.Username = strings.Repeat("x", 3000) }, chat.KindTooLarge, "username"},
			{func(c *Credentials) { c.Password = "short" }, chat.KindInvalid, "password"},
			{func(c *Credentials) { c.Password = strings.Repeat("x", 1025) }, chat.KindTooLarge, "password"},
			{func(c *Credentials) { c.Password = "hyejin.park" }, chat.KindInvalid, "password"},
			{func(c *Credentials) { c.Password = "Password123" }, chat.KindInvalid, "password"},
			{func(c *Credentials) { c.Password = "zzzzzzzzzzz" }, chat.KindInvalid, "password"},
			{func(c *Credentials) { c.Password = "tab\tin it here" }, chat.KindInvalid, "password"},
			{func(c *Credentials) { c.Password = "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8" }, chat.KindInvalid, "password"},
			{func(c *Credentials) { c.Name = "evil\u202egnp" }, chat.KindInvalid, "name"},
			{func(c *Credentials) { c.Name = strings.Repeat("n", 65) }, chat.KindTooLarge, "name"},
			{func(c *Credentials) { c.DeviceName = "a\nb" }, chat.KindInvalid, "device_name"},
		} {
			asked := Credentials{Username: "Hyejin.Park", Password: goodPassword}
			c.change(&asked)
			_, err := s.SignUp(h.Context(), asked)
			h.refused(err, c.kind, c.field)
		}
		h.signUp(s, "hyejin.park") // nothing above has taken it
	})
}

func TestOneWinsAName(t *testing.T) {
	story(t, func(h *house) {
		nodes := []*Service{h.node(), h.node(), h.node()}
		var won atomic.Int64
		var all sync.WaitGroup
		for i, name := range []string{"paul", "pau1", "paui", "PAUL", "рauӏ", "paul", "ра", "ра"} {
			all.Go(func() {
				_, err := nodes[i%3].SignUp(h.Context(), Credentials{Username: name, Password: goodPassword, Addr: fmt.Sprint(i)})
				switch {
				case err == nil && name != "ра":
					won.Add(1)
				case err == nil, chat.KindOf(err) == chat.KindConflict:
				case chat.KindOf(err) != chat.KindInvalid: // mixed scripts
					h.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			h.Errorf("%d got the name, want 1", won.Load())
		}
	})
}

// A crash between the claim of a name and its account doesn't burn the name.
func TestCrashAfterTheClaim(t *testing.T) {
	story(t, func(h *house) {
		store := &faulty{Records: h.store}
		s := h.node(func(o *Options) { o.Records = store })
		store.failOn("put", "account.")
		asked := Credentials{Username: "minsu", Password: goodPassword}
		_, err := s.SignUp(h.Context(), asked)
		h.refused(err, chat.KindUnavailable, "")
		store.failOn("", "")

		_, err = s.SignUp(h.Context(), asked)
		h.refused(err, chat.KindConflict, "username") // it may still be coming
		h.pass(claimGrace + time.Second)
		made, err := s.SignUp(h.Context(), asked)
		h.fine(err)
		if again := h.signIn(s, "minsu"); again.User.ID != made.User.ID {
			h.Errorf("signed in as %s, want %s", again.User.ID, made.User.ID)
		}
		if found := s.Search("minsu", 10); len(found) != 1 {
			h.Errorf("found %v", found)
		}
		// The first one was only slow: its account may not appear any more.
		_, err = h.store.Put(h.Context(), accountKey(chat.NewUserID(1)), encode(account{versioned: versioned{1}}), 0)
		h.refused(err, chat.KindConflict, "")
	})
}

func TestPasswordForms(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		// Composed and decomposed Hangul, and a no-break space, are the same keys.
		_, err := s.SignUp(h.Context(), Credentials{Username: "minsu", Password: "비밀 번호 열쇠"})
		h.fine(err)
		_, err = s.SignIn(h.Context(), Credentials{Username: "minsu", Password: "비밀\u00a0번호 열쇠"})
		h.fine(err)
		_, err = s.SignIn(h.Context(), Credentials{Username: "minsu", Password: "비밀 번호 열소"})
		h.is(err, errCredentials)
	})
}

func TestChangePassword(t *testing.T) {
	story(t, func(h *house) {
		s, other := h.node(), h.node()
		phone := h.signUp(s, "minsu")
		laptop := h.signIn(other, "minsu")
		stranger := h.signUp(s, "hyejin")
		who, err := s.Verify(phone.AccessToken)
		h.fine(err)

		h.refused(s.ChangePassword(h.Context(), who, "not it at all", "a new password"), chat.KindInvalid, "old_password")
		h.refused(s.ChangePassword(h.Context(), who, goodPassword, "short"), chat.KindInvalid, "new_password")
		h.fine(s.ChangePassword(h.Context(), who, goodPassword, "a new password"))
		h.settle()

		_, err = s.Verify(phone.AccessToken)
		h.fine(err)
		_, err = s.VerifyCookie(h.Context(), phone.Cookie)
		h.fine(err)
		_, err = s.Refresh(h.Context(), phone.RefreshToken)
		h.fine(err)
		for _, node := range []*Service{s, other} {
			_, err = node.Verify(laptop.AccessToken)
			h.is(err, ErrRevoked)
			_, err = node.VerifyCookie(h.Context(), laptop.Cookie)
			h.is(err, ErrRevoked)
			_, err = node.Refresh(h.Context(), laptop.RefreshToken)
			h.is(err, ErrRevoked)
			_, err = node.Verify(stranger.AccessToken)
			h.fine(err)
		}
		_, err = s.SignIn(h.Context(), Credentials{Username: "minsu", Password: goodPassword})
		h.is(err, errCredentials)
		_, err = other.SignIn(h.Context(), Credentials{Username: "minsu", Password: "a new password"})
		h.fine(err)
	})
}

// A sign-in with the old password that is under way while it is changed.
func TestSignInOvertakenByANewPassword(t *testing.T) {
	story(t, func(h *house) {
		store := &faulty{Records: h.store}
		s, slow := h.node(), h.node(func(o *Options) { o.Records = store })
		phone := h.signUp(s, "minsu")
		who, _ := s.Verify(phone.AccessToken)
		store.mu.Lock()
		once := false
		store.fails = func(op, key string) error {
			if op == "put" && strings.HasPrefix(key, sessionPrefix) && !once {
				once = true // the password was right; now it changes
				h.fine(s.ChangePassword(h.Context(), who, goodPassword, "a new password"))
			}
			return nil
		}
		store.mu.Unlock()
		_, err := slow.SignIn(h.Context(), Credentials{Username: "minsu", Password: goodPassword, Addr: "192.0.2.1"})
		h.is(err, errCredentials)
		if devices, err := s.Devices(h.Context(), who.User); err != nil || len(devices) != 1 {
			h.Errorf("devices %v, %v; want the phone", devices, err)
		}
	})
}

func TestThrottle(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		h.signUp(s, "minsu") // from 192.0.2.1
		try := func(name, password, addr string) error {
			_, err := s.SignIn(h.Context(), Credentials{Username: name, Password: password, Addr: addr})
			return err
		}
		for range int(pairRate.burst) {
			h.is(try("minsu", "wrong password", "198.51.100.7"), errCredentials)
		}
		err := try("minsu", goodPassword, "198.51.100.7:4711")
		h.refused(err, chat.KindTooMany, "")
		if after := chat.ProblemOf(err).RetryAfter; after <= 0 || after > pairRate.each {
			h.Errorf("retry after %v", after)
		}
		h.fine(try("minsu", goodPassword, "192.0.2.1")) // the owner is at home

		// Many machines, one guess each, until the strangers' budget is empty.
		var refused int
		for i := range 40 {
			if chat.KindOf(try("minsu", "wrong password", fmt.Sprintf("203.0.113.%d", i))) == chat.KindTooMany {
				refused++
			}
		}
		if refused == 0 {
			h.Error("a crowd of strangers may guess on")
		}
		for range 5 {
			h.fine(try("minsu", goodPassword, "192.0.2.1")) // and can't lock the owner out
		}
		// After a restart the owner's address is still known.
		s = h.node()
		for i := range 40 {
			_ = try("minsu", "wrong password", fmt.Sprintf("203.0.113.%d", i))
		}
		h.refused(try("minsu", goodPassword, "203.0.113.99"), chat.KindTooMany, "")
		h.fine(try("minsu", goodPassword, "192.0.2.1"))
		h.pass(strangerRate.each)
		h.fine(try("minsu", goodPassword, "203.0.113.99"))
	})
}

func TestThrottleOfOneAddress(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		refused := 0
		for i := range int(addressRate.burst) + 5 {
			_, err := s.SignIn(h.Context(), Credentials{Username: fmt.Sprintf("user%d", i), Password: "wrong password", Addr: fmt.Sprintf("2001:db8::%x", i)})
			if chat.KindOf(err) == chat.KindTooMany {
				refused++
			}
		}
		if refused != 5 {
			h.Errorf("%d tries of one /64 were refused, want 5", refused)
		}
		unlimited := h.node(func(o *Options) { o.RateLimits = false })
		for range 15 {
			_, err := unlimited.SignIn(h.Context(), Credentials{Username: "minsu", Password: "wrong password", Addr: "2001:db8::1"})
			h.is(err, errCredentials)
		}
	})
}

// A program that signs in for ever with the right password is slowed down too.
func TestThrottleOfNewSessions(t *testing.T) {
	story(t, func(h *house) {
		s := h.node()
		h.signUp(s, "minsu")
		for range int(sessionRate.burst) {
			h.signIn(s, "minsu")
		}
		_, err := s.SignIn(h.Context(), Credentials{Username: "minsu", Password: goodPassword, Addr: "192.0.2.1"})
		h.refused(err, chat.KindTooMany, "")
		h.pass(sessionRate.each)
		h.signIn(s, "minsu")
	})
}

func TestThrottleIsBounded(t *testing.T) {
	b := newThrottle(pairRate)
	now := time.Now()
	for i := range maxBuckets + 10 {
		if err := b.take(fmt.Sprint(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.places) != maxBuckets || b.order.Len() != maxBuckets {
		t.Errorf("%d buckets, want %d", len(b.places), maxBuckets)
	}
	if _, ok := b.places["0"]; ok {
		t.Error("the bucket used longest ago is still there")
	}
}

func TestHashingQueueIsBounded(t *testing.T) {
	story(t, func(h *house) {
		s := h.node(func(o *Options) { o.Hashes = 1 })
		s.hasher.free <- struct{}{} // a sum that takes for ever
		var all sync.WaitGroup
		for range queuePerHash {
			all.Go(func() {
				_, err := s.hasher.verify(h.Context(), "", "password")
				h.fine(err)
			})
		}
		h.settle()
		_, err := s.SignIn(h.Context(), Credentials{Username: "minsu", Password: "wrong password"})
		h.refused(err, chat.KindTooMany, "")
		<-s.hasher.free
		all.Wait()
	})
}

func TestPasswordCost(t *testing.T) {
	made, err := newHasher(1, true, rand.Reader).hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parsePHC(made)
	if err != nil || h.memory != 19456 || h.time != 2 || h.threads != 1 || len(h.salt) != 16 || len(h.key) != 32 {
		t.Errorf("a password costs %+v, %v", h, err)
	}
}

func TestSecretsStayOutOfTheLog(t *testing.T) {
	c := Credentials{Username: "minsu", Password: "hunter2hunter2"}
	m := Session{AccessToken: "na_hunter2", RefreshToken: "nr_hunter2", Cookie: "nc_hunter2"}
	var b strings.Builder
	log := slog.New(slog.NewJSONHandler(&b, nil))
	log.Info("x", "c", c, "m", m)
	fmt.Fprintf(&b, "%v %+v %#v %s %v %+v %#v", c, c, c, c, m, m, m)
	if strings.Contains(b.String(), "hunter2") {
		t.Error(b.String())
	}
}
