package jetstream

import (
	"testing"
	"time"

	"natter/chat"
)

// A held store takes no commands and answers no old client_id, which would be
// taken for one that was never sent; it can be read, and goes on when it is let go.
func TestAHeldStoreTakesNothing(t *testing.T) {
	h := open(t)
	room := h.direct("a", "b")
	h.send(room, "a", "before")
	h.store.Hold(chat.Unavailable("the disk is full", time.Second))
	if _, err := h.try(chat.Command{Op: chat.OpSend, Room: room, By: "a", Text: "held"}); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("a send: %v", err)
	}
	if _, err := h.store.History().Find(t.Context(), room, "a", newClientID(), 0); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("an old client_id: %v", err)
	}
	if chat.KindOf(h.store.Ready()) != chat.KindUnavailable {
		t.Error("it calls itself ready")
	}
	if texts := h.texts(room); len(texts) != 1 || texts[0] != "before" {
		t.Errorf("the room holds %q", texts)
	}
	h.store.Hold(nil)
	if res := h.send(room, "a", "after"); int(res.Seq) != len(h.texts(room)) {
		t.Errorf("let go, a send has seq %d", res.Seq)
	}
}
