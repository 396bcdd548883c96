package node

import (
	"os"
	"runtime"
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
		{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"},
	}
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	shed := time.NewTicker(shedLook)
	defer shed.Stop()
	var (
		t tide
		r headroom
		c collecting
		b shedding
		m machine
	)
	_, own := os.LookupEnv("GOGC")
	for {
		select {
		case <-tick.C:
		case <-shed.C:
			if begun := time.Now(); !own && b.due(begun, n.store.HistoryReads(), cycles(), r) {
				runtime.GC()
				b.made(begun, time.Now())
			}
			continue
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
		c.look(sample[2].Value.Float64()+sample[3].Value.Float64(), sample[4].Value.Float64()-sample[5].Value.Float64(), processorSeconds())
		if percent, changed := r.next(c.seconds, cycles()-b.forced, m.pressed(machineSeconds())); changed {
			debug.SetGCPercent(percent)
		}
	}
}

// How much the heap may grow between two collections, in percent of what lives.
//
// Streams keep a block of 4 MiB of a stream in memory when anything in it is read,
// and let the collector take it and, two collections later, its buffer; blocks that they
// wrote themselves are another matter, see hotblocks.go. With Go's 100 % such blocks pile
// up. So a node collects as early as is cheap, and later where the processors are needed
// for other things.
const wideHeap = 100

var heapSteps = [...]int{10, 25, 50, wideHeap}

const (
	// dearSeconds of processors a second in collecting are too many, cheapSeconds
	// are none. What it costs goes with one over the percentage.
	dearSeconds  = 0.15
	cheapSeconds = 0.05
	// cheapLooks in a row, so that a pause in a busy time changes nothing.
	cheapLooks = 10
	// oftenCycles a second are too many, whatever they cost: while one marks, half of two
	// processors is its own, and others wait. With 100 devices coming back the
	// acknowledgements of others had a p99 of 16 ms at 10 %, of 11 ms at 100 %.
	oftenCycles = 2
	// Where less than idleLeast of the machine's processors is idle, what collecting takes
	// is taken from somebody, be it another node on the same machine: then both bounds
	// are pressedPart of that. It costs more than the time it marks: what it had put out
	// of the processors' caches is fetched again.
	idleLeast   = 0.15
	pressedPart = 0.1
)

// Blocks that were read for a page of history live until a collection, and their
// buffers two more; the next ones are read into those, so that reading more doesn't
// bring a collection nearer: what is in memory is all of history that is read between two
// collections. So a node collects after shedReads of them, at most each shedLook, where
// collecting is cheap: with 150 MB in use a collection was 14 ms of processors that nobody
// else wanted. Where there is much to mark it takes longer, and comes the more rarely: it
// rests shedRests times as long as it took.
const (
	shedLook  = 250 * time.Millisecond
	shedReads = 3
	shedRests = 10
)

// shedding tells when blocks that were read should go.
type shedding struct {
	reads, cycles uint64
	forced        uint64    // collections that it asked for
	rests         time.Time // until then
}

// due is called once for each shedLook with the reads and the collections there ever were.
func (b *shedding) due(now time.Time, reads, cycles uint64, r headroom) bool {
	if cycles != b.cycles || heapSteps[r.step] == wideHeap {
		b.reads, b.cycles = reads, cycles
		return false
	}
	if reads-b.reads < shedReads || now.Before(b.rests) {
		return false
	}
	b.reads, b.cycles = reads, cycles+1
	return true
}

// made notes a collection that was asked for.
func (b *shedding) made(begun, ended time.Time) {
	b.forced++
	b.rests = ended.Add(shedRests * ended.Sub(begun))
}

func cycles() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// collecting adds up what collecting took of processors. The runtime tells the time
// it was at it, by the clock: where other processes want the same processors, most of
// that is waiting. So it counts the part of the time that this process, as long as it
// wasn't idle, had processors.
type collecting struct {
	seconds             float64
	marked, busy, given float64 // at the last look that the runtime had news for
}

// look takes what the runtime told ever, of marking and of not being idle, and what the
// system gave. The runtime's news come with each collection.
func (c *collecting) look(marked, busy, given float64) {
	if busy <= c.busy {
		return
	}
	c.seconds += (marked - c.marked) * min(1, (given-c.given)/(busy-c.busy))
	c.marked, c.busy, c.given = marked, busy, given
}

// machine tells whether processors are short, whoever it is that wants them.
type machine struct{ idle, all float64 }

// pressed takes how long the machine's processors were idle ever and how long there were
// any, and tells whether they were short since the last time. A machine that doesn't tell
// gives 0 for both, and is never pressed.
func (m *machine) pressed(idle, all float64) bool {
	idled, passed := idle-m.idle, all-m.all
	first := m.all == 0
	m.idle, m.all = idle, all
	return !first && passed > 0 && idled < idleLeast*passed
}

// headroom tells how much the heap may grow between two collections. Its zero value
// has seen nothing yet.
type headroom struct {
	step      int // of heapSteps
	begun     bool
	collected float64
	cycles    uint64
	cheap     int // looks in a row
}

// next is called once for each memoryLook with the seconds of processors ever spent
// collecting, the collections that the heap's growth brought ever, and whether the machine is
// pressed for processors. It returns the percentage, and whether it is another than before.
func (r *headroom) next(collected float64, cycles uint64, pressed bool) (percent int, changed bool) {
	cost, ran := collected-r.collected, float64(cycles-r.cycles)
	r.collected, r.cycles = collected, cycles
	dear, cheap := dearSeconds, cheapSeconds
	if pressed {
		dear, cheap = pressedPart*dear, pressedPart*cheap
	}
	if !r.begun { // what the start took is no reason
		r.begun, r.step = true, 1
		return heapSteps[r.step], true
	}
	before := r.step
	// Both go with one over the percentage.
	share := func(step int) float64 { return float64(heapSteps[before]) / float64(heapSteps[step]) }
	for r.step < len(heapSteps)-1 && (cost*share(r.step) > dear || ran*share(r.step) > oftenCycles) {
		r.step++
	}
	if r.step > 0 && cost*share(r.step-1) <= cheap && ran*share(r.step-1) <= oftenCycles {
		r.cheap++
	} else {
		r.cheap = 0
	}
	if r.cheap == cheapLooks {
		r.step, r.cheap = r.step-1, 0
	}
	return heapSteps[r.step], r.step != before
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
