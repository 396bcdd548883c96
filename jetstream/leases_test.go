package jetstream

import (
	"fmt"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/conformance"
)

func TestLeases(t *testing.T) {
	conformance.LeasesSuite(t, func(t *testing.T) conformance.Leased {
		h := open(t)
		return conformance.Leased{Leases: h.store.Leases(), Lose: func() {
			if err := h.store.js.DeleteStream(t.Context(), streamLeases); err != nil {
				t.Fatal(err)
			}
		}}
	})
}

func TestSeen(t *testing.T) {
	conformance.SeenSuite(t, func(t *testing.T) chat.Seen { return open(t).store.Seen() })
}

// TestSeenSurvivesAStop: what was put is there after the next start, and a reader
// gets it from the disk.
func TestSeenSurvivesAStop(t *testing.T) {
	h := open(t)
	h.store.Seen().Put("minsu", 12345)
	h.stop()
	h.start(true)
	if at, err := h.store.Seen().Get(t.Context(), "minsu"); at != 12345 || err != nil {
		t.Errorf("last seen %d, %v", at, err)
	}
	h.store.Seen().Put("minsu", 20000)
	for deadline := time.Now().Add(10 * time.Second); ; { // written each second
		h.store.seen.mu.Lock()
		waiting := len(h.store.seen.dirty) + len(h.store.seen.sent)
		h.store.seen.mu.Unlock()
		if waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it isn't written")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if at, err := h.store.Seen().Get(t.Context(), "minsu"); at != 20000 || err != nil {
		t.Errorf("last seen %d, %v", at, err)
	}
}

// TestAFullRoster refuses new places and takes changes of old ones; the nodes'
// leases have their own room.
func TestAFullRoster(t *testing.T) {
	h := open(t)
	small := newLeases(h.store, "SMALL", "small", 1000)
	if err := small.s.createStream(t.Context(), small.config()); err != nil {
		t.Fatal(err)
	}
	var full error
	n := 0
	for ; full == nil && n < 100; n++ {
		_, full = small.Put(t.Context(), fmt.Sprintf("u%d.v1.a", n), []byte("x"), 0, chat.AnyRevision)
	}
	if chat.KindOf(full) != chat.KindTooLarge {
		t.Fatalf("after %d places: %v, want too_large", n, full)
	}
	if _, err := small.Put(t.Context(), "u0.v1.a", []byte("y"), 0, chat.AnyRevision); err != nil {
		t.Errorf("an old place can't be changed: %v", err)
	}
	if _, err := h.store.Leases().Put(t.Context(), "node.a", []byte("x"), time.Minute, 0); err != nil {
		t.Errorf("a lease: %v", err)
	}
}

func FuzzParseSeen(f *testing.F) {
	f.Add(appendSeen(nil, 1767225600000))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		at, err := parseSeen(b)
		if err != nil {
			return
		}
		if again, err := parseSeen(appendSeen(nil, at)); again != at || err != nil {
			t.Errorf("%x: %d, again %d, %v", b, at, again, err)
		}
	})
}
