package bench

import (
	"math"
	"testing"
	"time"
)

// TestBuckets: every value falls into a bucket that begins at most 1/32 below it.
func TestBuckets(t *testing.T) {
	last := -1
	for _, n := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 66, 127, 128, 1000, 1 << 20, 1<<20 + 1, 1e9, 1e12, math.MaxInt64} {
		b := bucketOf(n)
		if b < last || b >= buckets {
			t.Errorf("%d falls into bucket %d after %d of %d", n, b, last, buckets)
		}
		if low := lowest(b); low > n || n-low > n/sub {
			t.Errorf("%d falls into a bucket that begins at %d", n, low)
		}
		last = b
	}
	for b := 1; b < buckets; b++ {
		if bucketOf(lowest(b)) != b || lowest(b) <= lowest(b-1) {
			t.Fatalf("bucket %d begins at %d, which is of bucket %d", b, lowest(b), bucketOf(lowest(b)))
		}
	}
}

func TestLatency(t *testing.T) {
	var h histogram
	if l := h.latency(); l != (Latency{}) {
		t.Errorf("nothing recorded and %+v", l)
	}
	for i := 1; i <= 1000; i++ {
		h.record(time.Duration(i) * time.Millisecond)
	}
	l := h.latency()
	near := func(got, want float64) bool { return got <= want && got >= want*(1-1.0/sub)-0.001 }
	if l.Count != 1000 || !near(l.P50, 500) || !near(l.P99, 990) || l.Max != 1000 {
		t.Errorf("%+v", l)
	}
}

func BenchmarkRecord(b *testing.B) {
	var h histogram
	for i := range b.N {
		h.record(time.Duration(i))
	}
}
