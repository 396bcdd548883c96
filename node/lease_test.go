package node

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"natter/chat"
	"natter/internal/memory"
)

// standIn is one node's lease and its view of the others, without the rest of it.
type standIn struct {
	t      testing.TB
	peers  *peers
	lease  *nodeLease
	says   leaseRecord // under mu
	mu     sync.Mutex
	runs   []string
	lived  []life
	failed error
}

// standingIn has a node named name over leases; take its lease yourself.
func standingIn(t testing.TB, leases chat.Leases, name string) *standIn {
	t.Helper()
	s := &standIn{t: t, says: leaseRecord{URL: "https://" + name + ".example", Capacity: 100, Ready: true}}
	var err error
	s.peers, err = watchPeers(t.Context(), leases, quiet(t), func(l life) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lived = append(s.lived, l)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.lease = &nodeLease{leases: leases, name: name, log: quiet(t),
		describe: func() leaseRecord { s.mu.Lock(); defer s.mu.Unlock(); return s.says },
		taken:    func(err error) { s.mu.Lock(); defer s.mu.Unlock(); s.failed = err },
		runs:     func(run string) { s.mu.Lock(); defer s.mu.Unlock(); s.runs = append(s.runs, run) }}
	t.Cleanup(func() {
		_ = s.lease.close(context.Background())
		s.peers.close()
	})
	return s
}

func (s *standIn) take() error {
	s.t.Helper()
	return s.lease.take(s.t.Context())
}

// at has the stand-in remember its runs in a file.
func (s *standIn) at(path string) *standIn {
	s.t.Helper()
	var err error
	if s.lease.before, err = readRuns(path); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func (s *standIn) mustTake() *standIn {
	s.t.Helper()
	if err := s.take(); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// crash ends the node without a word.
func (s *standIn) crash() {
	s.lease.stop()
	<-s.lease.done
	s.lease.stop = nil
}

// errAway is what a store says that doesn't answer.
var errAway = chat.Unavailable("the store is away", time.Second)

// cutOff is a store as one node sees it.
type cutOff struct {
	chat.Leases
	mu   sync.Mutex
	away bool
}

func (c *cutOff) cut(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

func (c *cutOff) fault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return errAway
	}
	return nil
}

func (c *cutOff) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := c.fault(); err != nil {
		return nil, 0, err
	}
	return c.Leases.Get(ctx, key)
}

func (c *cutOff) Put(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	if err := c.fault(); err != nil {
		return 0, err
	}
	return c.Leases.Put(ctx, key, value, ttl, revision)
}

// TestALeaseIsOneProcesss: of two processes of a name the first has it while it
// lives, the second when it has been gone for the lease's time.
func TestALeaseIsOneProcesss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewLeases(0)
		first := standingIn(t, store, "a").mustTake()
		second := standingIn(t, store, "a")
		if err := second.take(); !errors.Is(err, ErrNameTaken) {
			t.Fatalf("the second process: %v", err)
		}
		time.Sleep(time.Hour)
		if !first.lease.held() {
			t.Error("the first has lost it")
		}
		first.crash()
		begun := time.Now()
		if err := second.take(); err != nil {
			t.Fatalf("after the first is gone: %v", err)
		}
		if waited := time.Since(begun); waited < leaseTTL || waited > leaseTTL+time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// TestARestartTakesItsOwnLease at once, by the runs its directory remembers: also one that was
// lost and is had again, and when a start between took none.
func TestARestartTakesItsOwnLease(t *testing.T) {
	for name, lose := range map[string]bool{"held": false, "lost and had again": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), runFile)
			synctest.Test(t, func(t *testing.T) {
				store := memory.NewLeases(0)
				mine := &cutOff{Leases: store}
				first := standingIn(t, mine, "a").at(path).mustTake()
				run := first.lease.Run()
				if lose {
					mine.cut(true)
					time.Sleep(time.Minute)
					mine.cut(false)
					time.Sleep(leaseTTL)
				}
				if !first.lease.held() || (first.lease.Run() != run) != lose {
					t.Fatalf("held %v, run %q, at first %q", first.lease.held(), first.lease.Run(), run)
				}
				first.crash()
				mine.cut(true)
				if err := standingIn(t, mine, "a").at(path).take(); err == nil {
					t.Fatal("it took a lease from a store that doesn't answer")
				}
				begun := time.Now()
				if err := standingIn(t, store, "a").at(path).take(); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(begun); waited != 0 {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

// TestRunsAreRemembered up to a bound, newest first, by whoever has the directory next.
func TestRunsAreRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), runFile)
	var made []string
	for range 3 * runsKept {
		r, err := readRuns(path)
		if err != nil {
			t.Fatal(err)
		}
		run := newRun()
		if r.has(run) {
			t.Fatalf("%q was never added", run)
		}
		if err := r.add(run); err != nil {
			t.Fatal(err)
		}
		made = append(made, run)
	}
	r, err := readRuns(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, run := range made {
		if r.has(run) != (i >= len(made)-runsKept) {
			t.Errorf("run %d of %d: remembered %v", i, len(made), r.has(run))
		}
	}
}

// TestALostLeaseIsKnownFirstByItsHolder: cut off, the holder says so before the
// others count it as gone; back, it has a new run.
func TestALostLeaseIsKnownFirstByItsHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewLeases(0)
		mine := &cutOff{Leases: store}
		a := standingIn(t, mine, "a").mustTake()
		b := standingIn(t, store, "b").mustTake()
		run := a.lease.Run()
		time.Sleep(time.Minute)
		mine.cut(true)
		for a.lease.held() {
			if !b.peers.alive("a") {
				t.Fatal("the others knew first")
			}
			time.Sleep(10 * time.Millisecond)
		}
		begun := time.Now()
		for b.peers.alive("a") {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the others took %v longer", took)
		}
		time.Sleep(time.Hour) // the store has forgotten it meanwhile
		mine.cut(false)
		time.Sleep(leaseTTL)
		synctest.Wait()
		if !a.lease.held() || !b.peers.alive("a") || a.lease.Run() == run {
			t.Errorf("back: held %v, alive %v, run %q, before %q", a.lease.held(), b.peers.alive("a"), a.lease.Run(), run)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		want := []life{{"a", run, true}, {"b", b.lease.Run(), true}, {"a", run, false}, {"a", a.lease.Run(), true}}
		if len(b.lived) != len(want) {
			t.Fatalf("b was told %v, want %v", b.lived, want)
		}
		for i := range want {
			if b.lived[i] != want[i] {
				t.Errorf("b was told %v, want %v", b.lived, want)
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.runs) != 2 || a.failed != nil {
			t.Errorf("a began %v, failed %v", a.runs, a.failed)
		}
	})
}

// TestAFrozenHolderStops: a process that slept while another took its name must
// stop, as there may be only one.
func TestAFrozenHolderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewLeases(0)
		mine := &cutOff{Leases: store}
		a := standingIn(t, mine, "a").mustTake()
		mine.cut(true)
		time.Sleep(time.Minute)
		other := standingIn(t, store, "a").mustTake()
		mine.cut(false)
		time.Sleep(leaseTTL)
		synctest.Wait()
		a.mu.Lock()
		defer a.mu.Unlock()
		if !errors.Is(a.failed, ErrNameTaken) || a.lease.held() || !other.lease.held() {
			t.Errorf("failed %v, held %v, the other %v", a.failed, a.lease.held(), other.lease.held())
		}
	})
}

// TestClocksDontEndALease: that the store has dropped a lease, because its leader's
// clock jumped, is no sign that the node is gone.
func TestClocksDontEndALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewLeases(0)
		a := standingIn(t, store, "a").mustTake()
		b := standingIn(t, store, "b")
		synctest.Wait()
		b.peers.changed(chat.LeaseChange{Kind: chat.LeaseExpired, Key: "node.a"})
		if !b.peers.alive("a") {
			t.Error("it counts as gone")
		}
		store.Lose() // and the holder has it again at its next turn
		time.Sleep(leaseTTL)
		synctest.Wait()
		if !a.lease.held() || !b.peers.alive("a") || len(a.runs) != 1 {
			t.Errorf("held %v, alive %v, runs %v", a.lease.held(), b.peers.alive("a"), a.runs)
		}
	})
}

// TestALeaseGivenBackIsGoneAtOnce.
func TestALeaseGivenBackIsGoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewLeases(0)
		a := standingIn(t, store, "a").mustTake()
		b := standingIn(t, store, "b")
		synctest.Wait()
		if !b.peers.alive("a") {
			t.Fatal("a isn't there")
		}
		a.mu.Lock()
		a.says.Draining = true
		a.mu.Unlock()
		if err := a.lease.put(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := b.peers.all(); len(all) != 1 || !all[0].Draining {
			t.Errorf("b knows %+v", all)
		}
		if err := a.lease.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b.peers.alive("a") || len(b.peers.all()) != 0 || a.lease.held() {
			t.Error("a is still there")
		}
		if err := standingIn(t, store, "a").take(); err != nil {
			t.Errorf("the next of its name: %v", err)
		}
	})
}

func FuzzParseLease(f *testing.F) {
	good, _ := json.Marshal(leaseRecord{Version: 1, Name: "a", Run: "0011", URL: "https://a.example", Load: .5, Capacity: 10})
	f.Add(good)
	f.Add([]byte(`{"version":1,"name":"a","run":"x","url":"http://[::1","load":-1}`))
	f.Add([]byte(`{"version":1,"name":"a","run":"0011","url":"https://a.example","free":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLease("a", b)
		if err != nil {
			return
		}
		if l.Name != "a" || !chat.ValidID(l.Run) || !(l.Load >= 0) || l.Capacity < 0 || l.Free != nil && *l.Free < 0 {
			t.Errorf("%q came to %+v", b, l)
		}
		if got := order([]leaseRecord{l, {Name: "b", Capacity: 1}}, l.Region, func() float64 { return .5 }); len(got) != 2 {
			t.Errorf("%+v", got)
		}
	})
}
