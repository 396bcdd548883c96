//go:build linux

package fault

import (
	"math/rand/v2"
	"testing"
	"time"

	"natter/internal/check"
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

// TestPowerFailureFast is the same with --durability=fast, for the difference:
// what was acknowledged within the last second may be lost, and seqs are given
// again. What it comes to is printed; asserted is that the checker sees every
// loss, and that the node goes on.
func TestPowerFailureFast(t *testing.T) {
	random := dice(t)
	node := startFragile(t, lossfs.Journaled, "--durability=fast")
	l := newLoad(t, node.Node, powerTraffic)
	l.tolerant = true
	l.talk(random, 1500*time.Millisecond, 1600*time.Millisecond) // the people and rooms are on the disk
	l.begin(random)
	for range 3 * long() {
		l.talk(random, 1200*time.Millisecond, 2*time.Second)
		node.powerFails(t, lossfs.Nothing, random)
	}
	l.talk(random, 500*time.Millisecond, time.Second)
	rep := l.end()
	gone := l.history.Missing(func(r check.Reader) bool { return r == "history" })
	rep.Findings = nil
	t.Logf("durability fast: of %d acknowledged messages %d are gone from history, %d sends refused\n%s", rep.Acked, gone, l.refused.Load(), rep)
	if gone > 0 && rep.Lost < gone {
		t.Errorf("%d messages are gone and the checker saw %d", gone, rep.Lost)
	}
}

// TestPowerFailureAcrossFiles: large texts in one partition, so that the streams
// of the store go on to a new file (each 8 MB) every few seconds, and what
// survives of the one file says nothing about the next. A projection then comes
// back with a hole in its middle.
func TestPowerFailureAcrossFiles(t *testing.T) {
	random := dice(t)
	node := startFragile(t, lossfs.Journaled, "--partitions=1")
	l := newLoad(t, node.Node, traffic{people: 6, rate: 300, group: 2, bytes: 3900})
	l.begin(random)
	for range 3 * long() {
		l.talk(random, 500*time.Millisecond, 4*time.Second)
		node.powerFails(t, lossfs.Something, random)
	}
	l.talk(random, 300*time.Millisecond, time.Second)
	l.kept(l.end())
}

// TestPowerFailurePosix is TestPowerFailure on a file system that promises no more
// than POSIX: a file that was synced has no name until its directory was.
func TestPowerFailurePosix(t *testing.T) {
	random := dice(t)
	node := startFragile(t, lossfs.Posix)
	l := newLoad(t, node.Node, powerTraffic)
	l.begin(random)
	for range 3 * long() {
		l.talk(random, 300*time.Millisecond, 2*time.Second)
		node.powerFails(t, lossfs.Survival(random.IntN(2)), random)
	}
	l.talk(random, 300*time.Millisecond, time.Second)
	l.kept(l.end())
}
