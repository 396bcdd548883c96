package bench

import (
	"context"
	"slices"
	"sync"
	"time"

	"natter/internal/harness/process"
)

// Sample is how things stood at one moment of a run, and went since the one
// before it. What isn't known is 0.
type Sample struct {
	Seconds    float64 `json:"t"` // since the sampling began
	Acked      float64 `json:"acked_per_second"`
	Delivered  float64 `json:"delivered_per_second"`
	P50        float64 `json:"p50_ms"` // of the deliveries
	P99        float64 `json:"p99_ms"`
	RSSBytes   int64   `json:"rss_bytes"`
	HeapBytes  int64   `json:"heap_bytes,omitempty"`
	Goroutines int     `json:"goroutines,omitempty"`
	Files      int     `json:"open_files,omitempty"`
}

const (
	maxSamples = 240
	leastApart = 200 * time.Millisecond
	scrapeEach = time.Second // the node's metrics cost it something
)

// sample takes samples of the nodes and the load until stop, which returns them.
// all takes the node's metrics too, not only what the system tells.
func (w *world) sample(ctx context.Context, d time.Duration, all bool) (stop func() []Sample) {
	every := max(d/maxSamples, leastApart)
	if all {
		every = max(every, scrapeEach)
	}
	ctx, cancel := context.WithCancel(ctx)
	var samples []Sample
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		began, last := time.Now(), time.Now()
		acked, delivered := w.acked.Load(), w.delivered.Load()
		_ = w.tick.take() // what was before
		for len(samples) < 2*maxSamples {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			now, a, d, l := time.Now(), w.acked.Load(), w.delivered.Load(), w.tick.take()
			took := now.Sub(last).Seconds()
			s := Sample{Seconds: now.Sub(began).Seconds(), Acked: float64(a-acked) / took, Delivered: float64(d-delivered) / took, P50: l.P50, P99: l.P99}
			last, acked, delivered = now, a, d
			if w.target.sample(ctx, &s, all); ctx.Err() != nil {
				return // it may be half known
			}
			samples = append(samples, s)
		}
	})
	return func() []Sample { cancel(); work.Wait(); return samples }
}

// sample adds what is known of the nodes' processes, together.
func (t *target) sample(ctx context.Context, s *Sample, all bool) {
	for _, n := range t.nodes {
		n.sample(ctx, s, all)
	}
}

func (n *node) sample(ctx context.Context, s *Sample, all bool) {
	var rss int64
	if n.pid > 0 {
		rss, _ = process.RSS(n.pid) // 0 is not known
	}
	if all && n.admin != "" {
		if m, err := n.metrics(ctx); err == nil {
			rss = max(rss, int64(m["process_resident_memory_bytes"]))
			s.HeapBytes += int64(m["go_memstats_heap_inuse_bytes"])
			s.Goroutines += int(m["go_goroutines"])
			s.Files += int(m["process_open_fds"])
		}
	}
	s.RSSBytes += rss
}

// Growth is how much the node's median use of the last fifth of a run was above
// that of the second fifth, as a part of it: 0.1 is 10 % more.
type Growth struct {
	RSS        float64 `json:"rss"`
	Goroutines float64 `json:"goroutines"`
	Files      float64 `json:"open_files"`
}

func growthOf(samples []Sample) Growth {
	part := func(of func(*Sample) float64) float64 {
		n := len(samples) / 5
		if n == 0 {
			return 0
		}
		early, late := median(samples[n:2*n], of), median(samples[len(samples)-n:], of)
		if early == 0 || late == 0 {
			return 0
		}
		return late/early - 1
	}
	return Growth{
		RSS:        part(func(s *Sample) float64 { return float64(s.RSSBytes) }),
		Goroutines: part(func(s *Sample) float64 { return float64(s.Goroutines) }),
		Files:      part(func(s *Sample) float64 { return float64(s.Files) }),
	}
}

// median leaves out the samples in which the value isn't known.
func median(samples []Sample, of func(*Sample) float64) float64 {
	var values []float64
	for i := range samples {
		if v := of(&samples[i]); v > 0 {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
