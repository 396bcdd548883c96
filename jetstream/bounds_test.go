package jetstream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"natter/chat"
)

// What the store can't take is refused at once; what it took is answered.
func TestAFullQueueRefusesAndLosesNothing(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	text := strings.Repeat("긴", chat.MaxTextRunes)
	answers := make(chan error, 1<<16)
	taken, refused := 0, 0
	for refused == 0 && taken < 1<<15 {
		err := h.store.Log().Submit(h.command(chat.Command{Op: chat.OpSend, Room: room, By: "minsu", Text: text}),
			func(_ chat.Result, err error) { answers <- err })
		switch {
		case err == nil:
			taken++
		case chat.KindOf(err) == chat.KindUnavailable && chat.ProblemOf(err).RetryAfter > 0:
			refused++
		default:
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Fatalf("%d long messages were taken and none was refused", taken)
	}
	for range taken {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	_, newest, err := h.store.History().Room(context.Background(), room)
	if err != nil || int(newest.Seq) != taken {
		t.Fatalf("%d were taken, history ends at %+v, %v", taken, newest.Seq, err)
	}
}

// A cursor older than the queue keeps is answered with reset; one that is not
// goes on.
func TestACursorOlderThanTheQueueKeepsIsReset(t *testing.T) {
	h := open(t)
	h.stop()
	h.retention = time.Second
	h.start(true)
	room := h.direct("minsu", "jiwoo")
	old, err := h.store.Queues().Head(context.Background(), "jiwoo")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		h.send(room, "minsu", fmt.Sprint(i))
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		batch, err := h.store.Queues().Read(context.Background(), "jiwoo", old, 10)
		if err != nil {
			t.Fatal(err)
		}
		if batch.Reset {
			h.send(room, "minsu", "young")
			if events, _ := h.queue("jiwoo", batch.At); len(messagesOf(t, events)) != 1 {
				t.Fatalf("after the reset come %d events", len(events))
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no reset, 30 s after the entries should have gone")
		}
	}
	if texts := h.texts(room); len(texts) != 6 {
		t.Fatalf("history holds %v", texts)
	}
}
