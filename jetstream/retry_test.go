package jetstream

import (
	"context"
	"testing"
	"time"

	"natter/chat"
)

// A retry in what is applied again, of a send before it, is still a retry.
func TestARetryAcrossTheBaseOfAReplay(t *testing.T) {
	h := open(t)
	t0 := chat.MillisOf(time.Now())
	room := chat.DirectRoomID("ann", "bob")
	send := func(c chat.Command, at chat.Millis) chat.Result {
		t.Helper()
		c.ID, c.At = chat.MessageID(h.ids.Add(1)), at
		c.Room, c.By = room, "ann"
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		res, err := h.store.Log().Append(ctx, &c)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	x := chat.NewClientID(t0.Time(), [10]byte{1})
	y := chat.NewClientID(t0.Time(), [10]byte{2})
	z := chat.NewClientID(t0.Time(), [10]byte{3})
	send(chat.Command{Op: chat.OpDirect, Users: []chat.UserID{"bob"}}, t0)
	t.Logf("first %+v", send(chat.Command{Op: chat.OpSend, ClientID: x, Text: "one"}, t0))
	h.stop()
	h.nats.Stop()
	h.start(true)
	t.Logf("retry %+v", send(chat.Command{Op: chat.OpSend, ClientID: x, Text: "one"}, t0+1000))
	t.Logf("10 min %+v", send(chat.Command{Op: chat.OpSend, ClientID: y, Text: "two"}, t0+600_000))
	h.stop()
	h.nats.Stop()
	h.start(true)
	res := send(chat.Command{Op: chat.OpSend, ClientID: z, Text: "three"}, t0+601_000)
	if res.Seq != 3 {
		t.Errorf("the third message has seq %d", res.Seq)
	}
	page, err := h.store.History().Page(context.Background(), room, 1, 10)
	t.Logf("%d messages, %v", len(page), err)
}
