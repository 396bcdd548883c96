package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"natter/internal/memory"
)

// TestACrowdSpreads: of many clients that ask at once each node gets as many as it
// has room for, the region's first, and a full one none while there are others.
func TestACrowdSpreads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)).Float64
	nodes := []leaseRecord{
		{Name: "half", Region: "eu", Load: .5, Capacity: 1000},
		{Name: "empty", Region: "eu", Capacity: 1000},
		{Name: "small", Region: "eu", Capacity: 500},
		{Name: "full", Region: "eu", Load: 1, Capacity: 1000},
		{Name: "far", Region: "us", Capacity: 10_000},
	}
	first := map[string]int{}
	const crowd = 20_000
	for range crowd {
		list := order(nodes, "eu", random)
		first[list[0].ID]++
		if len(list) != 5 || list[3].ID != "far" || list[4].ID != "full" {
			t.Fatalf("%+v", list)
		}
	}
	for name, share := range map[string]float64{"empty": .5, "half": .25, "small": .25} {
		if got := float64(first[name]) / crowd; got < share-.02 || got > share+.02 {
			t.Errorf("%s is first for %.3f, want %.2f", name, got, share)
		}
	}
	if list := order(nodes, "us", random); list[0].ID != "far" {
		t.Errorf("from there: %+v", list)
	}
	if list := order(nil, "eu", random); len(list) != 0 {
		t.Errorf("of none: %+v", list)
	}
}

// names are the nodes of an answer, in order of name.
func names(list []entry) string {
	var all []string
	for _, one := range list {
		all = append(all, one.ID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestDiscoveryFollowsTheLeases: a node that drains or isn't ready isn't offered,
// one that is gone for the lease's time neither, and a node that is cut off itself
// offers those it knew.
func TestDiscoveryFollowsTheLeases(t *testing.T) {
	n := start(t, settings(t, t.TempDir()))
	if got := names(n.nodes("")); got != "n1" {
		t.Fatalf("alone: %q", got)
	}
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewLeases(0)
		mine := &cutOff{Leases: store}
		self := standingIn(t, mine, "n1").mustTake()
		a, b := standingIn(t, store, "a").mustTake(), standingIn(t, store, "b").mustTake()
		synctest.Wait()
		n := &Node{config: n.config, listener: n.listener, most: n.most, store: n.store, failed: n.failed, peers: self.peers, lease: self.lease}
		expect := func(when, want string) {
			t.Helper()
			synctest.Wait()
			if got := names(n.nodes("")); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		expect("all are well", "a b n1")
		change := func(s *standIn, f func(*leaseRecord)) {
			s.mu.Lock()
			f(&s.says)
			s.mu.Unlock()
			if err := s.lease.put(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		change(a, func(l *leaseRecord) { l.Draining = true })
		expect("a drains", "b n1")
		change(b, func(l *leaseRecord) { l.Ready = false })
		expect("b isn't ready", "n1")
		change(a, func(l *leaseRecord) { l.Draining = false })
		change(b, func(l *leaseRecord) { l.Ready = true })
		expect("both are back", "a b n1")
		b.crash()
		time.Sleep(leaseTTL + peersLook)
		expect("b has died", "a n1")
		mine.cut(true)
		time.Sleep(leaseTTL + peersLook)
		expect("n1 is cut off", "a b")
		mine.cut(false)
		time.Sleep(leaseTTL)
		expect("n1 is back", "a n1")
		n.stopping.Store(true)
		expect("n1 drains", "a")
		_ = self.lease.close(context.Background())
	})
}
