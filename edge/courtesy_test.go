package edge

import (
	"context"
	"testing"
	"time"

	"natter/chat"
)

// Who comes back leaves it to writers after each piece, and only while there are some.
func TestWhoComesBackLetsWritersGoFirst(t *testing.T) {
	h := open(t)
	long := func() time.Time { return time.Now().Add(-time.Hour) }
	if rest := h.edge.courtesy.rest(long()); rest != 0 {
		t.Errorf("nobody writes, and reading rests %s", rest)
	}
	c := &chat.Command{ID: 1, At: chat.MillisOf(time.Now()), Op: chat.OpDirect, Room: chat.DirectRoomID("a", "b"), By: "a", Users: []chat.UserID{"b"}}
	if _, err := h.edge.Log.Append(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	wrote := h.edge.courtesy.wrote.Load()
	h.edge.courtesy.wrote.Store(wrote + int64(time.Hour)) // however long this test takes
	if rest := h.edge.courtesy.rest(long()); rest != courtesyMost {
		t.Errorf("somebody writes, and reading rests %s", rest)
	}
	// A token comes back, at once or after the rest.
	for range 2*cap(h.edge.readers) + 1 {
		if _, err := h.edge.readQueue(context.Background(), "a", chat.Cursor{}, 10, true); err != nil {
			t.Fatal(err)
		}
	}
	if (*courtesy)(nil).rest(long()) != 0 {
		t.Error("reading rests for a log that isn't asynchronous")
	}
}
