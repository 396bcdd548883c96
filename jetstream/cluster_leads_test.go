package jetstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"natter/chat"
	"natter/internal/conformance"
)

// Three stores over one cluster, one story after the other: what is acknowledged stays,
// once, in one order, whoever leads, and who follows from node to node sees no gap.
func TestThreeNodes(t *testing.T) {
	c := openThree(t)
	c.run("are one store", func(*testing.T) {
		w := c.crowd()
		w.more(200)
		w.judge()
	})
	c.run("who was answered sees it", c.whoWasAnsweredSeesIt)
	c.run("who follows is told once", c.whoFollowsIsToldOnce)
	c.run("records", func(t *testing.T) {
		buckets := 0
		conformance.RecordsSuite(t, func(*testing.T) chat.Records {
			buckets++
			return c.at[buckets%3].Load().Records(fmt.Sprintf("suite%d", buckets))
		})
	})
	c.run("every leader steps down thirty times", c.everyLeaderStepsDown)
	c.run("two projectors at once", c.twoProjectorsAtOnce)
	c.run("a queue without a leader holds up nobody", c.aQueueHoldsUpNobody)
	c.run("who leads a log gathers its streams", c.whoLeadsGathers)
	c.run("a stale write is fenced off", c.aStaleWriteIsFencedOff)
	c.run("a read is as fresh as what the node knows", c.aReadIsFresh)
	c.run("a cursor beyond the queue is reset", c.aCursorBeyondTheQueueIsReset)
	c.run("a node hands over", c.aNodeHandsOver)
	c.run("a node goes and comes", c.aNodeGoesAndComes)
}

// When a node has answered a command, what it changed can be read there, whichever
// replica is asked.
func (c *three) whoWasAnsweredSeesIt(t *testing.T) {
	const room = chat.RoomID("gsees")
	c.do(0, chat.Command{Op: chat.OpCreate, Room: room, By: "ann", Name: "sees", Users: []chat.UserID{"bob"}})
	place, err := c.at[0].Load().Queues().Head(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 { // over a page of 64, by each node in turn
		store := c.at[n%3].Load()
		text := fmt.Sprint(n)
		res := c.do(n, chat.Command{Op: chat.OpSend, Room: room, By: "ann", Text: text})
		page, err := store.History().Page(t.Context(), room, res.Seq, res.Seq)
		if err != nil || len(page) != 1 || page[0].Text != text {
			t.Fatalf("message %d at %s: %v, %v", res.Seq, c.nats.Name(n%3), page, err)
		}
		full, newest, err := store.History().Room(t.Context(), room)
		if err != nil || newest.Seq != res.Seq || full.Member("ann").Read != res.Seq {
			t.Fatalf("the room after %d: its newest %+v, %v", res.Seq, newest, err)
		}
		batch, err := store.Queues().Read(t.Context(), "bob", place, 10)
		if err != nil || len(batch.Entries) != 1 || batch.Entries[0].Events[0].Message.Text != text {
			t.Fatalf("bob's queue after %d: %+v, %v", res.Seq, batch, err)
		}
		place = batch.Entries[0].Cursor
	}
}

// The leader of each stream steps down thirty times while people talk.
func (c *three) everyLeaderStepsDown(t *testing.T) {
	w := c.crowd()
	names := w.any(0).streams()
	moved := 0
	for range 30 {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var asking sync.WaitGroup
		for _, name := range names {
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				w.any(0).askToStepDown(ctx, name, "") //nolint:errcheck // who has no leader now has had its turn
			})
		}
		asking.Wait()
		w.more(10)
		moved++
	}
	if moved != 30 {
		t.Fatalf("the leaders stepped down %d times", moved)
	}
	w.judge()
}

// Every node believes that it leads everything: six projectors write two partitions,
// and six tellers tell of two streams.
func (c *three) twoProjectorsAtOnce(*testing.T) {
	w := c.crowd()
	var claims [3]uint64
	for i := range claims {
		claims[i] = w.at[i].Load().claims.Load()
	}
	w.lies.Store(true)
	w.more(100)
	for i := range claims {
		w.until("each node has claimed what it believes to lead", func() bool {
			return w.at[i].Load().claims.Load() >= claims[i]+clusterPartitions
		})
	}
	w.more(50)
	w.lies.Store(false)
	w.more(30)
	w.judge()
}

// A node's server goes away under its store, and comes again as another run.
func (c *three) aNodeGoesAndComes(t *testing.T) {
	w := c.crowd()
	for i := range 2 {
		w.more(50)
		store := c.at[i].Swap(nil)
		c.nats.Nodes[i].Stop()
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if err := store.Close(gone); err != nil {
			t.Error(err)
		}
		w.more(100)
		if c.calm(t.Context()) {
			t.Errorf("logs may be spread while %s is away", c.nats.Name(i))
		}
		c.nats.Start(i)
		c.open(i)
		w.more(50)
	}
	w.until("logs may be spread when all have everything", func() bool { return c.calm(t.Context()) })
	w.judge()
}

// calm tells whether who leads a log might give it away.
func (c *three) calm(ctx context.Context) bool {
	for i := range c.at {
		for p := range clusterPartitions {
			s, log := c.at[i].Load(), numbered(streamLog, p)
			if s != nil && s.leads(log) && s.calm(ctx, log) {
				return true
			}
		}
	}
	return false
}

// A node that hands over leads nothing, and the others go on.
func (c *three) aNodeHandsOver(t *testing.T) {
	w := c.crowd()
	for i := range w.at {
		w.more(30)
		store := w.at[i].Load()
		begun := time.Now()
		if err := store.StepDown(t.Context()); err != nil {
			t.Fatal(err)
		}
		handed := time.Now()
		w.more(30)
		t.Logf("%s handed over in %v; 30 more messages took %v", w.nats.Name(i), handed.Sub(begun), time.Since(handed))
	}
	for i := range w.at {
		w.until("every node is ready", func() bool { return w.at[i].Load().Ready() == nil })
	}
	w.until("every stream has a leader, wherever it is gathered", func() bool {
		return !slices.ContainsFunc(w.at[0].Load().Leaders(t.Context()), func(l Leadership) bool {
			return l.Leader == "" || len(l.Replicas) != 2 || isLog(l.Stream) && l.Projector == ""
		})
	})
	w.judge()
}

// While a queue's stream takes nothing those who write are answered all the same. What
// was to be told is told afterwards, once and in its order, by the next projector as well.
func (c *three) aQueueHoldsUpNobody(t *testing.T) {
	w := c.crowd()
	w.more(30)
	lost := subjectSync(0, "")
	c.lost.Store(&lost)
	w.more(12) // what was on its way has landed
	end := func() uint64 {
		_, last, err := w.any(0).bounds(t.Context(), numbered(streamSync, 0))
		if err != nil {
			t.Fatal(err)
		}
		return last
	}
	before := end()
	w.more(40)
	if after := end(); after != before {
		t.Errorf("the queue went on from %d to %d", before, after)
	}
	for i := range w.at {
		if err := w.at[i].Load().StepDown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.more(20)
	c.lost.Store(nil)
	w.more(30)
	w.judge()
}

// Wherever a partition's streams are led, soon one node leads them all; and no node leads
// every partition for long.
func (c *three) whoLeadsGathers(t *testing.T) {
	w := c.crowd()
	for p := range clusterPartitions {
		for i, prefix := range []string{streamLog, streamHistory, streamMarks, streamSync} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			w.any(0).askToStepDown(ctx, numbered(prefix, p), c.nats.Name(i%3)) //nolint:errcheck // who leads it already stays
			cancel()
		}
	}
	w.until("one node leads each partition", func() bool {
		for p := range clusterPartitions {
			together := false
			for i := range w.at {
				store := w.at[i].Load()
				together = together || store.leads(numbered(streamLog, p)) && store.leads(numbered(streamHistory, p)) &&
					store.leads(numbered(streamMarks, p)) && store.leads(numbered(streamSync, p))
			}
			if !together {
				return false
			}
		}
		return true
	})
	w.more(30)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for p := range clusterPartitions {
		w.any(0).askToStepDown(ctx, numbered(streamLog, p), c.nats.Name(1)) //nolint:errcheck // as above
	}
	w.until("two nodes lead a log each", func() bool {
		logs := 0
		for i := range w.at {
			for p := range clusterPartitions {
				if w.at[i].Load().leads(numbered(streamLog, p)) {
					logs++
					break
				}
			}
		}
		return logs == clusterPartitions
	})
	w.more(30)
	w.judge()
}

// Who claimed a partition before somebody else did can't write to it any more, not a
// single message and not a batch; and the projector goes on.
func (c *three) aStaleWriteIsFencedOff(t *testing.T) {
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
		if _, err := old.put(t.Context(), numbered(streamHistory, 0), messages, nil); !errors.Is(err, errFenced) {
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
func (c *three) aReadIsFresh(t *testing.T) {
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
// did, at whatever node. A node that is cut off answers neither.
func (c *three) aCursorBeyondTheQueueIsReset(t *testing.T) {
	c.do(0, chat.Command{Op: chat.OpCreate, Room: "gfar", By: "ann", Name: "far", Users: []chat.UserID{"bob"}})
	head, err := c.at[0].Load().Queues().Head(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	read := func(i int, at chat.Cursor, reset bool) {
		t.Helper()
		batch, err := c.at[i].Load().Queues().Read(t.Context(), "bob", at, 10)
		if err != nil || batch.Reset != reset {
			t.Errorf("%s at %+v: reset %v, %v", c.nats.Name(i), at, batch.Reset, err)
		}
	}
	for i := range c.at {
		read(i, head, false)
	}
	far := head
	far.Seq += 1000
	read(1, far, true)

	// Who is cut off doesn't know who else may have given it.
	c.apart.Store(true)
	defer c.apart.Store(false)
	read(1, head, false)
	young := head
	young.Epoch++
	for _, at := range []chat.Cursor{far, young} {
		if batch, err := c.at[1].Load().Queues().Read(t.Context(), "bob", at, 10); chat.KindOf(err) != chat.KindUnavailable {
			t.Errorf("cut off, at %+v: reset %v, %v", at, batch.Reset, err)
		}
	}
}
