package edge

import (
	"fmt"
	"runtime"
	"testing"

	"natter/chat"
)

// BenchmarkPeopleElsewhere folds people of another node, and says what one costs
// in memory.
func BenchmarkPeopleElsewhere(b *testing.B) {
	const crowd = 100_000
	h := open(b)
	r := h.edge.roster
	r.changed(chat.RosterChange{Kind: chat.RosterBegan})
	r.changed(chat.RosterChange{Kind: chat.RosterLives, Node: "b", Run: "1"})
	place := func(i int, s chat.Standing) {
		r.changed(chat.RosterChange{Kind: chat.RosterPlaced, Node: "b", Run: "1", Standing: s,
			User: chat.UserID(fmt.Sprintf("u%012d", i)), Device: chat.DeviceID(fmt.Sprintf("v%012d", i))})
	}
	b.ResetTimer()
	for range b.N {
		before := heap()
		for i := range crowd {
			place(i, chat.Here)
		}
		b.ReportMetric(float64(heap()-before)/crowd, "B/user")
		for i := range crowd {
			place(i, chat.Away)
			place(i, chat.Here)
		}
		b.StopTimer()
		r.mu.Lock()
		r.here = map[chat.UserID]*presence{}
		r.mu.Unlock()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/crowd/3, "ns/change")
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
