package node

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Memory after a busy time.
//
// The collector runs when the heap has doubled. A crowd that connects leaves as
// much garbage as the connections hold, and if silence follows, nothing collects
// it for two minutes: 10,000 idle connections were 12 KB each, 8.4 KB of it in
// use (2 cores, Go 1.26). So the node collects when it gets quiet, and gives the
// pages back. A collection costs about a millisecond of a core for each 2 MB in
// use, beside whatever else goes on.
const (
	memoryLook = time.Second
	// quietBytes is what a quiet second allocates at most.
	quietBytes = 2 << 20
	// leftBytes is the least that must have been allocated since the last time to
	// be worth it; a quarter of what lives, if that is more.
	leftBytes = 32 << 20
)

// giveBackMemory collects after busy times. It ends with the node.
func (n *Node) giveBackMemory() {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	var t tide
	for {
		select {
		case <-tick.C:
		case <-n.quit:
			return
		}
		metrics.Read(sample)
		if t.turned(sample[0].Value.Uint64(), sample[1].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// tide tells when a busy time is over.
type tide struct {
	last      uint64 // allocated at the last look
	collected uint64 // allocated when it last turned
}

// turned is called once for each memoryLook with the bytes ever allocated and
// those that lived at the last collection.
func (t *tide) turned(allocated, live uint64) bool {
	quiet := allocated-t.last < quietBytes
	t.last = allocated
	if !quiet || allocated-t.collected < max(leftBytes, live/4) {
		return false
	}
	t.collected = allocated
	return true
}
