//go:build linux

package fault

import (
	"math/rand/v2"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/internal/lossfs"
)

// fragile is a node whose data lies on a disk that forgets.
type fragile struct {
	*harness.Node
	disk *lossfs.FS
}

func startFragile(t *testing.T, model lossfs.Model, args ...string) *fragile {
	t.Helper()
	disk := lossfs.New(t, model)
	t.Cleanup(func() { // after the node's end, before the unmount
		if t.Failed() {
			t.Logf("the data is kept in %s", disk.Keep(t))
		}
	})
	return &fragile{harness.StartNode(t, append(args, "--data="+disk.Dir+"/data")...), disk}
}

// powerFails cuts the power, and turns it on again.
func (f *fragile) powerFails(t *testing.T, survival lossfs.Survival, random *rand.Rand) {
	t.Helper()
	f.Kill()
	loss := f.disk.PowerFail(t, survival, random)
	f.Start()
	took := f.WaitReady()
	t.Logf("power failure (%s unsynced survives): lost %s; ready again after %s", survival, loss, took.Round(time.Millisecond))
}

var powerTraffic = traffic{people: 12, rate: 400, group: 4, bytes: 200}

const powerFailures = 10

// TestPowerFailure: 12 people send 400 messages a second, and the power fails at
// ten random moments. Sometimes nothing of the unsynced survives, sometimes what
// a kernel may have written back. Whatever was acknowledged is shown to every
// member, once, in one order without holes.
func TestPowerFailure(t *testing.T) {
	random := dice(t)
	node := startFragile(t, lossfs.Journaled)
	l := newLoad(t, node.Node, powerTraffic)
	l.begin(random)
	for range powerFailures * long() {
		l.talk(random, 300*time.Millisecond, 2*time.Second)
		node.powerFails(t, lossfs.Survival(random.IntN(2)), random)
	}
	l.talk(random, 300*time.Millisecond, 2*time.Second)
	l.kept(l.end())
	t.Logf("%d fsyncs", node.disk.Syncs())
}
