package node

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"natter/chat"
	"natter/internal/conformance"
	"natter/internal/memory"
)

// TestRoster holds the roster over leases to the contract.
func TestRoster(t *testing.T) {
	conformance.RosterSuite(t, func(t *testing.T) conformance.Rosters {
		leases, places := memory.NewLeases(0), memory.NewLeases(0)
		a, b := attending(t, leases, places, "a"), attending(t, leases, places, "b")
		return conformance.Rosters{A: a.roster, B: b.roster, Die: b.silent, Revive: b.back}
	})
}

// attendant is a node's lease and its roster.
type attendant struct {
	*standIn
	roster *roster
	store  *cutOff
}

func attending(t testing.TB, leases, places chat.Leases, name string) *attendant {
	t.Helper()
	a := &attendant{store: &cutOff{Leases: leases}, roster: newRoster(places, name, quiet(t))}
	a.standIn = standingIn(t, a.store, name)
	a.peers.telling.Lock()
	a.peers.told = a.roster.lives
	a.peers.telling.Unlock()
	for _, one := range a.lived {
		a.roster.lives(one)
	}
	a.roster.start(a.peers.alive)
	a.lease.runs = a.roster.begin
	a.mustTake()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.roster.close(ctx)
	})
	return a
}

// silent cuts the node off from its lease and waits until that has run out.
func (a *attendant) silent() {
	a.store.cut(true)
	for a.lease.held() {
		time.Sleep(10 * time.Millisecond)
	}
}

func (a *attendant) back() { a.store.cut(false) }

// sees folds what a roster tells into who is here.
type sees struct {
	mu     sync.Mutex
	live   map[string]string
	placed map[string]chat.RosterChange
	began  int
}

func watching(t testing.TB, r chat.Roster) *sees {
	t.Helper()
	s := &sees{live: map[string]string{}, placed: map[string]chat.RosterChange{}}
	stop, err := r.Watch(func(c chat.RosterChange) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch c.Kind {
		case chat.RosterLives:
			s.live[c.Node] = c.Run
		case chat.RosterEnds:
			delete(s.live, c.Node)
		case chat.RosterBegan:
			clear(s.placed)
			s.began++
		case chat.RosterPlaced:
			s.placed[c.Node+" "+string(c.User)+" "+string(c.Device)] = c
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

func (s *sees) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.placed {
		if c.Standing != chat.Gone && s.live[c.Node] == c.Run {
			n++
		}
	}
	return n
}

func (a *attendant) crowd(n int, s chat.Standing) {
	for i := range n {
		a.roster.Set(chat.UserID(fmt.Sprintf("u%d", i)), "v1", s)
	}
}

func entries(t *testing.T, places chat.Leases) map[string]uint64 {
	t.Helper()
	all, ready := map[string]uint64{}, make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := places.Watch(ctx, "", func(c chat.LeaseChange) {
		switch c.Kind {
		case chat.LeasePut:
			all[c.Key] = c.Revision
		case chat.LeaseReady:
			close(ready)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-ready
	return all
}

// TestARosterThatIsLostIsWrittenAgain.
func TestARosterThatIsLostIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases, places := memory.NewLeases(0), memory.NewLeases(0)
		a, b := attending(t, leases, places, "a"), attending(t, leases, places, "b")
		seen := watching(t, a.roster)
		watching(t, b.roster) // a node watches, and so hears of the loss
		b.crowd(500, chat.Here)
		synctest.Wait()
		if got := seen.count(); got != 500 {
			t.Fatalf("%d are here", got)
		}
		places.Lose()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := seen.count(); got != 500 || seen.began != 2 {
			t.Errorf("after the loss %d are here, told %d times", got, seen.began)
		}
	})
}

// TestAFullRosterLosesNobodyForGood: whom there is no room for looks offline
// elsewhere, nothing waits for it, and when there is room they are here.
func TestAFullRosterLosesNobodyForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases, places := memory.NewLeases(0), memory.NewLeases(100)
		a, b := attending(t, leases, places, "a"), attending(t, leases, places, "b")
		seen := watching(t, a.roster)
		b.crowd(150, chat.Here)
		synctest.Wait()
		if got := seen.count(); got != 100 {
			t.Fatalf("%d are here of 100 for whom there is room", got)
		}
		for i := range 60 { // some leave, and others can come
			b.roster.Set(chat.UserID(fmt.Sprintf("u%d", i)), "v1", chat.Gone)
		}
		time.Sleep(2 * rosterFull)
		synctest.Wait()
		if got := seen.count(); got != 90 {
			t.Errorf("with room %d are here, want 90", got)
		}
	})
}

// TestARosterOutlivesItsStore: while that doesn't answer nothing blocks, and what
// changed meanwhile is told afterwards.
func TestARosterOutlivesItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases, places := memory.NewLeases(0), memory.NewLeases(0)
		a, b := attending(t, leases, places, "a"), attending(t, leases, places, "b")
		seen := watching(t, a.roster)
		b.crowd(50, chat.Here)
		synctest.Wait()
		places.Fail(errAway)
		begun := time.Now()
		b.crowd(20, chat.Gone)
		if took := time.Since(begun); took != 0 {
			t.Errorf("it blocked for %v", took)
		}
		time.Sleep(time.Minute)
		places.Fail(nil)
		time.Sleep(2 * rosterAgain)
		synctest.Wait()
		if got := seen.count(); got != 30 {
			t.Errorf("%d are here, want 30", got)
		}
	})
}

// TestARestartedNodeCleansUp what its last run left, and living nodes what one
// left that never came back.
func TestARestartedNodeCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases, places := memory.NewLeases(0), memory.NewLeases(0)
		for node, n := range map[string]int{"a": 30, "gone": 40} { // of earlier runs
			for i := range n {
				key := placeKey(deviceKey{chat.UserID(fmt.Sprintf("u%d", i)), "v1"}, node)
				if _, err := places.Put(t.Context(), key, encodePlace("0000", chat.Here), 0, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := places.Put(t.Context(), "u1.v1.gone2", []byte("\x02of a later version"), 0, 0); err != nil {
			t.Fatal(err)
		}
		b := attending(t, leases, places, "b")
		seen := watching(t, b.roster)
		a := attending(t, leases, places, "a")
		a.crowd(10, chat.Away)
		synctest.Wait()
		if got, left := seen.count(), len(entries(t, places)); got != 10 || left != 10+40+1 {
			t.Errorf("%d are here, %d entries are left", got, left)
		}
		time.Sleep(2*rosterSweep + time.Second)
		synctest.Wait()
		if got, left := seen.count(), len(entries(t, places)); got != 10 || left != 10+1 {
			t.Errorf("later %d are here, %d entries are left", got, left)
		}
	})
}

// TestComingAndGoingIsOneEntry: what changes within a moment is told once, and at
// rest nothing is written.
func TestComingAndGoingIsOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leases, places := memory.NewLeases(0), memory.NewLeases(0)
		a := attending(t, leases, places, "a")
		for range 100 {
			a.crowd(10, chat.Here)
			a.crowd(10, chat.Gone)
		}
		a.crowd(10, chat.Away)
		synctest.Wait()
		before := entries(t, places)
		time.Sleep(time.Hour)
		a.crowd(10, chat.Away)
		synctest.Wait()
		after := entries(t, places)
		if len(before) != 10 || len(after) != 10 {
			t.Fatalf("%d entries, then %d", len(before), len(after))
		}
		for key, revision := range after {
			if before[key] != revision {
				t.Errorf("%s was written at rest", key)
			}
		}
	})
}

func FuzzParsePlace(f *testing.F) {
	f.Add("u1.v1.a", encodePlace("0011", chat.Here))
	f.Add("u1.v1", []byte{1, 9})
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		if run, s, err := parsePlace(b); err == nil {
			if got := encodePlace(run, s); string(got) != string(b) {
				t.Errorf("%x came to %q %d, and that to %x", b, run, s, got)
			}
		}
		if k, node, ok := splitPlace(key); ok && placeKey(k, node) != key {
			t.Errorf("%q came to %v %q", key, k, node)
		}
	})
}
