package jetstream

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// What stands before a hole is read although whole files behind it were deleted, where
// newer forms of it stood: at once, and after a start of either kind.
func TestNewestIsFoundBeforeAHole(t *testing.T) {
	h := open(t)
	const p = 0
	ctx := context.Background()
	old, again := subjectPage(p, "ghole", 0), subjectPage(p, "ghole", 1)
	put := func(subject string, size int) uint64 {
		t.Helper()
		n, err := h.store.keeper.send(ctx, publishTimeout, nil, &nats.Msg{Subject: subject, Data: must(encode(&page{Upto: 1, Messages: []chat.Message{{Text: strings.Repeat("x", size)}}}))})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	fill := func(what string) {
		for i := range 10 { // more than a file
			put(subjectPage(p, chat.RoomID("gfill"+what), uint64(i)), 900<<10)
		}
	}
	put(old, 0)
	before := put(again, 0)
	hole := put(subjectPage(p, "gfill", 0), 0)
	fill("b")
	put(again, 0)
	fill("c")
	stream, err := h.store.js.Stream(ctx, numbered(streamHistory, p))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(ctx, hole); err != nil {
		t.Fatal(err)
	}
	base := checkpoint{History: before, Sync: make([]uint64, h.store.o.Partitions)}
	if err := h.store.mend(ctx, map[int]*recovery{p: {base: base}}); err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		for _, upto := range []uint64{0, before, lastOf(t, stream)} {
			found, err := h.store.reader.many(ctx, numbered(streamHistory, p), ask{MultiLast: []string{old, again}, UpTo: upto})
			if err != nil || len(found.Messages) != 2 || found.Messages[1].Sequence != before {
				t.Errorf("%s, up to %d: %d of 2 are found, %v", when, upto, len(found.Messages), err)
			}
		}
	}
	put(subjectPage(p, "gnew", 0), 0)
	look("mended")
	for _, clean := range []bool{true, false, true} {
		h.stop()
		h.start(clean)
		if stream, err = h.store.js.Stream(ctx, numbered(streamHistory, p)); err != nil {
			t.Fatal(err)
		}
		look(fmt.Sprintf("started, clean %v", clean))
	}
}

func lastOf(t *testing.T, stream natsjs.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.LastSeq
}
