package node

import (
	"testing"
	"time"

	"natter/chat"
	"natter/internal/memory"
)

// A clock has jumped when the time of day went on by other than the clock that doesn't
// jump has.
func TestAJumpIsSeen(t *testing.T) {
	var s steady
	now := time.Now()
	s.set(now)
	later := now.Add(2 * time.Hour) // by both clocks
	if s.jumped(now) || s.jumped(later) {
		t.Error("time passes, and it is a jump")
	}
	for wall, want := range map[time.Duration]bool{time.Hour: true, -time.Hour: true, 5*time.Second + clockFar: false, 6*time.Second + clockFar: true, -clockFar: true, 0: false} {
		if got := stepped(wall, 5*time.Second); got != want {
			t.Errorf("the time of day went on by %s and the other clock by 5 s: %v", wall, got)
		}
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
