package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/natstest"
)

// three is a cluster of three stores, each over a server of its own, and people who
// use any of them.
type three struct {
	t     *testing.T // of the subtest that runs
	whole *testing.T
	nats  *natstest.Cluster
	// at are the stores; one may be away (nil).
	at  [3]atomic.Pointer[Store]
	ids atomic.Uint64
	// lies, when set, has every node believe that it leads everything.
	lies atomic.Bool
	// lost, when set, begins the subjects to which no projector's write gets.
	lost atomic.Pointer[string]
	// apart, when set, has every node believe that it is cut off.
	apart atomic.Bool

	mu    sync.Mutex
	acked map[chat.RoomID]map[string]chat.Seq
	sent  atomic.Int64 // how many are acknowledged

	crowds int
	dir    string // of the servers' stores
	// scrub says for each node how it compares replicas.
	scrub func(node int) ScrubOptions
}

const clusterPartitions = 2

func openThree(t *testing.T) *three {
	t.Helper()
	return openScrubbedThree(t, func(int) ScrubOptions { return ScrubOptions{} })
}

// openCutThree is openThree of nodes whose routes can be cut.
func openCutThree(t *testing.T) *three {
	t.Helper()
	return openThreeOver(t, natstest.StartCutCluster, func(int) ScrubOptions { return ScrubOptions{} })
}

func openScrubbedThree(t *testing.T, scrub func(node int) ScrubOptions) *three {
	t.Helper()
	return openThreeOver(t, natstest.StartCluster, scrub)
}

func openThreeOver(t *testing.T, start func(testing.TB, string, bool) *natstest.Cluster, scrub func(node int) ScrubOptions) *three {
	t.Helper()
	c := &three{t: t, whole: t, dir: t.TempDir(), scrub: scrub, acked: map[chat.RoomID]map[string]chat.Seq{}}
	c.nats = start(t, c.dir, true)
	begun := time.Now()
	c.ids.Store(uint64(time.Now().UnixMilli()-int64(chat.SnowflakeEpoch)) << 22)
	var opening sync.WaitGroup
	for i := range c.at {
		opening.Go(func() { c.open(i) })
	}
	opening.Wait()
	t.Logf("opened in %v", time.Since(begun))
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		for i := range c.at {
			c.close(i)
		}
	})
	return c
}

func (c *three) open(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	server, t := c.nats.Nodes[i], c.whole
	store, err := Open(ctx, Options{Connect: server.Connect, Partitions: clusterPartitions, Node: c.nats.Name(i), Replicas: 3,
		Leads: func(stream string) bool { return c.lies.Load() || server.Leads(stream) },
		Heirs: func() (names []string) {
			for k := range c.at {
				if k != i && c.at[k].Load() != nil {
					names = append(names, c.nats.Name(k))
				}
			}
			return names
		},
		Certain: func(context.Context) error {
			if c.apart.Load() {
				return chat.Unavailable("cut off", time.Second)
			}
			return nil
		},
		fault: func(subject string) (drop, deny bool) {
			lost := c.lost.Load()
			return lost != nil && strings.HasPrefix(subject, *lost), false
		},
		QueueRetention: 24 * time.Hour, Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Scrub: c.scrub(i), Fatal: func(err error) { t.Error(err) }, Progress: func(waits string) { t.Logf("%s waits: %s", c.nats.Name(i), waits) }})
	if err != nil {
		c.t.Errorf("%s: %v", c.nats.Name(i), err)
		return
	}
	c.at[i].Store(store)
}

func (c *three) close(i int) {
	store := c.at[i].Swap(nil)
	if store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := store.Close(ctx); err != nil {
		c.whole.Errorf("close %s: %v", c.nats.Name(i), err)
	}
}

// any is a store that is there, from i on.
func (c *three) any(i int) *Store {
	for {
		for k := range c.at {
			if s := c.at[(i+k)%3].Load(); s != nil {
				return s
			}
		}
	}
}

// try gives a command to a node. What the store can't say now it may have done.
func (c *three) try(i int, command chat.Command) (chat.Result, error) {
	command.ID, command.At = chat.MessageID(c.ids.Add(1)), chat.MillisOf(time.Now())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return c.any(i).Log().Append(ctx, &command)
}

// do is try again until it is done, elsewhere when a node can't.
func (c *three) do(i int, command chat.Command) chat.Result {
	c.t.Helper()
	if command.Op == chat.OpSend && command.ClientID.IsZero() {
		command.ClientID = newClientID()
	}
	for deadline := time.Now().Add(40 * time.Second); ; i++ {
		res, err := c.try(i, command)
		if err == nil {
			return res
		}
		if chat.KindOf(err) != chat.KindUnavailable || time.Now().After(deadline) {
			c.t.Errorf("command %d: %v", command.Op, err)
			return res
		}
	}
}

// say sends a text by way of node i and notes where it was acknowledged.
func (c *three) say(i int, room chat.RoomID, by chat.UserID, text string) {
	c.t.Helper()
	res := c.do(i, chat.Command{Op: chat.OpSend, Room: room, By: by, Text: text})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked[room] == nil {
		c.acked[room] = map[string]chat.Seq{}
	}
	c.acked[room][text] = res.Seq
	c.sent.Add(1)
}

// run runs a subtest with the cluster.
func (c *three) run(name string, story func(t *testing.T)) {
	outer := c.t
	outer.Run(name, func(t *testing.T) {
		c.t = t
		defer func() { c.t = outer }()
		story(t)
	})
}

// crowd is people who talk in rooms of both partitions until they are stopped, and two
// who follow, reading on at another node each time.
type crowd struct {
	*three
	people  []chat.UserID
	rooms   []chat.RoomID
	hoppers []*hopper
	stop    context.CancelFunc
	ctx     context.Context
	done    sync.WaitGroup
}

func (c *three) crowd() *crowd {
	c.t.Helper()
	c.crowds++
	w := &crowd{three: c, people: []chat.UserID{"ann", "bob", "cho", "dan", "eve", "fay"}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	for n := 0; len(w.rooms) < 2*clusterPartitions; n++ {
		room := chat.RoomID(fmt.Sprintf("g%d-%d", c.crowds, n))
		if partitionOf(string(room), clusterPartitions) == len(w.rooms)%clusterPartitions {
			w.rooms = append(w.rooms, room)
			c.do(n, chat.Command{Op: chat.OpCreate, Room: room, By: "ann", Name: string(room), Users: w.people[1:]})
		}
	}
	for i, u := range w.people {
		w.done.Go(func() {
			for n := 0; w.ctx.Err() == nil; n++ {
				w.say(i, w.rooms[n%len(w.rooms)], u, fmt.Sprintf("%s-%d", u, n))
			}
		})
	}
	for _, u := range w.people[:2] {
		h := &hopper{c: c, u: u, last: map[chat.RoomID]chat.Seq{}}
		w.hoppers = append(w.hoppers, h)
		w.done.Go(func() {
			for w.ctx.Err() == nil {
				if !h.hop() {
					time.Sleep(5 * time.Millisecond) // a poll's pace
				}
			}
		})
	}
	return w
}

// more waits until n more messages are acknowledged.
func (w *crowd) more(n int64) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d more messages", n), func(from int64) func() bool {
		return func() bool { return w.sent.Load() >= from+n }
	}(w.sent.Load()))
}

func (c *three) until(what string, true func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !true(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("40 s without: %s", what)
		}
	}
}

// hopper follows a person's queue, each read at the next node, and sees each room's
// seqs in their order and without a gap.
type hopper struct {
	c    *three
	u    chat.UserID
	at   chat.Cursor
	next int
	last map[chat.RoomID]chat.Seq
}

// hop reads once; false if there was nothing, or no answer.
func (h *hopper) hop() bool {
	h.next++
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	batch, err := h.c.any(h.next).Queues().Read(ctx, h.u, h.at, 50)
	if chat.KindOf(err) == chat.KindUnavailable {
		return false
	}
	if err != nil || batch.Reset {
		h.c.t.Errorf("%s at %+v: reset %v, %v", h.u, h.at, batch.Reset, err)
		return false
	}
	for _, e := range batch.Entries {
		for _, event := range e.Events {
			if event.Type != chat.EventMessage || event.Message.Seq <= h.last[event.Room] {
				continue
			}
			if event.Message.Seq != h.last[event.Room]+1 {
				h.c.t.Errorf("%s: room %s goes on with %d after %d", h.u, event.Room, event.Message.Seq, h.last[event.Room])
			}
			h.last[event.Room] = event.Message.Seq
		}
		h.at = e.Cursor
	}
	return len(batch.Entries) > 0
}

// judge stops the crowd. Then every node must show the same history, without holes and
// with nothing twice, everything acknowledged in its place, and who followed must
// see all of it.
func (w *crowd) judge() {
	w.t.Helper()
	w.stop()
	w.done.Wait()
	if w.t.Failed() {
		w.t.FailNow()
	}
	total := 0
	for _, room := range w.rooms {
		var first []string
		for i := range w.at {
			store := w.at[i].Load()
			if store == nil {
				continue
			}
			texts := (&house{t: w.t, store: store}).texts(room)
			if first == nil {
				first = texts
			}
			if !slices.Equal(first, texts) {
				w.t.Errorf("room %s: %s shows %d messages, another %d", room, w.nats.Name(i), len(texts), len(first))
			}
		}
		times := map[string]int{}
		for _, text := range first[1:] { // the first says that the room was made
			if times[text]++; times[text] > 1 {
				w.t.Errorf("room %s has %q twice", room, text)
			}
		}
		for text, seq := range w.acked[room] {
			total++
			if int(seq) > len(first) || first[seq-1] != text {
				w.t.Errorf("room %s: %q was acknowledged as %d; history holds %d messages", room, text, seq, len(first))
			}
		}
		for _, h := range w.hoppers {
			w.until(fmt.Sprintf("%s has seen all of %s", h.u, room), func() bool {
				for h.hop() {
				}
				return int(h.last[room]) >= len(first)
			})
		}
	}
	w.t.Logf("%d acknowledged messages, all there", total)
}
