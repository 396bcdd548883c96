package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that grow with the value: 32 for each
// power of two of nanoseconds, so that what it tells is at most 3 % below the
// truth. Recording is one atomic add, on any goroutine.
//
//	0 1 2 … 31 | 32 33 … 63 | 64 66 … 126 | 128 132 … 252 | …
type histogram struct {
	counts [buckets]atomic.Uint64
	most   atomic.Int64
}

const (
	subBits = 5
	sub     = 1 << subBits
	buckets = (64 - subBits) * sub // up to 2⁶³ ns
)

func bucketOf(n uint64) int {
	if n < sub {
		return int(n)
	}
	shift := bits.Len64(n) - subBits - 1
	return shift*sub + int(n>>shift)
}

// lowest is the least value of a bucket.
func lowest(bucket int) uint64 {
	if bucket < 2*sub {
		return uint64(bucket)
	}
	shift := bucket/sub - 1
	return uint64(bucket%sub+sub) << shift
}

// record counts d; a negative one counts as 0.
func (h *histogram) record(d time.Duration) {
	h.counts[bucketOf(uint64(max(d, 0)))].Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// Latency is what a benchmark tells of a histogram, in milliseconds.
type Latency struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99.9_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) latency() Latency {
	return h.tell((*atomic.Uint64).Load, (*atomic.Int64).Load)
}

// take is latency of what was recorded since the last take.
func (h *histogram) take() Latency {
	return h.tell(
		func(n *atomic.Uint64) uint64 { return n.Swap(0) },
		func(n *atomic.Int64) int64 { return n.Swap(0) })
}

func (h *histogram) tell(count func(*atomic.Uint64) uint64, most func(*atomic.Int64) int64) Latency {
	var counts [buckets]uint64
	var total uint64
	for i := range counts {
		counts[i] = count(&h.counts[i])
		total += counts[i]
	}
	at := func(q float64) float64 {
		rank := uint64(q*float64(total) + 0.5)
		var sum uint64
		for i, c := range counts {
			if sum += c; c > 0 && sum >= max(rank, 1) {
				return ms(lowest(i))
			}
		}
		return 0
	}
	return Latency{Count: total, P50: at(0.50), P90: at(0.90), P99: at(0.99), P999: at(0.999), Max: ms(uint64(most(&h.most)))}
}

// ms is nanoseconds in milliseconds, to the microsecond.
func ms(ns uint64) float64 { return float64(ns/1000) / 1000 }
