package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"natter/chat"
)

// following follows the queue of u until its teller knows the entry it ends with, which is
// the last of its stream.
func following(t *testing.T, h *house, u chat.UserID) (room chat.RoomID, heard chan *chat.Entry, tell *teller, last uint64) {
	t.Helper()
	heard = make(chan *chat.Entry, 100)
	stop, err := h.store.Queues().Follow(u, func(e *chat.Entry) { heard <- e })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	tell = h.store.tellers[h.store.userPartition(u)]
	other := chat.UserID("other")
	for h.store.userPartition(other) == tell.q {
		other += "s"
	}
	room = h.direct(u, other)
	return room, heard, tell, h.heardOf(room, u, heard)
}

// heardOf sends until one of the messages is told, and not only that there may be some.
func (h *house) heardOf(room chat.RoomID, u chat.UserID, heard <-chan *chat.Entry) (sequence uint64) {
	h.t.Helper()
	for i := range 20 {
		text := fmt.Sprint("hello ", i)
		h.send(room, u, text)
		for e := next(h.t, heard); e != nil; e = next(h.t, heard) {
			if slices.Contains(messagesOf(h.t, e.Events), text) {
				return e.Cursor.Seq
			}
		}
	}
	h.t.Fatal("nothing was told")
	return 0
}

func next(t *testing.T, heard <-chan *chat.Entry) *chat.Entry {
	t.Helper()
	select {
	case e := <-heard:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard")
		return nil
	}
}

func entryOf(t *testing.T, u chat.UserID, sequence uint64, text string) storedEntry {
	t.Helper()
	raw, err := encoding.Marshal(&chat.Event{Type: chat.EventMessage, Room: "d", Message: &chat.Message{Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return storedEntry{sequence: sequence, user: u, events: []*event{{raw: raw}}, bytes: len(raw)}
}

// Projectors learn of what they stored in any order; it is told in the stream's, each
// once, with the one before in the same queue.
func TestATellerLinesUpWhatIsStored(t *testing.T) {
	h := open(t)
	_, heard, tell, last := following(t, h, "minsu")
	first := entryOf(t, "minsu", last+1, "one")
	for _, e := range []storedEntry{
		entryOf(t, "nobody", last+3, "three"), entryOf(t, "minsu", last+4, "four"),
		{sequence: last, user: "minsu"}, // before it began
		first, entryOf(t, "minsu", last+2, "two"),
	} {
		tell.backlog.add(e)
	}
	for _, want := range []struct {
		sequence, before uint64
		text             string
	}{{last + 1, last, "one"}, {last + 2, last + 1, "two"}, {last + 4, last + 2, "four"}} {
		e := next(t, heard)
		if e == nil || e.Cursor.Seq != want.sequence || e.Prev != want.before || len(e.Events) != 1 || e.Events[0].Message.Text != want.text {
			t.Fatalf("heard %+v, not %+v", e, want)
		}
	}
	shared, err := first.events[0].decoded()
	if again, _ := first.events[0].decoded(); err != nil || again != shared || shared.Message.Room != "d" {
		t.Errorf("an event was read twice, or as %+v (%v)", shared, err)
	}
}

// Where the answer to a write is lost, the teller can't know what lies between: everybody
// is made to look, and it goes on behind that.
func TestATellerDoesNotWaitForWhatIsLost(t *testing.T) {
	h := open(t)
	room, heard, tell, last := following(t, h, "minsu")
	tell.backlog.add(entryOf(t, "minsu", last+2, "two"))
	if e := next(t, heard); e != nil {
		t.Fatalf("behind a sequence that is missing %+v was told", e)
	}
	h.heardOf(room, "minsu", heard)
	tell.backlog.mu.Lock()
	defer tell.backlog.mu.Unlock()
	if tell.backlog.bytes != 0 || len(tell.backlog.stored) != 0 {
		t.Errorf("%d bytes of %d entries are still to be told", tell.backlog.bytes, len(tell.backlog.stored))
	}
}

// What can't be read is no reason to tell nothing: who follows reads the queue.
func TestAnEventThatCannotBeReadIsLookedFor(t *testing.T) {
	h := open(t)
	_, heard, tell, last := following(t, h, "minsu")
	tell.backlog.add(storedEntry{sequence: last + 1, user: "minsu", events: []*event{{raw: []byte("\xff")}}, bytes: 1})
	if e := next(t, heard); e != nil {
		t.Fatalf("heard %+v", e)
	}
}

// Beyond its bound a backlog has projectors wait, and no longer than it is full.
func TestAFullBacklogHasProjectorsWait(t *testing.T) {
	b := newBacklog()
	b.add(storedEntry{sequence: 1, bytes: backlogBytes - 1})
	if err := b.room(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.add(storedEntry{sequence: 2, bytes: 10})
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the test's")
	cancel(why)
	if err := b.room(ctx); !errors.Is(err, why) {
		t.Fatalf("a full backlog has room: %v", err)
	}
	waited := make(chan error)
	for range 2 { // two partitions
		go func() { waited <- b.room(context.Background()) }()
	}
	b.told(10)
	for range 2 {
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
	}
	if some, bytes := b.take(nil); len(some) != 2 || some[0].sequence != 1 || bytes != backlogBytes-1 {
		t.Errorf("it holds %d bytes, %+v", bytes, some)
	}
}
