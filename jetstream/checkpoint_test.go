package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"natter/chat"
)

// A start makes again what survived anyway, and writes none of it. The checkpoint it
// keeps then stands behind all of that; a start after a quiet night begins with it.
func TestACheckpointStandsBehindWhatSurvived(t *testing.T) {
	for name, clean := range map[string]bool{"stopped in order": true, "killed": false} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			evening := chat.MillisOf(time.Now())
			send := func(at chat.Millis, text string) chat.Result {
				t.Helper()
				c := h.command(chat.Command{Op: chat.OpSend, Room: chat.DirectRoomID("ann", "bob"), By: "ann", Text: text})
				c.At = at
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				res, err := h.store.Log().Append(ctx, c)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				return res
			}
			room := h.direct("ann", "bob")
			for i := range 5 {
				send(evening, fmt.Sprint("in the evening ", i))
			}
			for range 2 { // at night, without anything new
				h.stop()
				h.start(clean)
			}
			morning := evening + 100*reachBack
			send(morning, "good morning")
			h.stop()
			h.start(clean)
			if res := send(morning+1000, "good morning, too"); res.Seq != 7 {
				t.Errorf("the seventh message has seq %d", res.Seq)
			}
			if texts := h.texts(room); len(texts) != 7 || texts[4] != "in the evening 4" || texts[5] != "good morning" {
				t.Errorf("the room holds %q", texts)
			}
		})
	}
}

// A crash takes back what the newest checkpoints speak of. They don't count for any
// later start, however long ago they are then, unless they are of before the place
// where it was begun again.
func TestCheckpointsOfBeforeACrashDontStand(t *testing.T) {
	at := func(minutes float64) chat.Millis { return chat.Millis(minutes * 60_000) }
	one := func(log uint64, minutes float64, again bool) checkpoint {
		return checkpoint{Log: log, History: 10 * log, Sync: []uint64{log}, At: at(minutes), Again: again}
	}
	before := []checkpoint{one(80, 0, false), one(90, 5, false), one(100, 10, false)}
	if base := chooseBase(before, 1, 1); base.Log != 90 {
		t.Errorf("after a crash it begins at %d", base.Log)
	}
	crashed := append(before[:3:3], one(80, 0, true))
	if base := chooseBase(crashed, 1, 1); base.Log != 80 {
		t.Errorf("after another crash it begins at %d", base.Log)
	}
	for minutes, want := range map[float64]uint64{11: 80, 15: 80, 20: 105, 60: 105} {
		kept := append(crashed[:4:4], one(105, 11, false), one(110, minutes, false))
		if base := chooseBase(kept, 1, 1); base.Log != want {
			t.Errorf("a crash after %g minutes begins at %d, not at %d", minutes, base.Log, want)
		}
	}
	if base := chooseBase(append(before[:3:3], one(0, 0, true), one(120, 30, false)), 1, 1); base.Log != 0 {
		t.Errorf("after a start from the beginning it begins at %d", base.Log)
	}
}

// A request for the log's messages that is never answered is noticed within two beats,
// so each says that it wants them.
func TestWhatIsFollowedIsHeardOfSoon(t *testing.T) {
	h := open(t)
	nc, err := h.nats.Connect("looks")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	asked, err := nc.SubscribeSync("$JS.API.CONSUMER.MSG.NEXT.>")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	messages, err := h.store.follow(ctx, 0, numbered(streamLog, 0), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	go func() { _, _ = messages.next() }()
	msg, err := asked.NextMsgWithContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		Beat time.Duration `json:"idle_heartbeat"`
	}
	if err := json.Unmarshal(msg.Data, &request); err != nil || request.Beat != followBeat {
		t.Errorf("%s: %v", msg.Data, err)
	}
}
