package node

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"natter/chat"
	"natter/internal/conformance"
	"natter/internal/natstest"
	"natter/jetstream"
)

// trio is three stores over three real servers.
type trio struct {
	servers *natstest.Cluster
	stores  [3]*jetstream.Store
}

func threeStores(t testing.TB) *trio {
	t.Helper()
	c := &trio{servers: natstest.StartCluster(t, t.TempDir(), false)}
	var opening sync.WaitGroup
	for i := range c.stores {
		opening.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			store, err := jetstream.Open(ctx, jetstream.Options{
				Connect: c.servers.Nodes[i].Connect, Partitions: 1, Node: c.servers.Name(i), Clean: true, Replicas: 3,
				Leads: c.servers.Nodes[i].Leads, QueueRetention: time.Hour, Log: quiet(t), Fatal: func(err error) { t.Error(err) },
			})
			if err != nil {
				t.Error(err)
				return
			}
			c.stores[i] = store
			t.Cleanup(func() { c.stop(i) })
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// stop ends node i in order; again is fine.
func (c *trio) stop(i int) {
	if c.stores[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.stores[i].Close(ctx)
	c.stores[i] = nil
}

func (c *trio) attend(t testing.TB, i int) *attendant {
	t.Helper()
	return attending(t, c.stores[i].Leases(), c.stores[i].Places(), c.servers.Name(i))
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestThreeNodes: leases, roster, worker numbers, clocks, passing news and records
// between three real servers.
func TestThreeNodes(t *testing.T) {
	c := threeStores(t)
	t.Run("roster", func(t *testing.T) {
		conformance.RosterSuite(t, func(t *testing.T) conformance.Rosters {
			a, b := c.attend(t, 0), c.attend(t, 1)
			return conformance.Rosters{A: a.roster, B: b.roster, Die: b.silent, Revive: b.back}
		})
	})
	t.Run("a name is one process's", func(t *testing.T) {
		c.attend(t, 0)
		second := standingIn(t, c.stores[1].Leases(), c.servers.Name(0))
		if err := second.take(); err == nil || !strings.Contains(err.Error(), ErrNameTaken.Error()) {
			t.Errorf("%v", err)
		}
	})
	t.Run("worker numbers", func(t *testing.T) {
		made := make(chan *ids, 3)
		for i := range c.stores {
			go func() {
				g, err := memberIDs(t, c.stores[i].Records("node"), c.servers.Name(i))
				if err != nil {
					t.Error(err)
				}
				made <- g
			}()
		}
		held := map[int]*ids{}
		for range c.stores { // all before any is given back
			if g := <-made; g != nil {
				held[g.worker()] = g
			}
		}
		for _, g := range held {
			if err := g.close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if len(held) != 3 {
			t.Errorf("the numbers %v", held)
		}
	})
	t.Run("news cross the nodes", func(t *testing.T) {
		heard := make(chan string, 1000)
		stop, err := c.stores[2].News().Listen("jiwoo", func(b []byte) { heard <- string(b) })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		// That somebody listens takes a moment to reach the other servers.
		eventually(t, "heard", func() bool {
			if err := c.stores[0].News().Publish([]chat.UserID{"jiwoo"}, []byte("typing")); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-heard:
				return got == "typing"
			case <-time.After(20 * time.Millisecond):
				return false
			}
		})
	})
	t.Run("when people were here", func(t *testing.T) {
		c.stores[0].Seen().Put("minsu", 12345)
		eventually(t, "the other node reads it", func() bool {
			at, err := c.stores[1].Seen().Get(t.Context(), "minsu")
			return err == nil && at == 12345
		})
	})
	t.Run("clocks", func(t *testing.T) { clockTest(t, c) })
	t.Run("a node dies", func(t *testing.T) {
		a, b := c.attend(t, 0), c.attend(t, 2)
		seen := watching(t, a.roster)
		b.crowd(100, chat.Here)
		eventually(t, "they are here", func() bool { return seen.count() == 100 })
		b.crash()
		b.roster.stop()
		c.stop(2)
		c.servers.Nodes[2].Stop()
		eventually(t, "they are gone", func() bool { return seen.count() == 0 })
		if !a.lease.held() {
			t.Error("the living node has lost its lease")
		}
		a.crowd(10, chat.Here) // the store goes on
		eventually(t, "written", func() bool { return a.roster.waiting() == 0 })
	})
}

func clockTest(t *testing.T, c *trio) {
	ahead := 1500 * time.Millisecond
	var conns [3]*nats.Conn
	for i := range conns {
		nc, err := c.servers.Nodes[i].Connect("clock")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		conns[i] = nc
	}
	for i := 1; i < 3; i++ {
		if err := answerClock(conns[i], fmt.Sprintf("clock%d", i), func() time.Time { return time.Now().Add(ahead) }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the clock answers", func() bool {
		_, _, err := clockOffset(t.Context(), conns[0], "clock1")
		return err == nil
	})
	offset, within, err := clockOffset(t.Context(), conns[0], "clock1")
	if err != nil || (offset-ahead).Abs() > within+50*time.Millisecond {
		t.Errorf("%v ahead, within %v, %v; it is %v", offset, within, err, ahead)
	}
	var live atomic.Pointer[[]string]
	live.Store(&[]string{"clock1"})
	m, err := watchClocks(conns[0], "self", func() []string { return *live.Load() }, quiet(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	m.measure(t.Context())
	wrong := func() bool {
		ahead, is := m.apart(clockLimit)
		if is && (ahead+1500*time.Millisecond).Abs() > time.Second {
			t.Errorf("it is %v ahead, which it isn't", ahead)
		}
		return is
	}
	if wrong() {
		t.Error("of two nobody can tell whose is wrong")
	}
	live.Store(&[]string{"clock1", "clock2"})
	eventually(t, "both differ: this node's is wrong", func() bool {
		m.measure(t.Context())
		return wrong()
	})
	live.Store(&[]string{})
	eventually(t, "alone: nobody's is wrong", func() bool {
		m.measure(t.Context())
		_, far := m.apart(clockFar)
		return !wrong() && !far
	})
}

// BenchmarkRoster: somebody comes and goes on one node of three; the figure is a
// change until another node knows.
func BenchmarkRoster(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			leases, places := benchStores(b, nodes)
			a, other := attending(b, leases[0], places[0], "a"), attending(b, leases[nodes-1], places[nodes-1], "b")
			seen := watching(b, other.roster)
			eventually(b, "a lives", func() bool { return other.peers.alive("a") })
			const crowd = 5000
			before := cpu(b)
			b.ResetTimer()
			for i := range b.N {
				s := chat.Here
				want := crowd
				if i%2 == 1 {
					s, want = chat.Gone, 0
				}
				a.crowd(crowd, s)
				eventually(b, "told", func() bool { return seen.count() == want })
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)*crowd/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N)/crowd, "µs_CPU/change")
			a.crowd(crowd, chat.Gone)
		})
	}
}

// BenchmarkRosterAtRest: 10,000 people are here and nothing happens.
func BenchmarkRosterAtRest(b *testing.B) {
	const crowd = 10_000
	leases, places := benchStores(b, 3)
	a, other := attending(b, leases[0], places[0], "a"), attending(b, leases[2], places[2], "b")
	seen := watching(b, other.roster)
	a.crowd(crowd, chat.Here)
	eventually(b, "told", func() bool { return seen.count() == crowd })
	rest := 10 * time.Second
	if text := os.Getenv("ROSTER_REST_SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		rest = time.Duration(seconds) * time.Second
	}
	b.ResetTimer()
	for range b.N {
		runtime.GC()
		before := cpu(b)
		time.Sleep(rest)
		b.ReportMetric(100*(cpu(b)-before).Seconds()/rest.Seconds(), "%CPU/3_nodes")
	}
}

func benchStores(b *testing.B, nodes int) (leases, places []chat.Leases) {
	b.Helper()
	if nodes == 1 {
		server := natstest.Start(b, b.TempDir(), false)
		store, err := jetstream.Open(b.Context(), jetstream.Options{Connect: server.Connect, Partitions: 1, Node: "n1", Clean: true, Replicas: 1,
			QueueRetention: time.Hour, Log: quiet(b), Fatal: func(err error) { b.Error(err) }})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = store.Close(context.Background()) })
		return []chat.Leases{store.Leases()}, []chat.Leases{store.Places()}
	}
	for _, store := range threeStores(b).stores {
		leases, places = append(leases, store.Leases()), append(places, store.Places())
	}
	return leases, places
}

// cpu is what this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
