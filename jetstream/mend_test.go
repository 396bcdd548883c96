package jetstream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// hole takes entries out of the middle of a stream that is stopped, as the end of
// one of its files would be missing while the next one is there. It tells how many
// entries it found.
func (h *house) hole(stream string, part func(last uint64) (from, to uint64)) (last uint64) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	nc, err := h.nats.Connect("hole")
	if err != nil {
		h.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		h.t.Fatal(err)
	}
	st, err := js.Stream(ctx, stream)
	if err != nil {
		h.t.Fatal(err)
	}
	last = st.CachedInfo().State.LastSeq
	from, to := part(last)
	for n := from; n <= to; n++ {
		if err := st.DeleteMsg(ctx, n); err != nil {
			h.t.Fatal(err)
		}
	}
	return last
}

// said leaves out the room's own beginning.
func said(texts []string) []string {
	if len(texts) > 0 && texts[0] == "" {
		return texts[1:]
	}
	return texts
}

// Entries in the middle of HISTORY and SYNC are gone, others of the same rooms and
// people stand behind them. The next start finds everything out, and makes it
// again in its order; and so does the one after, which meets the mended holes and
// further ones.
func TestAHoleInAProjectionIsMended(t *testing.T) {
	h := open(t)
	people := []chat.UserID{"a", "b", "c", "d"}
	const room = chat.RoomID("gall")
	h.do(chat.Command{Op: chat.OpCreate, Room: room, By: "a", Name: "all", Users: people[1:]})
	var want []string
	cursors := map[chat.UserID]chat.Cursor{} // in the middle of what goes missing
	say := func(n int) {
		t.Helper()
		for range n {
			text := fmt.Sprint("message ", len(want))
			h.send(room, people[len(want)%4], text)
			if want = append(want, text); len(want)%50 == 25 {
				for _, u := range people {
					_, cursors[u] = h.queue(u, chat.Cursor{})
				}
			}
		}
	}
	check := func(when string) {
		t.Helper()
		texts := said(h.texts(room))
		if fmt.Sprint(texts) != fmt.Sprint(want) {
			t.Fatalf("%s: history has %d messages, want %d: %q", when, len(texts), len(want), texts)
		}
		for _, u := range people {
			events, _ := h.queue(u, chat.Cursor{})
			if got := said(messagesOf(t, events)); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s: %s's queue has %d messages, want %d: %q", when, u, len(got), len(want), got)
			}
			events, _ = h.queue(u, cursors[u])
			got := messagesOf(t, events)
			if rest := want[len(want)-25:]; len(got) < 25 || fmt.Sprint(got[len(got)-25:]) != fmt.Sprint(rest) {
				t.Fatalf("%s: from its cursor %s is told %q, want it to end with %q", when, u, got, rest)
			}
		}
	}
	for round := range 3 {
		say(50)
		for i := range h.store.o.Partitions {
			for _, stream := range []string{numbered(streamHistory, i), numbered(streamSync, i)} {
				h.hole(stream, func(last uint64) (uint64, uint64) {
					if last < 45 {
						return 1, 0
					}
					return last - 30, last - 20
				})
			}
		}
		h.stop()
		h.start(false)
		check(fmt.Sprint("crash ", round+1))
	}
	h.stop()
	h.start(false)
	check("a crash without a hole")
	say(1)
	want = want[:len(want)-1]
	if last := h.texts(room); last[len(last)-1] != fmt.Sprint("message ", len(want)) {
		t.Fatalf("the last message is %q", last[len(last)-1])
	}
}

// The deletions that mended a hole were lost in another power failure, the note of
// them wasn't: the hole is mended again.
func TestAHoleThatOpensAgainIsMended(t *testing.T) {
	h := open(t)
	room := h.direct("a", "b")
	for i := range 40 {
		h.send(room, "a", fmt.Sprint(i))
	}
	q := h.store.userPartition("b")
	kept := h.store.Records("store")
	_, revision, err := kept.Get(t.Context(), "mended")
	if chat.KindOf(err) != chat.KindNotFound {
		t.Fatal(err)
	}
	stream := numbered(streamSync, q)
	last := h.hole(stream, func(last uint64) (uint64, uint64) { return last - 20, last - 10 })
	if _, err := kept.Put(t.Context(), "mended", fmt.Appendf(nil, `{%q:[{"From":%d,"To":%d}]}`, stream, last-20, last), revision); err != nil {
		t.Fatal(err)
	}
	h.stop()
	h.start(false)
	events, _ := h.queue("b", chat.Cursor{})
	if got := messagesOf(t, events); len(got) != 40 || got[25] != "25" || got[39] != "39" {
		t.Fatalf("b's queue has %q", got)
	}
}
