package jetstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/natstest"
)

// house is a store over a real server, and people in it.
type house struct {
	t     *testing.T
	dir   string
	nats  *natstest.Server
	store *Store
	ids   atomic.Uint64
	fault fault
	// retention of the queues
	retention time.Duration
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), retention: 24 * time.Hour}
	h.ids.Store(uint64(time.Now().UnixMilli()-int64(chat.SnowflakeEpoch)) << 22)
	h.start(false)
	return h
}

func (h *house) start(clean bool) {
	h.t.Helper()
	h.nats = natstest.Start(h.t, h.dir, true)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	store, err := Open(ctx, Options{Connect: h.nats.Connect, Partitions: 4, Node: "n1", Clean: clean, Replicas: 1,
		QueueRetention: h.retention, Log: slog.New(slog.NewTextHandler(testWriter{h.t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Fatal: func(err error) { h.t.Error(err) }, fault: h.fault})
	if err != nil {
		h.t.Fatal(err)
	}
	h.store = store
	h.t.Cleanup(func() { // before the server's own, which was registered earlier
		if h.store == store {
			h.stop()
		}
	})
}

func (h *house) stop() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.store.Close(ctx); err != nil {
		h.t.Error(err)
	}
	h.store = nil
	h.nats.Stop()
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) { w.t.Logf("%s", b); return len(b), nil }

func (h *house) command(c chat.Command) *chat.Command {
	c.ID = chat.MessageID(h.ids.Add(1))
	c.At = chat.MillisOf(time.Now())
	if c.Op == chat.OpSend && c.ClientID.IsZero() {
		c.ClientID = newClientID()
	}
	return &c
}

func newClientID() chat.ClientID {
	var random [10]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err)
	}
	return chat.NewClientID(time.Now(), random)
}

func (h *house) do(c chat.Command) chat.Result {
	h.t.Helper()
	res, err := h.try(c)
	if err != nil {
		h.t.Fatalf("command %d: %v", c.Op, err)
	}
	return res
}

func (h *house) try(c chat.Command) (chat.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return h.store.Log().Append(ctx, h.command(c))
}

func (h *house) direct(a, b chat.UserID) chat.RoomID {
	h.t.Helper()
	id := chat.DirectRoomID(a, b)
	h.do(chat.Command{Op: chat.OpDirect, Room: id, By: a, Users: []chat.UserID{b}})
	return id
}

func (h *house) send(r chat.RoomID, by chat.UserID, text string) chat.Result {
	h.t.Helper()
	return h.do(chat.Command{Op: chat.OpSend, Room: r, By: by, Text: text})
}

// texts are the messages of a room by seq, and checks that seq has no holes.
func (h *house) texts(r chat.RoomID) []string {
	h.t.Helper()
	var texts []string
	for from := chat.Seq(1); ; from += chat.MaxPage {
		page, err := h.store.History().Page(context.Background(), r, from, from+chat.MaxPage-1)
		if err != nil {
			h.t.Fatal(err)
		}
		for i, m := range page {
			if m.Seq != from+chat.Seq(i) {
				h.t.Fatalf("message %d of the page from %d has seq %d", i, from, m.Seq)
			}
			texts = append(texts, m.Text)
		}
		if len(page) < chat.MaxPage {
			return texts
		}
	}
}

// queue reads all of a user's events after c.
func (h *house) queue(u chat.UserID, c chat.Cursor) ([]*chat.Event, chat.Cursor) {
	h.t.Helper()
	var events []*chat.Event
	for {
		batch, err := h.store.Queues().Read(context.Background(), u, c, 100)
		if err != nil {
			h.t.Fatal(err)
		}
		if batch.Reset {
			h.t.Fatalf("%s was reset at %+v", u, c)
		}
		c = batch.At
		for _, e := range batch.Entries {
			events = append(events, e.Events...)
			c = e.Cursor
		}
		if !batch.More {
			return events, c
		}
	}
}

// messagesOf are the texts of the message events, and checks that each room's
// seqs come in order and once.
func messagesOf(t *testing.T, events []*chat.Event) []string {
	t.Helper()
	var texts []string
	last := map[chat.RoomID]chat.Seq{}
	for _, e := range events {
		if e.Type != chat.EventMessage {
			continue
		}
		if e.Message.Seq <= last[e.Room] {
			t.Fatalf("room %s: seq %d after %d", e.Room, e.Message.Seq, last[e.Room])
		}
		last[e.Room] = e.Message.Seq
		texts = append(texts, e.Message.Text)
	}
	return texts
}

func TestMinsuAndJiwooTalk(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	start, err := h.store.Queues().Head(context.Background(), "jiwoo")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 150; i++ {
		res := h.send(room, "minsu", fmt.Sprint(i))
		if res.Seq != chat.Seq(i) || res.Retry {
			t.Fatalf("message %d came to %+v", i, res)
		}
	}
	texts := h.texts(room)
	if len(texts) != 150 || texts[0] != "1" || texts[63] != "64" || texts[64] != "65" || texts[149] != "150" {
		t.Fatalf("history is %v", texts)
	}
	events, _ := h.queue("jiwoo", start)
	if got := messagesOf(t, events); len(got) != 150 || got[149] != "150" {
		t.Fatalf("jiwoo's queue is %v", got)
	}
	full, newest, err := h.store.History().Room(context.Background(), room)
	if err != nil {
		t.Fatal(err)
	}
	if newest.Seq != 150 || full.Member("minsu").Read != 150 || full.Member("jiwoo").Read != 0 {
		t.Fatalf("the room is %+v, its newest %+v", full, newest)
	}
	h.do(chat.Command{Op: chat.OpRead, Room: room, By: "jiwoo", Seq: 120})
	marks, err := h.store.History().Mine(context.Background(), "jiwoo")
	if err != nil || len(marks) != 1 || marks[0].Read != 120 || marks[0].Room != room {
		t.Fatalf("jiwoo's marks are %+v, %v", marks, err)
	}
	if _, err := h.try(chat.Command{Op: chat.OpSend, Room: room, By: "stranger", Text: "hi"}); chat.KindOf(err) != chat.KindNotFound {
		t.Fatalf("a stranger is told %v", err)
	}
}

func TestOneClientIDOneMessage(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	id := newClientID()
	first := h.do(chat.Command{Op: chat.OpSend, Room: room, By: "minsu", Text: "once", ClientID: id})
	again := h.do(chat.Command{Op: chat.OpSend, Room: room, By: "minsu", Text: "once", ClientID: id})
	if again.ID != first.ID || again.Seq != first.Seq || !again.Retry {
		t.Fatalf("first %+v, again %+v", first, again)
	}
	for _, clean := range []bool{true, false} {
		h.stop()
		h.start(clean)
		again = h.do(chat.Command{Op: chat.OpSend, Room: room, By: "minsu", Text: "once", ClientID: id})
		if again.ID != first.ID || !again.Retry {
			t.Fatalf("after a restart (clean %v): first %+v, again %+v", clean, first, again)
		}
		found, err := h.store.History().Find(context.Background(), room, "minsu", id, id.Time()-1000)
		if err != nil || found == nil || found.ID != first.ID {
			t.Fatalf("found %+v, %v", found, err)
		}
	}
	if texts := h.texts(room); len(texts) != 1 {
		t.Fatalf("history is %v", texts)
	}
}

// A restart that is told it was unclean finds everything there and must write
// nothing twice.
func TestAnUncleanStartWritesNothingTwice(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	start, _ := h.store.Queues().Head(context.Background(), "jiwoo")
	for i := range 100 {
		h.send(room, "minsu", fmt.Sprint(i))
	}
	for range 3 {
		h.stop()
		h.start(false)
	}
	h.send(room, "jiwoo", "after")
	if texts := h.texts(room); len(texts) != 101 || texts[100] != "after" {
		t.Fatalf("history is %v", texts)
	}
	events, _ := h.queue("jiwoo", start)
	if got := messagesOf(t, events); len(got) != 101 {
		t.Fatalf("jiwoo's queue holds %d messages", len(got))
	}
}

func TestLiveEntriesFollowTheQueue(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	heard := make(chan *chat.Entry, 100)
	stop, err := h.store.Queues().Follow("jiwoo", func(e *chat.Entry) { heard <- e })
	if err != nil {
		t.Fatal(err)
	}
	place, _ := h.store.Queues().Head(context.Background(), "jiwoo")
	direct := 0
	deadline := time.After(10 * time.Second)
	for i := range 50 {
		h.send(room, "minsu", fmt.Sprint(i))
		for texts := 0; texts < 1; {
			select {
			case e := <-heard:
				switch {
				case e != nil && e.Cursor.Seq <= place.Seq: // had already
				case e != nil && e.Prev <= place.Seq:
					direct++
					texts += len(messagesOf(t, e.Events))
					place = e.Cursor
				default:
					events, c := h.queue("jiwoo", place)
					texts += len(messagesOf(t, events))
					place = c
				}
			case <-deadline:
				t.Fatalf("message %d was not heard; %d came live", i, direct)
			}
		}
	}
	stop()
	if direct < 25 { // a busy machine may make some look at the queue
		t.Errorf("only %d of 50 came live", direct)
	}
}

func TestAGroupsLife(t *testing.T) {
	h := open(t)
	const room = chat.RoomID("gteam")
	h.do(chat.Command{Op: chat.OpCreate, Room: room, By: "ann", Name: "team", Users: []chat.UserID{"bob", "cho"}})
	h.send(room, "bob", "hello")
	h.do(chat.Command{Op: chat.OpAdd, Room: room, By: "ann", Users: []chat.UserID{"dan"}})
	h.do(chat.Command{Op: chat.OpRemove, Room: room, By: "bob", Users: []chat.UserID{"bob"}})
	h.send(room, "dan", "hi")
	full, newest, err := h.store.History().Room(context.Background(), room)
	if err != nil {
		t.Fatal(err)
	}
	if len(full.Members) != 3 || newest.Seq != 5 || full.Member("dan").Since != 2 {
		t.Fatalf("the room is %+v, its newest %+v", full, newest)
	}
	if _, err := h.try(chat.Command{Op: chat.OpSend, Room: room, By: "bob", Text: "still here?"}); chat.KindOf(err) != chat.KindNotFound {
		t.Fatalf("bob, who left, is told %v", err)
	}
	marks, _ := h.store.History().Mine(context.Background(), "bob")
	if len(marks) != 1 || !marks[0].Left {
		t.Fatalf("bob's marks are %+v", marks)
	}
	for i := range 200 {
		h.send(room, "ann", fmt.Sprint(i))
	}
	h.do(chat.Command{Op: chat.OpEdit, Room: room, By: "ann", Seq: 10, Text: "mended"})
	h.do(chat.Command{Op: chat.OpReact, Room: room, By: "dan", Seq: 204, Emoji: "👍"})
	h.send(room, "ann", "end")
	h.stop()
	h.start(false)
	if texts := h.texts(room); texts[9] != "mended" || texts[205] != "end" || len(texts) != 206 {
		t.Fatalf("history is %d long, seq 10 is %q", len(texts), texts[9])
	}
	page, err := h.store.History().Page(context.Background(), room, 204, 204)
	if err != nil || len(page) != 1 || len(page[0].Reactions) != 1 {
		t.Fatalf("seq 204 is %+v, %v", page, err)
	}
}

func TestCursorsMoveOnlyOnTheDevicesOwnAck(t *testing.T) {
	h := open(t)
	want := func(device chat.DeviceID, seq uint64, there bool) {
		t.Helper()
		c, ok, err := h.store.Cursors().Get(context.Background(), "minsu", device)
		if err != nil || ok != there || c.Seq != seq {
			t.Fatalf("%s is at %+v, %v, %v; want %d", device, c, ok, err, seq)
		}
	}
	want("v1", 0, false)
	for _, seq := range []uint64{5, 9, 7} {
		h.store.Cursors().Put("minsu", "v1", chat.Cursor{Epoch: 1, Seq: seq})
	}
	h.store.Cursors().Put("minsu", "v2", chat.Cursor{Epoch: 1, Seq: 3})
	want("v1", 9, true)
	want("v2", 3, true)
	h.stop()
	h.start(true)
	want("v1", 9, true)
	h.store.Cursors().Drop("minsu", "v2")
	h.stop()
	h.start(true)
	want("v1", 9, true)
	want("v2", 0, false)
}

func TestSomebodyInOver1024RoomsOfAPartition(t *testing.T) {
	h := open(t)
	const rooms = 4400 // about 1,100 in each of the 4 partitions
	done := make(chan error, rooms)
	for i := range rooms {
		other := chat.UserID(fmt.Sprintf("u%d", i))
		c := h.command(chat.Command{Op: chat.OpDirect, Room: chat.DirectRoomID("hub", other), By: "hub", Users: []chat.UserID{other}})
		if err := h.store.Log().Submit(c, func(_ chat.Result, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for range rooms {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	marks, err := h.store.History().Mine(context.Background(), "hub")
	if err != nil || len(marks) != rooms {
		t.Fatalf("%d marks, %v", len(marks), err)
	}
}

// A replay from the very beginning meets marks that survived, of people who
// become members only in what is applied again.
func TestReadMarksSurviveAnUncleanStart(t *testing.T) {
	h := open(t)
	direct := h.direct("ann", "bob")
	const group = chat.RoomID("gteam")
	h.do(chat.Command{Op: chat.OpCreate, Room: group, By: "ann", Name: "team", Users: []chat.UserID{"bob"}})
	h.do(chat.Command{Op: chat.OpAdd, Room: group, By: "ann", Users: []chat.UserID{"cho"}})
	for range 3 {
		for range 10 {
			h.send(direct, "ann", "hi")
			h.send(group, "ann", "hi")
		}
		want := map[chat.RoomID]chat.Seq{}
		for _, room := range []chat.RoomID{direct, group} {
			_, newest, err := h.store.History().Room(context.Background(), room)
			if err != nil {
				t.Fatal(err)
			}
			want[room] = newest.Seq
			h.do(chat.Command{Op: chat.OpRead, Room: room, By: "bob", Seq: newest.Seq})
		}
		h.do(chat.Command{Op: chat.OpRead, Room: group, By: "cho", Seq: want[group]})
		h.stop()
		h.start(false)
		for room, seq := range want {
			full, _, err := h.store.History().Room(context.Background(), room)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range full.Members {
				if m.Read != seq {
					t.Errorf("%s has read %s to %d, not %d", m.User, room, m.Read, seq)
				}
			}
		}
	}
}
