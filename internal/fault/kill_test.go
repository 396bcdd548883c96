//go:build linux

package fault

import (
	"testing"
	"time"

	"natter/internal/harness"
)

var killTraffic = traffic{people: 12, rate: 500, group: 4, bytes: 120}

const kills = 20

// TestKilledTwentyTimes: 12 people send 500 messages a second while the process
// is killed twenty times at random moments, once in four while it is still
// starting. Whatever was acknowledged is shown to every member, once, in one
// order without holes.
func TestKilledTwentyTimes(t *testing.T) {
	random := dice(t)
	node := harness.StartNode(t, "--data="+dataDir(t))
	l := newLoad(t, node, killTraffic)
	l.begin(random)
	var slowest time.Duration
	for kill := range kills * long() {
		l.talk(random, 150*time.Millisecond, 1200*time.Millisecond)
		node.Kill()
		node.Start()
		if random.IntN(4) == 0 { // and again before it is up
			l.talk(random, 5*time.Millisecond, 400*time.Millisecond)
			node.Kill()
			node.Start()
		}
		took := node.WaitReady()
		slowest = max(slowest, took)
		t.Logf("kill %d: ready again after %s", kill+1, took.Round(time.Millisecond))
	}
	l.talk(random, 200*time.Millisecond, time.Second)
	l.kept(l.end())
	t.Logf("slowest start %s", slowest.Round(time.Millisecond))
}
