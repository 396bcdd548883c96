//go:build linux

package fault

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/internal/lossfs"
)

// TestWritesFail: under load one fsync of a log fails, then a write to a history,
// then one to a queue, which are acknowledged before they are written. Each time the
// node starts anew by itself, and nothing that was acknowledged to people is lost.
func TestWritesFail(t *testing.T) {
	random := dice(t)
	node := startFragile(t, lossfs.Journaled)
	ann, bob := harness.SignUp(t, node.Node, "Ann"), harness.SignUp(t, node.Node, "Bob")
	room := ann.DirectWith(bob)
	l := newLoad(t, node.Node, fullTraffic)
	l.jumbled = true
	l.begin(random)
	for range long() {
		for _, fault := range []struct {
			op     lossfs.Op
			stream string
		}{{lossfs.OpSync, "/LOG-"}, {lossfs.OpWrite, "/HISTORY-"}, {lossfs.OpWrite, "/SYNC-"}} {
			l.talk(random, 500*time.Millisecond, 1500*time.Millisecond)
			var failed atomic.Int64
			node.disk.SetFault(func(c lossfs.Call) syscall.Errno {
				if c.Op == fault.op && strings.Contains(c.Path, fault.stream) && strings.HasSuffix(c.Path, ".blk") && failed.CompareAndSwap(0, 1) {
					return syscall.EIO
				}
				return 0
			})
			harness.WaitFor(t, "something fails", func() bool { return failed.Load() > 0 })
			began := time.Now()
			harness.WaitUpTo(t, time.Minute, "a send is taken again", func() bool { return post(ann, room) == nil })
			t.Logf("a %s of %s failed: the next send is taken after %s", fault.op, fault.stream, time.Since(began).Round(time.Millisecond))
			node.disk.SetFault(nil)
		}
	}
	l.talk(random, 500*time.Millisecond, 1500*time.Millisecond)
	l.kept(l.end())
}
