package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"natter/chat"
	"natter/internal/memory"
)

// memberIDs opens the ids of a node of a cluster.
func memberIDs(t *testing.T, records chat.Records, node string, alive ...string) (*ids, error) {
	t.Helper()
	lives := func(name string) bool { return strings.Contains(" "+strings.Join(alive, " ")+" ", " "+name+" ") }
	return openIDs(t.Context(), records, node, clusterLeasing, lives, quiet(t))
}

func mustMember(t *testing.T, records chat.Records, node string, alive ...string) *ids {
	t.Helper()
	g, err := memberIDs(t, records, node, alive...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func stored(t *testing.T, records chat.Records, worker int) workerLease {
	t.Helper()
	b, _, err := records.Get(t.Context(), workerKey(worker))
	if err != nil {
		t.Fatal(err)
	}
	l, err := parseWorker(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// crashed ends ids without a word.
func (g *ids) crashed() {
	g.stop()
	<-g.done
}

// TestNoTwoNodesHaveANumber, when many start at once, crash and come back.
func TestNoTwoNodesHaveANumber(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		seen := map[chat.MessageID]string{}
		for round := range 5 {
			all := make(chan *ids, 8)
			for i := range cap(all) {
				go func() {
					g, err := memberIDs(t, records, fmt.Sprintf("n%d", i))
					if err != nil {
						t.Error(err)
					}
					all <- g
				}()
			}
			held := map[int]bool{}
			for range cap(all) {
				g := <-all
				if held[g.worker()] {
					t.Fatalf("round %d: two have number %d", round, g.worker())
				}
				held[g.worker()] = true
				for range 20 {
					id, err := g.next()
					if err != nil {
						t.Fatal(err)
					}
					if other := seen[id]; other != "" {
						t.Fatalf("%d is %s's and %s's", id, other, g.node)
					}
					seen[id] = g.node
				}
				if round%2 == 0 {
					g.crashed()
				} else if err := g.close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestARestartDoesntWait: a node that crashed takes another number rather than
// wait for its own, and its own again when that is free.
func TestARestartDoesntWait(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		g := mustMember(t, records, "a")
		if l := stored(t, records, 0); l.Until-l.At < 15_000 || l.Node != "a" {
			t.Errorf("stored %+v", l)
		}
		g.crashed()
		begun := time.Now()
		g = mustMember(t, records, "a")
		if g.worker() != 1 || time.Since(begun) > 10*time.Millisecond {
			t.Errorf("number %d after %v", g.worker(), time.Since(begun))
		}
		time.Sleep(time.Minute)
		if err := g.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		g = mustMember(t, records, "a")
		defer g.crashed()
		if g.worker() != 0 {
			t.Errorf("number %d, want its first one again", g.worker())
		}
	})
}

// TestALeaseIsAlwaysAhead, at rest too, so that a store without a leader for 15 s
// stops nobody; beyond, no id is made.
func TestALeaseIsAlwaysAhead(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := &unwilling{Records: memory.NewRecords()}
		g := mustMember(t, records, "a")
		defer g.crashed()
		for range 200 {
			time.Sleep(731 * time.Millisecond)
			synctest.Wait()
			if l := stored(t, records.Records, 0); l.Until-chat.MillisOf(time.Now()) < 15_000 {
				t.Fatalf("only %d ms ahead", l.Until-chat.MillisOf(time.Now()))
			}
		}
		records.refuse.Store(true)
		begun := time.Now()
		for {
			id, err := g.next()
			if err != nil {
				break
			}
			if id.Time() >= stored(t, records.Records, 0).Until {
				t.Fatal("an id beyond the lease")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if lasted := time.Since(begun); lasted < 15*time.Second || lasted > 40*time.Second {
			t.Errorf("ids were made for %v", lasted)
		}
		records.refuse.Store(false)
		if _, err := g.next(); err != nil {
			t.Errorf("the store is back: %v", err)
		}
	})
}

// TestALostNumberStopsAtOnce, and another one is taken.
func TestALostNumberStopsAtOnce(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		g := mustMember(t, records, "a")
		defer g.crashed()
		_, revision, err := records.Get(t.Context(), workerKey(0))
		if err != nil {
			t.Fatal(err)
		}
		until := stored(t, records, 0).Until
		theirs := workerLease{Version: 1, Node: "b", Until: until + 60_000, At: until}
		if _, err := records.Put(t.Context(), workerKey(0), theirs.encode(), revision); err != nil {
			t.Fatal(err)
		}
		stopped := false
		for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
			id, err := g.next()
			if err != nil {
				stopped = true
				continue
			}
			if worker := id >> 12 & 1023; worker == 0 && id.Time() >= until || stopped && worker != 1 {
				t.Fatalf("an id of number %d at %v, which is another node's from %v", worker, id.Time(), until)
			}
		}
		if !stopped || g.worker() != 1 {
			t.Errorf("stopped %v, then number %d", stopped, g.worker())
		}
	})
}

// TestTheNumberOfANodeThatIsGone is taken last, and only when its node has been
// gone for long.
func TestTheNumberOfANodeThatIsGone(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		records := memory.NewRecords()
		past := chat.MillisOf(time.Now().Add(-time.Hour))
		for n := range workers {
			l := workerLease{Version: 1, Node: "other", Until: past, At: past - 1000}
			switch n {
			case 5:
				l.Node = "gone"
			case 6:
				l.Node, l.Until = "late", chat.MillisOf(time.Now().Add(-time.Minute))
			}
			if _, err := records.Put(t.Context(), workerKey(n), l.encode(), 0); err != nil {
				t.Fatal(err)
			}
		}
		g := mustMember(t, records, "a", "other")
		if g.worker() != 5 {
			t.Errorf("number %d, want 5", g.worker())
		}
		defer g.crashed()
		if _, err := memberIDs(t, records, "b", "other", "a"); err == nil || !strings.Contains(err.Error(), "all 1024 worker numbers are in use") {
			t.Errorf("%v", err)
		}
	})
}

// TestAClockBehindIsWaitedFor up to half a minute, then it is an error.
func TestAClockBehindIsWaitedFor(t *testing.T) {
	inOurTime(t, func(t *testing.T) {
		for behind, ok := range map[time.Duration]bool{20 * time.Second: true, time.Minute: false} {
			records := memory.NewRecords()
			at := chat.MillisOf(time.Now().Add(behind))
			l := workerLease{Version: 1, Node: "a", At: at, Until: at + 30_000}
			if _, err := records.Put(t.Context(), workerKey(3), l.encode(), 0); err != nil {
				t.Fatal(err)
			}
			g, err := memberIDs(t, records, "a")
			if !ok {
				if err == nil || !strings.Contains(err.Error(), "clock is 1m0s behind") {
					t.Errorf("%v behind: %v", behind, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if id, err := g.next(); err != nil || id.Time() < at {
				t.Errorf("%v behind: an id of %v, %v", behind, id.Time(), err)
			}
			g.crashed()
		}
	})
}

// TestTheFirstNodesLeaseIsRead: what nodes wrote before clusters.
func TestTheFirstNodesLeaseIsRead(t *testing.T) {
	l, err := parseWorker([]byte(`{"version":1,"until":1767225600000}`))
	if err != nil || l.Until != 1767225600000 || l.Node != "" {
		t.Errorf("%+v, %v", l, err)
	}
}

// unwilling is a store that can be told to take no writes.
type unwilling struct {
	chat.Records
	refuse atomic.Bool
}

func (u *unwilling) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if u.refuse.Load() {
		return 0, errAway
	}
	return u.Records.Put(ctx, key, value, revision)
}

func FuzzParseWorker(f *testing.F) {
	f.Add((&workerLease{Version: 1, Until: 5, At: 4, Node: "a", Released: true}).encode())
	f.Add([]byte(`{"version":1,"node":"a b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseWorker(b)
		if err != nil {
			return
		}
		if again, err := parseWorker(l.encode()); err != nil || again != l {
			t.Errorf("%q came to %+v, and that to %+v, %v", b, l, again, err)
		}
	})
}
