package bench

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// runLimit bounds a benchmark of a moment on a machine that does much else.
const runLimit = 2 * time.Minute

// small is a benchmark of a moment, against a real node.
func small(t *testing.T, workload string) *Config {
	t.Helper()
	return &Config{
		Binary: harness.Binary(t), Nodes: 1, Workload: workload, Users: 6, GroupSize: 6, Window: 4,
		Duration: time.Second, Warmup: 200 * time.Millisecond, Durability: "safe", TextBytes: 300, Progress: t.Output(),
	}
}

func run(t *testing.T, c *Config) *Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	r, err := Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.WriteTable(t.Output())
	if !r.OK() {
		t.Errorf("errors %d (%s), %s", r.Errors, r.FirstError, r.Check)
	}
	return r
}

// TestPairs: a closed loop has every message at the other one, and its ratio.
func TestPairs(t *testing.T) {
	c := small(t, Pairs)
	c.Raw = 500 * time.Millisecond
	r := run(t, c)
	if r.AckedPerSecond < 10 || r.DeliveredPerSecond < r.AckedPerSecond/2 || r.DeliveredPerSecond > 2*r.AckedPerSecond {
		t.Errorf("acknowledged %.0f/s, delivered %.0f/s", r.AckedPerSecond, r.DeliveredPerSecond)
	}
	if r.ToAck.Count == 0 || r.ToAck.P50 <= 0 || r.ToDelivery.Count == 0 || r.ToDelivery.P99 < r.ToDelivery.P50 {
		t.Errorf("%+v, %+v", r.ToAck, r.ToDelivery)
	}
	if r.RSSBytes == 0 || r.ServerCPUMicros <= 0 || r.OfRawAsync <= 0 || r.OfRawDurable <= 0 {
		t.Errorf("%+v", r)
	}
}

// TestGroupAtARate: a fixed rate is kept, and every message goes to five others.
func TestGroupAtARate(t *testing.T) {
	c := small(t, Group)
	c.Window, c.Rate, c.Durability = 0, 100, "fast"
	c.Profile = filepath.Join(t.TempDir(), "cpu.pprof")
	r := run(t, c)
	if r.AckedPerSecond < 60 || r.AckedPerSecond > 140 || r.DeliveredPerSecond < 300 || r.DeliveredPerSecond > 700 {
		t.Errorf("acknowledged %.0f/s, delivered %.0f/s", r.AckedPerSecond, r.DeliveredPerSecond)
	}
	if info, err := os.Stat(c.Profile); err != nil || info.Size() == 0 {
		t.Errorf("the profile: %v", err)
	}
}

// TestIdle: silent connections stay, and their cost is known.
func TestIdle(t *testing.T) {
	t.Parallel() // it mostly waits
	c := small(t, Idle)
	c.Users, c.Sockets, c.Steps = 5, 4, []int{10, 20}
	r := run(t, c)
	if r.RSSBytes == 0 || r.Errors != 0 || len(r.Idle) != 2 || r.Idle[1].Connections != 20 {
		t.Errorf("%+v", r)
	}
}

// TestCatchUp: devices that come back are told all they missed, at every size
// of the store, and while all of them come back at once.
func TestCatchUp(t *testing.T) {
	t.Parallel() // it mostly waits
	c := small(t, CatchUp)
	c.Users, c.Missed, c.Others, c.Rounds, c.Rate = 4, 30, []int{50, 200}, 2, 50
	r := run(t, c).CatchUp
	if len(r.Steps) != 2 || r.Steps[1].Others != 200 || r.Steps[1].First.Count != 4 || r.Steps[1].Warm.Count != 8 || r.Steps[1].Warm.P50 <= 0 {
		t.Errorf("%+v", r.Steps)
	}
	if r.AckAlone.Count != 50 || r.AckInTurn.Count != 50 || r.AckCrowd.Count != 50 || r.Crowd.Count < 4 {
		t.Errorf("%+v", r)
	}
}

// TestStorm: every connection is cut under load, twice; all come back, and the
// checker finds every message at every device once.
func TestStorm(t *testing.T) {
	t.Parallel() // it mostly waits
	c := small(t, Storm)
	c.Users, c.Sockets, c.Rate, c.Rounds, c.Spread = 4, 5, 50, 2, 50*time.Millisecond
	r := run(t, c)
	if len(r.Storm) != 2 || r.Storm[1].Synced.Count != 20 || r.Storm[1].AllSyncedSeconds <= 0 || r.Check.Readers != 20 || r.Check.Sent < 50 {
		t.Errorf("%+v, %s", r.Storm, r.Check)
	}
}

// TestHistory: pages are whole wherever they begin, before and after restarts.
func TestHistory(t *testing.T) {
	t.Parallel() // it mostly waits
	c := small(t, History)
	c.Users, c.Rooms, c.Messages, c.Reads = 4, 6, 6*70, 6
	r := run(t, c).History
	if r.ReadySeconds <= 0 || r.ReadyCrashSeconds <= 0 || r.ColdLast.Count != 6 || r.WarmBefore.Count != 6 {
		t.Errorf("%+v", r)
	}
}

// TestMixed: all of it at once, and a slow reader in the second half; nothing
// is lost, and the report has its plots.
func TestMixed(t *testing.T) {
	t.Parallel() // it mostly waits
	c := small(t, Mixed)
	c.Users, c.GroupSize, c.Rate, c.Slow, c.Duration = 20, 10, 50, 2, 3*time.Second
	r := run(t, c)
	if m := r.Mixed; m.With == nil || m.With.ToDelivery.Count == 0 || m.Reconnects == 0 || m.Pages.Count == 0 || m.Without.LiveHeapBytes == 0 {
		t.Errorf("%+v", m)
	}
	if len(r.Timeline) == 0 || r.Timeline[0].Goroutines == 0 || r.Timeline[0].RSSBytes == 0 {
		t.Errorf("%+v", r.Timeline)
	}
	var page strings.Builder
	if err := WriteHTML(&page, r); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), "<svg"); n < 1 || strings.Contains(page.String(), "NaN") {
		t.Errorf("%d plots in\n%s", n, page.String())
	}
}

// TestJoin: a node that runs already is measured by its admin listener, and
// goes on running.
func TestJoin(t *testing.T) {
	node := harness.StartNode(t)
	c := small(t, Pairs)
	c.URL, c.Admin, c.Users = node.URL()+"/", node.AdminURL(), 4
	r := run(t, c)
	if r.RSSBytes == 0 || r.ServerCPUMicros <= 0 || r.AckedPerSecond < 10 {
		t.Errorf("%+v", r)
	}
	node.WaitReady()
}

// TestNodeThatCannotStart: what the node said is what the person reads.
func TestNodeThatCannotStart(t *testing.T) {
	c := small(t, Pairs)
	c.ServeArgs = []string{"--partitions=1000000"}
	if _, err := Run(harness.Context(t), c); err == nil || !strings.Contains(err.Error(), "partitions") {
		t.Errorf("%v", err)
	}
}
