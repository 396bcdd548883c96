package jetstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"natter/chat"
)

// One write in fifty of the projectors' goes wrong: half of them never leave,
// half are stored and reported as failed. Each time the projector begins again
// as after a crash; nothing is lost, nothing is there twice.
func TestAProjectorBeginsAgainAfterAFailedWrite(t *testing.T) {
	h := open(t)
	h.stop()
	var failing atomic.Bool
	var faults atomic.Int64
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, 1))
	h.fault = func(subject string) (drop, deny bool) {
		mu.Lock()
		defer mu.Unlock()
		if !failing.Load() || strings.HasPrefix(subject, "checkpoint.") || dice.IntN(50) != 0 {
			return false, false
		}
		faults.Add(1)
		drop = dice.IntN(2) == 0
		return drop, !drop
	}
	h.start(true)
	people := []chat.UserID{"a", "b", "c", "d"}
	const room = chat.RoomID("gall")
	h.do(chat.Command{Op: chat.OpCreate, Room: room, By: "a", Name: "all", Users: people[1:]})
	failing.Store(true)
	var senders sync.WaitGroup
	for _, u := range people {
		senders.Go(func() {
			for i := range 60 {
				if _, err := h.try(chat.Command{Op: chat.OpSend, Room: room, By: u, Text: fmt.Sprintf("%s-%d", u, i)}); err != nil {
					t.Errorf("%s-%d: %v", u, i, err)
				}
			}
		})
	}
	senders.Wait()
	failing.Store(false)
	if n := faults.Load(); n < 3 {
		t.Fatalf("only %d faults; the test proves nothing", n)
	}
	t.Logf("%d faults", faults.Load())
	seen := map[string]int{}
	for _, text := range h.texts(room) {
		seen[text]++
	}
	for _, u := range people {
		events, _ := h.queue(u, chat.Cursor{})
		for _, text := range messagesOf(t, events) {
			seen[text]++
		}
	}
	for _, u := range people {
		for i := range 60 {
			if text := fmt.Sprintf("%s-%d", u, i); seen[text] != 1+len(people) {
				t.Errorf("%s is in history and queues %d times, not %d", text, seen[text], 1+len(people))
			}
		}
	}
}
