package bench

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"natter/internal/harness"
)

// three is a benchmark of a moment, against a real cluster.
func three(t *testing.T, workload string) *Config {
	t.Helper()
	c := small(t, workload)
	c.Nodes = 3
	return c
}

// TestClusterPairs: people of different nodes talk, and the result tells of each
// node, of its starts and of the rate beside what three servers do alone.
func TestClusterPairs(t *testing.T) {
	c := three(t, Pairs)
	c.Raw, c.Profile = 500*time.Millisecond, filepath.Join(t.TempDir(), "cpu.pprof")
	r := run(t, c)
	for _, name := range []string{"-a", "-b", "-c"} {
		file := strings.Replace(c.Profile, ".pprof", name+".pprof", 1)
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("the profile of %s: %v", name, err)
		}
	}
	if r.AckedPerSecond < 5 || r.DeliveredPerSecond < r.AckedPerSecond/2 || r.ToAck.Count == 0 || r.ToDelivery.Count == 0 {
		t.Errorf("acknowledged %.0f/s, delivered %.0f/s", r.AckedPerSecond, r.DeliveredPerSecond)
	}
	if r.Raw.Replicated.PerSecond <= 0 || r.Raw.Durable.PerSecond != 0 || r.OfRawDurable <= 0 || r.OfRawAsync != 0 {
		t.Errorf("%+v, of it %.2f and %.2f", r.Raw, r.OfRawDurable, r.OfRawAsync)
	}
	k := r.Cluster
	if k == nil || len(k.Nodes) != 3 || k.ReadySeconds <= 0 || k.ReadyAgainSeconds <= 0 || k.ReadyAloneSeconds <= 0 || k.IdleSeconds <= 0 || k.IdleRSSBytes == 0 {
		t.Fatalf("%+v", k)
	}
	for _, n := range k.Nodes {
		if n.Connections != 2 || n.ReadySeconds <= 0 || n.ReadySeconds > k.ReadySeconds || n.ReadyAgainSeconds <= 0 || n.IdleRSSBytes == 0 || n.RSSBytes == 0 || n.Cores <= 0 {
			t.Errorf("%+v", n)
		}
	}
	var page strings.Builder
	if err := WriteHTML(&page, r); err != nil || !strings.Contains(page.String(), "Server memory, each node") {
		t.Errorf("%v in\n%s", err, page.String())
	}
}

// TestClusterWorkloads: what cuts connections or restarts nodes does so to all three.
func TestClusterWorkloads(t *testing.T) {
	for workload, set := range map[string]func(*Config){
		Storm: func(c *Config) {
			c.Sockets, c.Rate, c.Rounds, c.Spread, c.Window = 2, 20, 1, 50*time.Millisecond, 0
		},
		History: func(c *Config) { c.Rooms, c.Messages, c.Reads = 6, 6*70, 6 },
	} {
		t.Run(workload, func(t *testing.T) {
			t.Parallel() // they mostly wait for elections
			c := three(t, workload)
			set(c)
			r := run(t, c)
			switch workload {
			case Storm:
				if len(r.Storm) != 1 || r.Storm[0].Synced.Count != 12 {
					t.Errorf("%+v", r.Storm)
				}
			case History:
				if r.History.ReadySeconds <= 0 || r.History.ReadyCrashSeconds <= 0 || r.History.ColdLast.Count != 6 {
					t.Errorf("%+v", r.History)
				}
			}
		})
	}
}

// TestEndedEarly: whether it is asked to end or killed, a benchmark leaves none of
// its nodes behind.
func TestEndedEarly(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"asked": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(harness.Binary(t), "bench", "--nodes", "3", "--duration", "1h", "--users", "6")
			cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // who is killed can't remove it
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill() //nolint:errcheck // it has ended, unless the test failed
			var urls []string
			started := regexp.MustCompile(`^started a node \((http:\S+), process`)
			for lines := bufio.NewScanner(said); len(urls) < 3 && lines.Scan(); {
				if m := started.FindStringSubmatch(lines.Text()); m != nil {
					urls = append(urls, m[1])
				}
			}
			if len(urls) != 3 {
				t.Fatalf("it started %q", urls)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			ctx := harness.Context(t)
			gone := func(url string) func() bool {
				return func() bool {
					res, err := get(ctx, url+"/readyz")
					if err == nil {
						_ = res.Body.Close()
					}
					return errors.Is(err, syscall.ECONNREFUSED)
				}
			}
			for _, url := range urls {
				if err := until(ctx, gone(url)); err != nil {
					t.Errorf("%s goes on: %v", url, err)
				}
			}
			if err := cmd.Wait(); err == nil {
				t.Error("it ended as if it had measured")
			}
		})
	}
}
