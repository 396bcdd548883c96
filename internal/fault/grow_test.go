//go:build linux

package fault

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/jetstream"
)

// growTraffic is little, because it waits in the devices while nobody is served.
var growTraffic = traffic{people: 4, rate: 20, group: 2, bytes: 120}

// growDeaths are every point of a growth, in an order in which each can be met: what
// an earlier one left is there when it is to be removed.
var growDeaths = []death{
	{"grow.asked", 1}, {"grow.copied", 1}, {"grow.chunk", 1}, {"grow.removed", 1}, {"grow.passed", 5},
	{"grow.settled", 2}, {"grow.marked", 1}, {"grow.founded", 1},
}

// TestKilledWhileGrowing: a node alone, whose people talk, becomes three. The growth
// dies at each of its steps, one after the other; the one that lives begins with what
// the last has left. The people's devices have been trying all the time, and go on:
// nothing is missing, twice or out of order, and no cursor is reset.
func TestKilledWhileGrowing(t *testing.T) {
	for _, point := range jetstream.Failpoints {
		if of(point, "grow") && !slices.ContainsFunc(growDeaths, func(d death) bool { return d.point == point }) {
			t.Errorf("no growth dies at %s", point)
		}
	}
	random := dice(t)
	c := harness.NewCluster(t, 3, "--partitions=2")
	alone := c.Alone(t, "--partitions=2")
	alone.Start()
	alone.WaitReady()
	l := newLoad(t, alone, growTraffic)
	l.jumbled = true // a stop refuses
	l.begin(random)
	l.talk(random, 2*time.Second, 3*time.Second)
	alone.Stop()
	c.Node("b").Start()
	c.Node("c").Start()
	for i, d := range growDeaths {
		cmd := c.Grow(harness.FailingBinary(t), alone)
		cmd.Env = append(cmd.Environ(), "NATTER_FAILPOINT="+d.String())
		began := time.Now()
		out, err := cmd.CombinedOutput()
		t.Logf("killed at %s after %s", d, time.Since(began).Round(time.Millisecond))
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || !strings.Contains(string(out), "failpoint "+d.point+"\n") {
			t.Fatalf("%s: the growth ended with %v\n%s", d, err, out)
		}
		if i%3 == 1 { // a member as well
			c.Node("b").Kill()
			c.Node("b").Start()
		}
	}
	// It was founded; what the last one didn't know, this one finds.
	out, err := c.Grow(harness.Binary(t), alone).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "already") {
		t.Fatalf("the last growth: %v\n%s", err, out)
	}
	c.Node("a").Start()
	c.WaitReady()
	l.node = c.Node("a")
	l.talk(random, 2*time.Second, 3*time.Second)
	l.kept(l.end())
	if n := l.resets.Load(); n > 0 {
		t.Errorf("%d cursors were not honoured", n)
	}
}
