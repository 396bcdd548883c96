package edge

import (
	"context"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/harness"
)

// Who comes back leaves it to writers after each turn, but only while there are some, and
// others wait for a turn.
func TestWhoComesBackLetsWritersGoFirst(t *testing.T) {
	h := open(t)
	r := &h.edge.returns
	took := func(d time.Duration) time.Duration {
		now := time.Now()
		return r.rest(now.Add(-d), now)
	}
	write := func() {
		t.Helper()
		c := &chat.Command{ID: 1, At: chat.MillisOf(time.Now()), Op: chat.OpDirect, Room: chat.DirectRoomID("a", "b"), By: "a", Users: []chat.UserID{"b"}}
		if _, err := h.edge.Log.Append(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		r.wrote.Add(int64(time.Hour)) // however long this test takes
	}
	r.waiting.Add(1)
	if rest := took(time.Hour); rest != 0 {
		t.Errorf("nobody writes, and a turn rests %s", rest)
	}
	if n := r.piece(100, time.Now()); n != 100 {
		t.Errorf("nobody writes, and a turn reads %d of 100 entries", n)
	}
	write()
	if n := r.piece(100, time.Now()); n != pieceEntries {
		t.Errorf("somebody writes, and a turn reads %d of 100 entries", n)
	}
	if n := r.piece(1, time.Now()); n != 1 {
		t.Errorf("a turn reads %d entries of one", n)
	}
	if rest := took(time.Hour); rest != restMost {
		t.Errorf("somebody writes, and a long turn rests %s", rest)
	}
	if rest := took(time.Millisecond); rest != restParts*time.Millisecond {
		t.Errorf("a turn of 1 ms rests %s", rest)
	}
	r.waiting.Add(-1)
	if rest := took(time.Hour); rest != 0 {
		t.Errorf("nobody waits, and a turn rests %s", rest)
	}

	// All that want a turn get one, in the end.
	all := 5 * cap(r.tokens)
	done := make(chan error, all)
	for range all {
		go func() {
			_, err := h.edge.readQueue(harness.Context(t), "a", chat.Cursor{}, 10, true)
			done <- err
		}()
	}
	for range all {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	harness.WaitFor(t, "all turns are given back", func() bool { return len(r.tokens) == 0 && r.waiting.Load() == 0 })

	// Nobody waits for ever, and who doesn't come back needs no turn of theirs.
	for range cap(r.tokens) {
		r.tokens <- struct{}{}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.edge.readQueue(gone, "a", chat.Cursor{}, 10, true); err == nil {
		t.Error("a turn was had where there was none")
	}
	if _, err := h.edge.readQueue(harness.Context(t), "a", chat.Cursor{}, 10, false); err != nil {
		t.Error(err)
	}
}
