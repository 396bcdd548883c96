package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/natstest"
)

// BenchmarkPlacesMemory says what an entry of the roster costs the node in memory.
func BenchmarkPlacesMemory(b *testing.B) {
	const crowd = 50_000
	n := natstest.Start(b, b.TempDir(), false)
	s, err := Open(b.Context(), Options{Connect: n.Connect, Partitions: 1, Node: "n1", Replicas: 1, QueueRetention: time.Hour,
		Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(context.Background())
	places := s.Places()
	for range b.N {
		before := heap()
		next := make(chan int)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for i := range next {
					if _, err := places.Put(b.Context(), fmt.Sprintf("u%012d.v%012d.n1", i, i), []byte("\x01\x020123456789abcdef"), 0, chat.AnyRevision); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for i := range crowd {
			next <- i
		}
		close(next)
		all.Wait()
		b.ReportMetric(float64(heap()-before)/crowd, "B/entry")
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
