package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"natter/chat"
)

// Leased is a store of leases under test. Lose has it lose everything it holds,
// as when all nodes have stopped.
type Leased struct {
	chat.Leases
	Lose func()
}

// LeasesSuite holds a chat.Leases to its contract. open makes an empty store and
// cleans up after itself through t.Cleanup.
func LeasesSuite(t *testing.T, open func(t *testing.T) Leased) {
	for name, story := range map[string]func(*testing.T, Leased){
		"of two claims one holds":                  leasesClaim,
		"a lease that is renewed stays":            leasesRenew,
		"one that isn't expires, and can be taken": leasesExpire,
		"a deleted one can be taken at once":       leasesDelete,
		"any revision is any":                      leasesAny,
		"a watch tells what is, then what changes": leasesWatch,
		"a watch begins again after a loss":        leasesLoss,
	} {
		t.Run(name, func(t *testing.T) { story(t, open(t)) })
	}
}

func claim(t *testing.T, l chat.Leases, key, value string, ttl time.Duration, revision uint64) uint64 {
	t.Helper()
	next, err := l.Put(t.Context(), key, []byte(value), ttl, revision)
	if err != nil {
		t.Fatalf("Put %s at %d: %v", key, revision, err)
	}
	return next
}

func leasesClaim(t *testing.T, l Leased) {
	if _, _, err := l.Get(t.Context(), "node.a"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("an absent key: %v, want not_found", err)
	}
	first := claim(t, l, "node.a", "one", time.Minute, 0)
	if _, err := l.Put(t.Context(), "node.a", []byte("two"), time.Minute, 0); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("the second claim: %v, want conflict", err)
	}
	if value, revision, err := l.Get(t.Context(), "node.a"); string(value) != "one" || revision != first || err != nil {
		t.Errorf("Get: %q, %d, %v", value, revision, err)
	}
	if _, err := l.Put(t.Context(), "node.a", []byte("two"), time.Minute, first+1); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("at a revision that isn't: %v, want conflict", err)
	}
	if err := l.Delete(t.Context(), "node.a", first+1); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("Delete at a revision that isn't: %v, want conflict", err)
	}
	if second := claim(t, l, "node.a", "two", time.Minute, first); second <= first {
		t.Errorf("revision %d after %d", second, first)
	}
}

func leasesRenew(t *testing.T, l Leased) {
	w := lookAt(t, l, "node")
	w.wait(t, "began", "ready")
	revision := claim(t, l, "node.a", "0", 2*time.Second, 0)
	claim(t, l, "node.b", "short", time.Second, 0)
	// Renewed until another one, which isn't, has expired: the barrier.
	w.wait(t, "node.a=0", "node.b=short")
	renewed := 1
	for deadline := time.Now().Add(patience); ; renewed++ {
		revision = claim(t, l, "node.a", fmt.Sprint(renewed), 2*time.Second, revision)
		w.wait(t, fmt.Sprintf("node.a=%d", renewed))
		select {
		case got := <-w.told:
			if got != "node.b expired" {
				t.Fatalf("the watch tells %q", got)
			}
			return
		case <-time.After(300 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("a lease that isn't renewed doesn't expire")
		}
	}
}

func leasesExpire(t *testing.T, l Leased) {
	w := lookAt(t, l, "")
	w.wait(t, "began", "ready")
	first := claim(t, l, "node.a", "one", time.Second, 0)
	w.wait(t, "node.a=one", "node.a expired")
	if _, _, err := l.Get(t.Context(), "node.a"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("an expired key: %v, want not_found", err)
	}
	if _, err := l.Put(t.Context(), "node.a", []byte("late"), time.Second, first); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("its holder comes too late: %v, want conflict", err)
	}
	claim(t, l, "node.a", "two", time.Minute, 0)
	w.wait(t, "node.a=two")
}

func leasesDelete(t *testing.T, l Leased) {
	w := lookAt(t, l, "")
	w.wait(t, "began", "ready")
	first := claim(t, l, "node.a", "one", time.Minute, 0)
	w.wait(t, "node.a=one") // of changes in one moment only the last may be told
	if err := l.Delete(t.Context(), "node.a", first); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Get(t.Context(), "node.a"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("a deleted key: %v, want not_found", err)
	}
	w.wait(t, "node.a deleted")
	claim(t, l, "node.a", "two", 0, 0)
	w.wait(t, "node.a=two")
}

func leasesAny(t *testing.T, l Leased) {
	if err := l.Delete(t.Context(), "u1.v1.a", chat.AnyRevision); err != nil {
		t.Errorf("what isn't there can't be deleted: %v", err)
	}
	claim(t, l, "u1.v1.a", "one", 0, chat.AnyRevision)
	claim(t, l, "u1.v1.a", "two", 0, chat.AnyRevision)
	if value, _, err := l.Get(t.Context(), "u1.v1.a"); string(value) != "two" || err != nil {
		t.Errorf("Get: %q, %v", value, err)
	}
	if err := l.Delete(t.Context(), "u1.v1.a", chat.AnyRevision); err != nil {
		t.Error(err)
	}
	if _, _, err := l.Get(t.Context(), "u1.v1.a"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("a deleted key: %v, want not_found", err)
	}
}

func leasesWatch(t *testing.T, l Leased) {
	claim(t, l, "u1.v1.a", "one", 0, 0)
	claim(t, l, "u10.v2.a", "other", 0, 0)
	claim(t, l, "u2.v3.b", "", 0, 0)
	w, part := lookAt(t, l, ""), lookAt(t, l, "u1")
	w.wait(t, "began", "u1.v1.a=one", "u10.v2.a=other", "u2.v3.b=", "ready")
	part.wait(t, "began", "u1.v1.a=one", "ready")
	claim(t, l, "u1.v4.b", "two", 0, 0)
	w.wait(t, "u1.v4.b=two")
	part.wait(t, "u1.v4.b=two")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Watch(ctx, "", func(chat.LeaseChange) {}); err == nil {
		t.Error("a watch under an ended context stands")
	}
}

func leasesLoss(t *testing.T, l Leased) {
	claim(t, l, "u1.v1.a", "one", 0, 0)
	w := lookAt(t, l, "")
	w.wait(t, "began", "u1.v1.a=one", "ready")
	l.Lose()
	w.wait(t, "lost", "began", "ready")
	claim(t, l, "u2.v1.a", "two", 0, 0)
	w.wait(t, "u2.v1.a=two")
}

// looking collects what a watch of leases is told.
type looking struct{ told chan string }

func lookAt(t *testing.T, l chat.Leases, prefix string) *looking {
	t.Helper()
	w := &looking{told: make(chan string, 64)}
	kinds := map[chat.LeaseKind]string{chat.LeaseBegan: "began", chat.LeaseReady: "ready", chat.LeaseDeleted: " deleted", chat.LeaseExpired: " expired"}
	err := l.Watch(t.Context(), prefix, func(c chat.LeaseChange) {
		if c.Kind == chat.LeasePut {
			w.told <- fmt.Sprintf("%s=%s", c.Key, c.Value)
			return
		}
		if c.Lost {
			w.told <- "lost"
		}
		w.told <- c.Key + kinds[c.Kind]
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// wait reads exactly these, in this order.
func (w *looking) wait(t *testing.T, want ...string) {
	t.Helper()
	for _, one := range want {
		select {
		case got := <-w.told:
			if got != one {
				t.Fatalf("the watch tells %q, want %q", got, one)
			}
		case <-time.After(patience):
			t.Fatalf("the watch doesn't tell %q", one)
		}
	}
}

// SeenSuite holds a chat.Seen to its contract.
func SeenSuite(t *testing.T, open func(t *testing.T) chat.Seen) {
	s := open(t)
	get := func(u chat.UserID) chat.Millis {
		t.Helper()
		at, err := s.Get(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := get("minsu"); at != 0 {
		t.Errorf("who was never here: %d", at)
	}
	s.Put("minsu", 1000)
	s.Put("minsu", 3000)
	s.Put("minsu", 2000)
	if at := get("minsu"); at != 3000 {
		t.Errorf("last seen %d, want the newest, 3000", at)
	}
	if at := get("jiwoo"); at != 0 {
		t.Errorf("somebody else: %d", at)
	}
}
