package node

import (
	"testing"
	"time"
	"unsafe"

	"natter/chat"
	"natter/internal/memory"
)

// set is now of a clock that was set ahead by some time meanwhile: its time of day is
// another, what has passed is not. Only Go itself can make one, so its insides are written.
func set(t *testing.T, now time.Time, ahead time.Duration) time.Time {
	t.Helper()
	jumped := now.Add(ahead)
	(*struct {
		wall    uint64
		passed  int64
		nowhere *time.Location
	})(unsafe.Pointer(&jumped)).passed -= int64(ahead)
	if day, passed := jumped.Round(0).Sub(now.Round(0)), jumped.Sub(now); day != ahead || passed != 0 {
		t.Fatalf("this Go keeps its times in another way: %s ahead, %s later", day, passed)
	}
	return jumped
}

// A clock has jumped when the time of day went on by other than the clock that doesn't
// jump has. The time goes on as before then, until the new one is set.
func TestAJumpIsSeenAndDoesNotCount(t *testing.T) {
	var s steady
	began := time.Now()
	s.set(began)
	later := began.Add(2 * time.Hour) // by both clocks
	if s.jumped(began) || s.jumped(later) {
		t.Error("time passes, and it is a jump")
	}
	for by, want := range map[time.Duration]bool{0: false, clockFar: false, -clockFar: false, clockFar + 1: true, -clockFar - 1: true, time.Hour: true, -time.Hour: true} {
		s.set(began)
		now := set(t, later, by)
		if s.off(now) != by || s.jumped(now) != want {
			t.Errorf("set ahead by %s it is off by %s, jumped: %v", by, s.off(now), s.jumped(now))
		}
		if got := s.now(now); !got.Equal(later) || !got.Round(0).Equal(later.Round(0)) || got.Sub(now) != 0 {
			t.Errorf("set ahead by %s two hours later it is %s, not %s", by, got, later)
		}
		if s.set(now); s.jumped(now) || !s.now(now).Round(0).Equal(now.Round(0)) {
			t.Errorf("set ahead by %s, which is right, it is %s, not %s", by, s.now(now), now)
		}
	}
}

// What was measured before a jump says nothing after it, not even what is on its way.
func TestForgottenOffsetsDoNotComeBack(t *testing.T) {
	c := &clocks{offsets: map[string]offset{}}
	asked := c.forgotten()
	c.keep("b", offset{}, asked)
	if c.agree() != 1 {
		t.Fatal("an offset that was measured isn't known")
	}
	c.forget()
	c.keep("c", offset{}, asked)
	if n := c.agree(); n != 0 {
		t.Errorf("%d nodes agree with a clock that they were asked about before it jumped", n)
	}
	for _, name := range []string{"b", "c"} {
		c.keep(name, offset{ahead: -time.Hour}, c.forgotten())
	}
	if ahead, far := c.apart(clockFar); !far || ahead != time.Hour {
		t.Errorf("two others are an hour behind, and this one is %s ahead: %v", ahead, far)
	}
}

// After a jump ids are made from the new time on, none twice; behind what a number was
// used for, with another number.
func TestIDsAfterAJump(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		l := clusterLeasing
		l.right = func() bool { return true }
		g, err := openIDs(t.Context(), records, "a", l, func(string) bool { return true }, quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = g.close(t.Context()) }()
		seen := map[chat.MessageID]bool{}
		next := func() chat.MessageID {
			t.Helper()
			id, err := g.next()
			if err != nil || seen[id] {
				t.Fatalf("%d, made before: %v, %v", id, seen[id], err)
			}
			seen[id] = true
			return id
		}
		next()
		g.again(t.Context())
		next()
		// What it stored an hour ahead, before its clock was set back.
		own := g.worker()
		was := stored(t, records, own)
		was.At += chat.Millis(time.Hour.Milliseconds())
		was.Until += chat.Millis(time.Hour.Milliseconds())
		_, revision, err := records.Get(t.Context(), workerKey(own))
		if err == nil {
			_, err = records.Put(t.Context(), workerKey(own), was.encode(), revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		g.again(t.Context())
		if id := next(); g.worker() == own || id.Time() > chat.MillisOf(time.Now().Add(time.Second)) {
			t.Errorf("number %d after %d, at %v", g.worker(), own, id.Time())
		}
	})
}
