//go:build linux

package fault

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/jetstream"
)

// pointTraffic is the same under the race detector, which this test's nodes don't have.
var pointTraffic = traffic{people: 6, rate: 150 * slowdown, group: 2, bytes: 120}

// passes says at which pass of a point the node dies: once early, in some starts
// while it still makes again what the last death took, and once later. What a
// start passes but once or twice (two partitions) can't be waited for longer, nor a
// page that is read once and then kept because it is amended all the time.
var passes = map[string][2]int64{
	"start.stream":   {3, 10},
	"epoch.measured": {1, 1}, "epoch.stored": {1, 1},
	"checkpoint.due": {1, 10}, "checkpoint.window": {1, 10}, "checkpoint.written": {1, 10},
	"survey.log": {1, 2}, "survey.again": {1, 2}, "survey.history": {1, 2}, "survey.queues": {1, 2}, "window.read": {1, 2}, "replay.caught": {1, 2},
	"mend.found": {1, 2}, "mend.deleted": {1, 12}, "mend.emptied": {1, 2}, "mend.noted": {1, 1},
	"tell.begun": {1, 2},
	"seal.cut":   {1, 4}, "seal.reached": {1, 1}, "seal.amended": {1, 4}, "write.page": {1, 4}, "write.record": {1, 4},
	"cursor.gathered": {1, 2}, "cursor.published": {1, 5}, "cursor.written": {1, 5},
	"record.asked": {1, 4}, "record.written": {1, 4},
	"repair.looked": {1, 2}, "repair.deleted": {1, 1}, "repair.purged": {1, 1}, "repair.written": {1, 2}, "repair.kept": {1, 1},
	"close.refused": {1, 1}, "close.finished": {1, 2}, "close.kept": {1, 2}, "close.cursors": {1, 1}, "close.seen": {1, 1},
}

// usually is for every other point.
var usually = [2]int64{1, 30}

// dieWithin is how long a node may live with a failpoint.
const dieWithin = 60 * time.Second

// death is one life of a node that ends at a failpoint.
type death struct {
	point string
	pass  int64
}

func (d death) String() string { return fmt.Sprintf("%s:%d", d.point, d.pass) }

// of tells whether the point is of one of these parts.
func of(point string, parts ...string) bool {
	part, _, _ := strings.Cut(point, ".")
	return slices.Contains(parts, part)
}

// deaths are an early and a later one at each point that which wants, in any order;
// with FAULT_LONG more of them, at any pass between.
func deaths(random *rand.Rand, which func(point string) bool) (all []death) {
	for round := range long() {
		for _, point := range jetstream.Failpoints {
			if !which(point) {
				continue
			}
			at, ok := passes[point]
			if !ok {
				at = usually
			}
			if round > 0 {
				at = [2]int64{1 + random.Int64N(at[1]), 1 + random.Int64N(at[1])}
			}
			all = append(all, death{point, at[0]}, death{point, at[1]})
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// perishes runs the node until it has died at the point, and nowhere else.
func perishes(t *testing.T, node *harness.Node, d death, meanwhile func()) {
	t.Helper()
	node.StartWith("NATTER_FAILPOINT=" + d.String())
	if meanwhile != nil {
		meanwhile()
	}
	if tail := node.WaitKilled("at "+d.String(), dieWithin); !strings.Contains(tail, "failpoint "+d.point+"\n") {
		t.Fatalf("the node was killed, but not at %s\n%s", d, tail)
	}
}

// TestKilledBetweenAnyTwoSteps: under load the node kills itself at every failpoint
// there is, early and later, in the middle of a start as well, and goes on from
// where the log says. Whatever was acknowledged is shown to every member, once, in
// one order without holes; what was edited, renamed or signed up stays so.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	random := dice(t)
	data := dataDir(t)
	node := harness.NewNode(t, harness.FailingBinary(t), "--data="+data, "--partitions=2")
	// The very first start, with nothing there yet.
	perishes(t, node, death{"start.stream", 7}, nil)
	perishes(t, node, death{"epoch.measured", 1}, nil)
	node.Start()
	node.WaitReady()
	l := newLoad(t, node, pointTraffic)
	l.begin(random)
	r := newRestless(l)
	r.begin()
	l.talk(random, 300*time.Millisecond, 600*time.Millisecond)
	node.Kill()
	all := deaths(random, func(point string) bool { return !of(point, "close", "repair", "grow") })
	began := time.Now()
	var longest time.Duration
	var which death
	for i, d := range all {
		if i%10 == 9 { // now and then it lives for a moment
			node.Start()
			node.WaitReady()
			l.talk(random, 100*time.Millisecond, 300*time.Millisecond)
			node.Kill()
		}
		if of(d.point, "mend") {
			plantHoles(t, data)
		}
		from := time.Now()
		perishes(t, node, d, nil)
		if took := time.Since(from); took > longest {
			longest, which = took, d
		}
	}
	t.Logf("%d deaths in %s, the longest life %s (%s)", len(all), time.Since(began).Round(time.Millisecond), longest.Round(time.Millisecond), which)
	node.Start()
	took := node.WaitReady()
	t.Logf("ready after %s", took.Round(time.Millisecond))
	l.talk(random, 200*time.Millisecond, time.Second)
	r.end()
	l.kept(l.end())
	r.kept()
}

// TestKilledWhileStopping: the node dies in the middle of an orderly stop, and in
// the start that follows one.
func TestKilledWhileStopping(t *testing.T) {
	random := dice(t)
	node := harness.NewNode(t, harness.FailingBinary(t), "--data="+dataDir(t), "--partitions=2")
	node.Start()
	node.WaitReady()
	l := newLoad(t, node, pointTraffic)
	l.jumbled = true // a stop refuses
	l.begin(random)
	for _, d := range deaths(random, func(point string) bool { return of(point, "close") }) {
		node.Stop()
		perishes(t, node, d, func() {
			node.WaitReady()
			l.talk(random, 100*time.Millisecond, 500*time.Millisecond)
			node.AskToStop()
		})
		node.Start()
		node.WaitReady()
		l.talk(random, 100*time.Millisecond, 300*time.Millisecond)
	}
	for _, d := range []death{{"start.stream", 2}, {"survey.log", 2}, {"window.read", 1}, {"tell.begun", 1}, {"replay.caught", 1}, {"record.written", 1}} {
		node.Stop()
		perishes(t, node, d, nil)
		node.Start()
		node.WaitReady()
		l.talk(random, 100*time.Millisecond, 300*time.Millisecond)
	}
	l.kept(l.end())
}

// TestFailpointsAreBuiltInOnDemand: the program that people run has none.
func TestFailpointsAreBuiltInOnDemand(t *testing.T) {
	variable := []byte("NATTER_FAILPOINT")
	for path, want := range map[string]bool{harness.Binary(t): false, harness.FailingBinary(t): true} {
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(program, variable) != want {
			t.Errorf("%s knows failpoints: %t", path, !want)
		}
	}
	for point := range passes {
		if !slices.Contains(jetstream.Failpoints, point) {
			t.Errorf("there is no %s", point)
		}
	}
}
