package jetstream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"natter/chat"
)

// A page is sealed and a message in it edited within what is applied again, which
// begins behind a checkpoint: the replay must find the page it sealed itself.
func TestAReplayAmendsAPageItSealed(t *testing.T) {
	h := open(t)
	room := h.direct("ann", "bob")
	h.send(room, "ann", "0")
	h.stop() // a checkpoint
	h.start(true)
	long, at := strings.Repeat("x", 4000), chat.MillisOf(time.Now())+2*reachBack
	do := func(c chat.Command) {
		t.Helper()
		sent := h.command(c)
		sent.At = at
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if _, err := h.store.Log().Append(ctx, sent); err != nil {
			t.Fatal(err)
		}
	}
	for range 150 { // more than a take takes
		do(chat.Command{Op: chat.OpSend, Room: room, By: "ann", Text: long})
	}
	for i := range 3 {
		do(chat.Command{Op: chat.OpEdit, Room: room, By: "ann", Seq: 5, Text: fmt.Sprint("edited ", i)})
	}
	h.stop()
	h.start(false)
	if texts := h.texts(room); len(texts) != 151 || texts[4] != "edited 2" {
		t.Fatalf("%d messages, the fifth is %q", len(texts), texts[4])
	}
	do(chat.Command{Op: chat.OpEdit, Room: room, By: "ann", Seq: 5, Text: "edited again"})
	if texts := h.texts(room); texts[4] != "edited again" {
		t.Fatalf("the fifth is %q", texts[4])
	}
}
