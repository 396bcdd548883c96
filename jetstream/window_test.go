package jetstream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// settle has a partition's projector keep a checkpoint of all that it has finished.
func (h *house) settle(p int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	projector := h.store.projectors[p]
	_, last, err := h.store.bounds(ctx, numbered(streamLog, p))
	for err == nil && projector.finished.Load() < last { // an answer comes before that
		err = wait(ctx, time.Millisecond)
	}
	if err == nil {
		err = projector.settle(ctx)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// The window of a start is the one of before, whether the records of it are there,
// some of them, or none.
func TestTheWindowIsWholeWithoutItsRecords(t *testing.T) {
	h := open(t)
	room := h.direct("ann", "bob")
	p := h.store.roomPartition(room)
	var sent []chat.Command
	var was []chat.Result
	for i := range 4 {
		for range 10 {
			c := chat.Command{Op: chat.OpSend, Room: room, By: "ann", Text: fmt.Sprint(i), ClientID: newClientID()}
			sent, was = append(sent, c), append(was, h.do(c))
		}
		h.settle(p) // and a record of these
	}
	ctx := context.Background()
	newest := func() checkpoint {
		t.Helper()
		kept, err := h.store.checkpoints(ctx, p)
		if err != nil || len(kept) == 0 {
			t.Fatal(len(kept), err)
		}
		return kept[len(kept)-1]
	}
	base := newest()
	records, upto, err := h.store.windowRecords(ctx, p, base, map[string]string{})
	if err != nil || len(records) < 4 || upto != 0 {
		t.Fatalf("%d records, and history up to %d: %v", len(records), upto, err)
	}
	look := func(what string) {
		t.Helper()
		w, err := h.store.windowAt(ctx, p, base)
		if err != nil || w.Len() != len(sent) {
			t.Fatalf("%s: the window holds %d of %d, %v", what, w.Len(), len(sent), err)
		}
	}
	look("all records")
	elsewhere := base
	elsewhere.Log++
	if r, upto, err := h.store.windowRecords(ctx, p, elsewhere, map[string]string{}); len(r) != 0 || upto != base.History || err != nil {
		t.Fatalf("%d records that end elsewhere in the log count, and history up to %d: %v", len(r), upto, err)
	}
	stream, err := h.store.js.Stream(ctx, streamCheckpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(ctx, records[1].Before); err != nil {
		t.Fatal(err)
	}
	if _, upto, err = h.store.windowRecords(ctx, p, base, map[string]string{}); err != nil || upto != records[1].Since || upto == 0 {
		t.Fatalf("history up to %d, not %d: %v", upto, records[1].Since, err)
	}
	look("without the third newest")
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subjectWindow(p))); err != nil {
		t.Fatal(err)
	}
	look("without any")
	for _, clean := range []bool{true, false} {
		h.stop()
		h.start(clean)
		for i, c := range sent {
			if again := h.do(c); !again.Retry || again.ID != was[i].ID || again.Seq != was[i].Seq {
				t.Fatalf("clean %v: sent again it is %+v, not %+v", clean, again, was[i])
			}
		}
	}
}

// What is too much to wait for a checkpoint is read in history.
func TestTheWindowIsWholeWhereItsRecordsWereGivenUp(t *testing.T) {
	h := open(t)
	room := h.direct("ann", "bob")
	p := h.store.roomPartition(room)
	h.settle(p)
	k := newKeeping(h.store.projectors[p])
	begun := k.kept
	for range piecesMost + 1 {
		k.kept.Log++
		k.kept.History += 2
		k.sent = []byte{1}
		k.piece()
	}
	if k.cut != begun.Log+piecesMost || len(k.pieces) != 1 {
		t.Fatalf("%d pieces, given up to %d of %d", len(k.pieces), k.cut, k.kept.Log)
	}
	k.sent = nil
	k.save(context.Background())
	if end, err := k.rest(context.Background()); err != nil || end.err != nil || end.log != k.kept.Log || end.history != k.kept.History {
		t.Fatalf("the records end with %+v: %v", end, err)
	}
	kept, err := h.store.checkpoints(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.store.reader.one(context.Background(), streamCheckpoint, ask{Seq: kept[len(kept)-1].Window - 1})
	if err != nil {
		t.Fatal(err)
	}
	first, err := readWindow(m, p, k.kept.Log, map[string]string{})
	if first.Before != 0 || first.After != begun.Log+piecesMost || first.Since != k.kept.History {
		t.Errorf("the first record is %+v: %v", first, err)
	}
}

// FuzzSent: what was sent is read whole or refused, and is then written as it was.
func FuzzSent(f *testing.F) {
	f.Add(someRecords()["window_record"].(*windowRecord).Sent)
	f.Add([]byte{1, 'g', 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		count := 0
		err := eachSent(data, map[string]string{}, func(m *chat.Message) {
			count++
			again = appendSent(again, &chat.Command{Room: m.Room, By: m.Sender, ClientID: m.ClientID, At: m.CreatedAt}, &chat.Result{ID: m.ID, Seq: m.Seq})
		})
		if err != nil {
			return
		}
		n := 0
		if err := eachSent(again, map[string]string{}, func(*chat.Message) { n++ }); err != nil || n != count {
			t.Fatalf("%d of %d were read again: %v", n, count, err)
		}
	})
}
