package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"natter/internal/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// small is a benchmark of a moment, against a real node.
func small(t *testing.T, workload string) *Config {
	t.Helper()
	return &Config{
		Binary: harness.Binary(t), Workload: workload, Users: 6, GroupSize: 6, Window: 4,
		Duration: time.Second, Warmup: 200 * time.Millisecond, Durability: "safe", TextBytes: 300, Progress: t.Output(),
	}
}

func run(t *testing.T, c *Config) *Result {
	t.Helper()
	r, err := Run(harness.Context(t), c)
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
	c := small(t, Idle)
	c.Users = 20
	r := run(t, c)
	if r.RSSBytes == 0 || r.Errors != 0 {
		t.Errorf("%+v", r)
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
