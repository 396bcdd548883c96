package jetstream

import (
	"fmt"
	"sync"
	"testing"

	"natter/chat"
)

// crowd has people talk at once in several rooms, n things each. It returns what
// waits for them.
func (h *house) crowd(n int) (wait func()) {
	h.t.Helper()
	people := []chat.UserID{"a", "b", "c", "d", "e", "f", "g", "h"}
	rooms := []chat.RoomID{"g1", "g2", "g3"}
	for _, room := range rooms {
		if _, err := h.try(chat.Command{Op: chat.OpCreate, Room: room, By: "a", Name: "all", Users: people[1:]}); err != nil {
			h.t.Fatal(err)
		}
	}
	var talking sync.WaitGroup
	for who, u := range people {
		talking.Go(func() {
			for i := range n {
				c := chat.Command{Op: chat.OpSend, Room: rooms[(i+who)%3], By: u, Text: fmt.Sprint(u, i)}
				res, err := h.try(c)
				if err == nil && i%5 == 0 {
					c.Op, c.Seq, c.Text = chat.OpEdit, res.Seq, "changed"
					_, err = h.try(c)
				}
				if err == nil && i%7 == 0 {
					c.Op, c.Seq, c.Emoji = chat.OpReact, max(res.Seq/2, 1), "👍"
					_, err = h.try(c)
				}
				if err != nil && chat.KindOf(err) != chat.KindGone {
					h.t.Errorf("%s: %v", u, err)
					return
				}
			}
		})
	}
	return talking.Wait
}

// Thousands of messages, edits and reactions of eight people at once: the store is
// clean after every kind of stop, and a copy that was taken under load, as a crash
// would leave it, is made whole.
func TestACrowdedStoreIsClean(t *testing.T) {
	h := open(t)
	h.crowd(200)()
	for _, clean := range []bool{true, false} {
		s := h.shut(clean)
		if found := s.check(); len(found) > 0 {
			t.Fatalf("clean %v: %d findings, the first %+v", clean, len(found), found[0])
		}
		h.nats.Stop()
		h.start(clean)
		h.crowd(20)()
	}
	wait := h.crowd(100)
	crashed := &house{t: t, dir: t.TempDir(), retention: h.retention}
	crashed.ids.Store(h.ids.Load() + 1<<40)
	copyStore(t, h.dir, crashed.dir)
	wait()
	s := crashed.shut(false)
	found, left, err := Repair(s.context(), s.o)
	if err != nil || len(left) > 0 {
		t.Fatalf("%d findings, left %+v, %v", len(found), left, err)
	}
	t.Logf("the crash left %d findings", len(found))
	if found := s.check(); len(found) > 0 {
		t.Fatalf("afterwards %d findings, the first %+v", len(found), found[0])
	}
	crashed.nats.Stop()
	crashed.start(true)
	crashed.crowd(5)()
}
