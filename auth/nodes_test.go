package auth

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"natter/chat"
)

// behind is a store as a node sees it that hears of others' changes late: what is
// told after the start waits until release.
type behind struct {
	chat.Records
	mu      sync.Mutex
	held    bool
	waiting []func()
}

func (b *behind) Watch(ctx context.Context, prefix string, seen func(string, []byte, uint64), ready func()) error {
	return b.Records.Watch(ctx, prefix, func(key string, value []byte, revision uint64) {
		b.mu.Lock()
		held := b.held
		if held {
			b.waiting = append(b.waiting, func() { seen(key, value, revision) })
		}
		b.mu.Unlock()
		if !held {
			seen(key, value, revision)
		}
	}, ready)
}

func (b *behind) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = true
}

func (b *behind) release() {
	b.mu.Lock()
	waiting := b.waiting
	b.held, b.waiting = false, nil
	b.mu.Unlock()
	for _, tell := range waiting {
		tell()
	}
}

// idsOfNow has ids tell the time; the bubble's clock starts before their zero.
func (h *house) idsOfNow() {
	h.pass(time.Until(chat.SnowflakeEpoch.Time().Add(24 * time.Hour)))
	h.ids.Store(uint64(chat.MillisOf(time.Now())-chat.SnowflakeEpoch) << 22)
}

// TestANodeBehindAnswersRight: who signs up on one node and goes on to another at
// once is somebody there, though that node hasn't heard of them.
func TestANodeBehindAnswersRight(t *testing.T) {
	story(t, func(h *house) {
		h.idsOfNow()
		a := h.node()
		late := &behind{Records: h.store}
		b := h.node(func(o *Options) { o.Records = late })
		late.hold()
		made := h.signUp(a, "minsu")
		h.settle()
		if who, err := b.Verify(made.AccessToken); err != nil || who.User != made.User.ID {
			h.Errorf("the token: %+v, %v", who, err)
		}
		if _, known := b.User(made.User.ID); known {
			h.Fatal("the node isn't behind")
		}
		if u, ok, err := b.Lookup(h.Context(), made.User.ID); !ok || err != nil || u != made.User {
			h.Errorf("Lookup: %+v, %v, %v", u, ok, err)
		}
		if p, err := b.Profile(h.Context(), made.User.ID); err != nil || p.User != made.User {
			h.Errorf("Profile: %+v, %v", p, err)
		}
		next, err := b.Refresh(h.Context(), made.RefreshToken)
		if err != nil {
			h.Fatalf("Refresh: %v", err)
		}
		h.is(second(a.Refresh(h.Context(), made.RefreshToken)), ErrRevoked) // used before, on the other node
		h.is(second(b.Refresh(h.Context(), next.RefreshToken)), ErrRevoked)
		name := "김민수"
		if _, err := a.ChangeProfile(h.Context(), made.User.ID, ProfileChange{Name: &name}); err != nil {
			h.Fatal(err)
		}
		if u, ok, err := b.Current(h.Context(), made.User.ID); !ok || err != nil || u.Name != name {
			h.Errorf("Current: %+v, %v, %v", u, ok, err)
		}
		late.release()
		h.settle()
		if u, ok := b.User(made.User.ID); !ok || u.Name != name {
			h.Errorf("an older change undid the newer: %+v, %v", u, ok)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestNobodyIsLookedUp: ids that were never given, or long ago, don't cost the
// store a read.
func TestNobodyIsLookedUp(t *testing.T) {
	story(t, func(h *house) {
		h.idsOfNow()
		store := &faulty{Records: h.store}
		s := h.node(func(o *Options) { o.Records = store })
		fresh := chat.NewUserID(chat.MessageID(h.ids.Add(1)))
		before := store.gets.Load()
		for _, id := range []chat.UserID{"u404", "nobody", "U1", "u", "u-1"} {
			h.pass(time.Hour)
			if _, ok, err := s.Lookup(h.Context(), id); ok || err != nil {
				h.Errorf("%s: %v, %v", id, ok, err)
			}
		}
		if _, ok, err := s.Lookup(h.Context(), fresh); ok || err != nil { // it is old by now
			h.Errorf("%s: %v, %v", fresh, ok, err)
		}
		if n := store.gets.Load() - before; n != 0 {
			h.Errorf("%d reads", n)
		}
		fresh = chat.NewUserID(chat.MessageID(uint64(chat.MillisOf(time.Now())-chat.SnowflakeEpoch) << 22))
		store.failOn("get", accountPrefix)
		_, _, err := s.Lookup(h.Context(), fresh)
		h.refused(err, chat.KindUnavailable, "") // not "nobody"
	})
}

// TestOneNameOnManyNodes: of sign-ups for a name on several nodes at once, one
// gets it.
func TestOneNameOnManyNodes(t *testing.T) {
	story(t, func(h *house) {
		var got, lost int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 3 {
			s := h.node()
			all.Go(func() {
				_, err := s.SignUp(h.Context(), Credentials{Username: "jiwoo", Password: goodPassword, Addr: fmt.Sprintf("192.0.2.%d", i)})
				mu.Lock()
				defer mu.Unlock()
				switch chat.KindOf(err) {
				case chat.KindConflict:
					lost++
				default:
					got++
					h.fine(err)
				}
			})
		}
		all.Wait()
		if got != 1 || lost != 2 {
			h.Errorf("%d have the name, %d were refused", got, lost)
		}
	})
}

// TestARevocationReachesEveryNode, a cached cookie too.
func TestARevocationReachesEveryNode(t *testing.T) {
	story(t, func(h *house) {
		a, b := h.node(), h.node()
		made := h.signUp(a, "minsu")
		h.settle()
		if _, err := b.VerifyCookie(h.Context(), made.Cookie); err != nil { // now it is cached there
			h.Fatal(err)
		}
		told := make(chan chat.DeviceID, 2)
		b.OnRevoked(func(_ chat.UserID, d chat.DeviceID) { told <- d })
		h.fine(a.Revoke(h.Context(), made.User.ID, made.Device))
		synctest.Wait()
		if len(told) != 1 || <-told != made.Device {
			h.Error("the other node wasn't told once")
		}
		h.is(second(b.Verify(made.AccessToken)), ErrRevoked)
		h.is(second(b.VerifyCookie(h.Context(), made.Cookie)), ErrRevoked)
		h.is(second(b.Refresh(h.Context(), made.RefreshToken)), ErrRevoked)
	})
}

// TestVisibilityIsTold on every node, once for each change.
func TestVisibilityIsTold(t *testing.T) {
	story(t, func(h *house) {
		a, b := h.node(), h.node()
		var mu sync.Mutex
		told := map[string]int{}
		for name, s := range map[string]*Service{"a": a, "b": b} {
			s.OnVisibility(func(u chat.UserID, before, after string) {
				mu.Lock()
				defer mu.Unlock()
				told[name+" "+before+" "+after]++
			})
		}
		made := h.signUp(a, "minsu")
		h.settle()
		if got := b.Visibility(made.User.ID); got != VisibleToEveryone {
			h.Errorf("at first: %s", got)
		}
		friends, name := VisibleToFriends, "Min"
		for _, change := range []ProfileChange{{Visibility: &friends}, {Name: &name}} {
			if _, err := a.ChangeProfile(h.Context(), made.User.ID, change); err != nil {
				h.Fatal(err)
			}
		}
		h.settle()
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 2 || told["a everyone friends"] != 1 || told["b everyone friends"] != 1 {
			h.Errorf("told %v", told)
		}
		if got := b.Visibility("unobody"); got != VisibleToNobody {
			h.Errorf("who isn't known is visible to %s", got)
		}
	})
}
