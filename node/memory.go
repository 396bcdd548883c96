package node

import (
	"os"
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
	sample := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		// Not what it does on processors that have nothing else to do.
		{Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/assist:cpu-seconds"},
	}
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	var (
		t tide
		r headroom
	)
	_, own := os.LookupEnv("GOGC")
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
		if own {
			continue // who runs it has chosen
		}
		if percent, changed := r.next(sample[2].Value.Float64() + sample[3].Value.Float64()); changed {
			debug.SetGCPercent(percent)
		}
	}
}

// How much the heap may grow between two collections, in percent of what lives.
//
// Streams keep a block of 8 MB of a stream in memory when anything in it is read,
// and let the collector take it. With Go's 100 % such blocks pile up: paging at
// random through an hour's history took a node from 300 to 540 MB and further with
// each block written. So a node collects at 25 %, as long as that is cheap, and
// goes back to 100 % where the processors are needed for other things.
const (
	tightHeap = 25
	wideHeap  = 100
	// dearSeconds of processors a second in collecting are too many at tightHeap,
	// cheapSeconds at wideHeap mean that tightHeap would be cheap.
	dearSeconds  = 0.15
	cheapSeconds = 0.03
	// cheapLooks in a row, so that a pause in a busy time changes nothing.
	cheapLooks = 10
)

// headroom tells how much the heap may grow between two collections.
type headroom struct {
	percent   int
	collected float64
	cheap     int // looks in a row
}

// next is called once for each memoryLook with the seconds of processors ever spent
// collecting. It returns the percentage, and whether it is another than before.
func (r *headroom) next(collected float64) (percent int, changed bool) {
	cost := collected - r.collected
	r.collected = collected
	r.cheap++
	if cost >= cheapSeconds {
		r.cheap = 0
	}
	before := r.percent
	switch {
	case r.percent == 0:
		r.percent = tightHeap
	case r.percent == tightHeap && cost > dearSeconds:
		r.percent = wideHeap
	case r.percent == wideHeap && r.cheap >= cheapLooks:
		r.percent = tightHeap
	}
	return r.percent, r.percent != before
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
