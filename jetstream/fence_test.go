package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Who claimed a partition before somebody else did can't write to it any more, not a
// single message and not a batch; and the projector goes on.
func TestAStaleWriteIsFencedOff(t *testing.T) {
	c := openThree(t)
	w := c.crowd()
	w.more(20)
	store := c.any(0)
	out, err := store.newPublisher("stale")
	if err != nil {
		t.Fatal(err)
	}
	stale := newProjector(store, 0, out, nil)
	old, err := stale.claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stale.claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3} {
		var messages []*nats.Msg
		for i := range n {
			messages = append(messages, &nats.Msg{Subject: subjectMessages(0, chat.RoomID(fmt.Sprint("stale", i))), Data: []byte("x")})
		}
		if _, err := old.put(t.Context(), numbered(streamHistory, 0), messages); !errors.Is(err, errFenced) {
			t.Errorf("%d messages: %v", n, err)
		}
	}
	w.more(50)
	w.judge()
	for i := range 3 {
		_, err := store.reader.last(t.Context(), numbered(streamHistory, 0), subjectMessages(0, chat.RoomID(fmt.Sprint("stale", i))))
		if !errors.Is(err, errNone) {
			t.Errorf("stale%d: %v", i, err)
		}
	}
}

// A read waits until a replica shows what this node was told of, and says that it
// can't know when none does.
func TestAReadIsAsFreshAsWhatTheNodeKnows(t *testing.T) {
	c := openThree(t)
	room := chat.RoomID("gread")
	p := partitionOf(string(room), clusterPartitions)
	c.do(0, chat.Command{Op: chat.OpCreate, Room: room, By: "ann", Name: "read", Users: []chat.UserID{"bob"}})
	store := c.at[1].Load()
	_, last, err := store.bounds(t.Context(), numbered(streamHistory, p))
	if err != nil {
		t.Fatal(err)
	}
	store.raise(numbered(streamHistory, p), last+1)
	if _, err := store.History().Page(t.Context(), room, 1, 10); chat.KindOf(err) != chat.KindUnavailable {
		t.Fatalf("a read of what no replica has: %v", err)
	}
	c.do(0, chat.Command{Op: chat.OpSend, Room: room, By: "ann", Text: "now"})
	page, err := store.History().Page(t.Context(), room, 1, 10)
	if err != nil || len(page) != 2 || page[1].Text != "now" {
		t.Fatalf("the page is %v, %v", page, err)
	}
}

// A cursor that no node can have given is answered with reset; so is none that any
// did, at whatever node.
func TestACursorBeyondTheQueueIsReset(t *testing.T) {
	c := openThree(t)
	c.do(0, chat.Command{Op: chat.OpCreate, Room: "gfar", By: "ann", Name: "far", Users: []chat.UserID{"bob"}})
	head, err := c.at[0].Load().Queues().Head(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.at {
		far := head
		far.Seq += 1000
		for _, want := range []struct {
			at    chat.Cursor
			reset bool
		}{{head, false}, {far, true}} {
			batch, err := c.at[i].Load().Queues().Read(t.Context(), "bob", want.at, 10)
			if err != nil || batch.Reset != want.reset {
				t.Errorf("%s at %+v: reset %v, %v", c.nats.Name(i), want.at, batch.Reset, err)
			}
		}
	}
}

// After a replay that wrote nothing the checkpoint says where history really is: a
// replay that begins there must see what survived.
func TestACheckpointAfterAReplayHoldsWhatSurvived(t *testing.T) {
	for _, clean := range []bool{true, false} {
		h := open(t)
		room := h.direct("minsu", "jiwoo")
		h.send(room, "minsu", "one")
		for range 2 {
			h.stop()
			h.start(clean)
		}
		p := h.store.roomPartition(room)
		h.stop()
		h.start(true)
		kept, err := h.store.checkpoints(context.Background(), p)
		if err != nil || len(kept) == 0 {
			t.Fatalf("%d checkpoints, %v", len(kept), err)
		}
		_, last, err := h.store.bounds(context.Background(), numbered(streamHistory, p))
		if err != nil {
			t.Fatal(err)
		}
		if newest := kept[len(kept)-1]; newest.Log != 2 || newest.History != last {
			t.Errorf("clean %v: the checkpoint is %+v, history ends at %d", clean, newest, last)
		}
	}
}

// A stream that is not as the settings have it is named by what differs.
func TestDifferencesAreNamed(t *testing.T) {
	s := &Store{o: Options{Replicas: 3, QueueRetention: time.Hour}}
	want := s.projection(jetstream.StreamConfig{Name: "SYNC-0", Subjects: []string{"sync.0.*"}, MaxAge: time.Hour})
	want.Replicas = 3
	if d := differences(want, want); len(d) != 0 {
		t.Errorf("the same differs in %v", d)
	}
	have := want
	have.Replicas, have.MaxAge = 1, 2*time.Hour
	if d := strings.Join(differences(have, want), ", "); d != "replicas (1, not 3), max_age (2h0m0s, not 1h0m0s)" {
		t.Errorf("it differs in %s", d)
	}
}

// A node is ready while it hears of every projector and none is far behind.
func TestReadyGoesByWhatIsHeard(t *testing.T) {
	now := time.Now()
	l := partitions{list: make([]partition, 2)}
	tell := func(p int, finished, head uint64, at time.Time) {
		l.heard(&beat{Node: "n", Finished: finished, Head: head, Reach: reach{Partition: p}}, at)
	}
	tell(0, 10, 10, now)
	if l.ready(now) == nil {
		t.Error("ready without a word of partition 1")
	}
	tell(1, 10, 12, now)
	if err := l.ready(now.Add(time.Second)); err != nil {
		t.Error(err)
	}
	if l.ready(now.Add(2*beatLost)) == nil {
		t.Error("ready long after the last beat")
	}
	tell(0, 10, 10, now.Add(2*beatLost))
	tell(1, 10, 11+lagUnready, now.Add(2*beatLost))
	if l.ready(now.Add(2*beatLost)) == nil {
		t.Error("ready with a projector far behind")
	}
	tell(2, 1, 1, now) // nobody's partition
}
