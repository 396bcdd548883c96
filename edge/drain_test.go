package edge

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// TestDraining: the node says that it isn't ready, tells its sockets where to
// go, ends long polls, and closes what stays.
func TestDraining(t *testing.T) {
	h := open(t, func(o *Options) {
		o.Nodes = func(string) []wire.Node {
			return []wire.Node{{ID: "n1", URL: "http://n1"}, {ID: "n2", URL: "http://n2"}}
		}
	})
	mina := h.person("mina")
	s := mina.connect()
	silent := h.dial() // has not said hello
	leaves := mina.connect()
	h.call("GET", "/readyz", nil).status(200)
	polled := make(chan int, 1)
	go func() { polled <- mina.call("GET", "/v1/sync?wait=50", nil).StatusCode }()
	h.eventually("the poll waits", func() bool {
		h.edge.polls.mu.Lock()
		defer h.edge.polls.mu.Unlock()
		return len(h.edge.polls.of) == 1
	})
	stopped := make(chan error, 1)
	go func() { stopped <- h.edge.Shutdown(t.Context()) }()
	for _, one := range []*socket{s, leaves} {
		move := until(one, func(*wire.Move) bool { return true })
		if len(move.Nodes) != 1 || move.Nodes[0].ID != "n2" || move.WithinMS <= 0 {
			t.Errorf("move %+v", move)
		}
	}
	_ = leaves.ws.Close()
	if code := <-polled; code != 200 {
		t.Errorf("the long poll ended with %d", code)
	}
	s.closed(wire.CloseDraining)
	silent.closed(wire.CloseDraining)
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestAStuckClientIsLetGo: it takes nothing, so its frames pile up to the
// bound; the others don't notice, and it comes back from its cursor.
func TestAStuckClientIsLetGo(t *testing.T) {
	h := open(t, func(o *Options) { o.writeWithin = 100 * time.Millisecond })
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	at := joon.sync("?limit=0").Cursor
	watching, stuck := mina.connect(), joon.connect()
	_ = stuck.ws.NetConn().(*net.TCPConn).SetReadBuffer(4096)
	text := strings.Repeat("x", chat.MaxTextRunes)
	sent := 0
	for gone := func() bool {
		h.edge.hub.mu.Lock()
		defer h.edge.hub.mu.Unlock()
		return len(h.edge.hub.of[joon.User.ID]) == 0
	}; !gone(); sent++ {
		watching.send(&wire.Send{Ref: strconv.Itoa(sent), RoomID: string(room), ClientID: uuid().String(), Text: text})
		until(watching, func(f *wire.Sent) bool { return f.Ref == strconv.Itoa(sent) })
		if sent > 20_000 {
			t.Fatal("160 MB later it is still there")
		}
	}
	got := 0
	for more := true; more; {
		a := joon.sync("?limit=500&cursor=" + at)
		got += len(a.Events)
		more, at = a.More, a.Cursor
	}
	if got != sent {
		t.Errorf("%d of %d after coming back", got, sent)
	}
}

// TestASlowDeviceCostsDisk: however much there is to catch up, no more than the
// outbox's bound is in memory for it.
func TestASlowDeviceCostsDisk(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	at := joon.sync("?limit=0").Cursor
	text := strings.Repeat("x", chat.MaxTextRunes)
	const n = 300
	for range n {
		mina.post(room, text)
	}
	s := joon.dial()
	s.send(&wire.Hello{Token: joon.AccessToken, Cursor: at})
	next[*wire.Welcome](s)
	var mine *session
	for _, one := range h.edge.hub.of[joon.User.ID] {
		mine = one
	}
	for i := range n {
		next[*wire.EventFrame](s)
		mine.out.mu.Lock()
		waiting := mine.out.answers + mine.out.events
		mine.out.mu.Unlock()
		if waiting > outboxBytes {
			t.Fatalf("%d bytes wait after %d events", waiting, i)
		}
	}
	next[*wire.Synced](s)
}

// TestOutboxBounds: each sort's bound and what happens there.
func TestOutboxBounds(t *testing.T) {
	o := &outbox{write: func() {}}
	event := item{frame: make([]byte, 1000-overhead), event: true}
	n := 0
	for ; o.putEvents(event); n++ {
		if n > outboxBytes/1000 {
			t.Fatal("events have no bound")
		}
	}
	if n != eventBytes/1000 {
		t.Errorf("%d events of 1000 bytes fit", n)
	}
	o.putPassing(item{frame: []byte("news")}) // gives way
	answers := 0
	for ; o.put(item{frame: make([]byte, 150)}); answers++ {
		if answers > outboxBytes/150 {
			t.Fatal("answers have no bound")
		}
	}
	if answers < maxUnderWay {
		t.Errorf("%d answers fit, %d may be under way", answers, maxUnderWay)
	}
	items := o.take(nil)
	if len(items) != n+answers {
		t.Errorf("took %d of %d", len(items), n+answers)
	}
	if o.room(event.size()) || o.putEvents(event) || o.put(event) {
		t.Error("what is being written counts")
	}
	o.wrote(items)
	if o.answers != 0 || o.events != 0 || !o.room(eventBytes) {
		t.Errorf("%d and %d bytes are left", o.answers, o.events)
	}
	// One entry that is larger than the bound goes, and nothing after it.
	large := make([]item, 300)
	for i := range large {
		large[i] = event
	}
	if !o.putEvents(large...) || o.putEvents(event) || o.room(1) {
		t.Error("a large entry goes alone")
	}
	o.wrote(o.take(nil))
	o.putPassing(item{frame: []byte("news")})
	o.close()
	if o.put(event) || o.putEvents(event) || o.room(1) {
		t.Error("a closed box takes more")
	}
	if items := o.take(nil); len(items) != 1 {
		t.Errorf("took %d of 1", len(items))
	}
	if items := o.take(nil); len(items) != 0 || o.writing {
		t.Errorf("took %d of an empty box; goes on: %v", len(items), o.writing)
	}
}

// TestNobodyReadsAnothersSocket: sockets come and go while everybody is told
// things; nobody ever receives what is for somebody else.
func TestNobodyReadsAnothersSocket(t *testing.T) {
	h := open(t)
	people := []*person{h.person("mina"), h.person("joon"), h.person("bora")}
	rooms := make([]chat.RoomID, len(people))
	for i, p := range people {
		rooms[i] = p.group("alone")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i, p := range people {
		group.Go(func() {
			pace := time.NewTicker(time.Millisecond) // who comes back must be able to catch up
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				c, err := p.command(ctx, rooms[i])
				if err == nil {
					_, err = h.log.Append(ctx, c)
				}
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var readers sync.WaitGroup
	for range 2 {
		for i, p := range people {
			readers.Go(func() {
				for range 30 {
					s := p.dial()
					s.send(&wire.Hello{Token: p.AccessToken})
					next[*wire.Welcome](s)
					until(s, func(f *wire.Synced) bool { return true })
					for range 20 {
						e := next[*wire.EventFrame](s)
						if e.Event.Message.RoomID != rooms[i] {
							t.Errorf("%s received %s", p.User.Username, wire.Encode(e))
							return
						}
					}
					_ = s.ws.Close()
				}
			})
		}
	}
	readers.Wait()
	cancel()
	group.Wait()
}

func (p *person) command(_ context.Context, room chat.RoomID) (*chat.Command, error) {
	id, err := p.edge.NewID()
	return &chat.Command{
		ID: id, At: chat.MillisOf(time.Now()), Op: chat.OpSend, Room: room, By: p.User.ID, ClientID: uuid(), Text: "for " + p.User.Username,
	}, err
}

// TestAPanicStaysInside: the request fails, the text stays in the log.
func TestAPanicStaysInside(t *testing.T) {
	h := open(t, func(o *Options) { o.Log = failing{o.Log} })
	mina := h.person("mina")
	id := mina.group("us")
	p := mina.call("POST", "/v1/rooms/"+string(id)+"/messages", obj{"text": "panic"}).refused(500, chat.KindInternal, "")
	if strings.Contains(p.Detail, "secret") || !strings.Contains(h.logged.String(), "secret") {
		t.Errorf("detail %q", p.Detail)
	}
	s := mina.connect()
	s.send(&wire.Send{Ref: "1", RoomID: string(id), ClientID: uuid().String(), Text: "panic"})
	s.closed(wire.CloseUnavailable)
	mina.connect().alive()
}

// TestWaves: everybody is in one wave, few in one at once, many over the time
// there is.
func TestWaves(t *testing.T) {
	for _, c := range []struct {
		n, waves int
		spread   time.Duration
		last     time.Duration
	}{
		{0, 0, time.Second, 0},
		{1, 1, time.Second, 0},
		{waveSockets, 1, time.Second, 0},
		{waveSockets + 1, 2, time.Second, time.Second / 2},
		{20_000, maxWaves, 10 * time.Second, 9500 * time.Millisecond},
		{19_999, maxWaves, 10 * time.Second, 9500 * time.Millisecond},
		{20_000, maxWaves, -time.Second, 0}, // no time is left
	} {
		all := waves(c.n, c.spread)
		next, last := 0, time.Duration(0)
		for _, w := range all {
			if w.from != next || w.to <= w.from || w.after < last {
				t.Errorf("%d sockets: wave %+v after %d and %v", c.n, w, next, last)
			}
			next, last = w.to, w.after
		}
		if len(all) != c.waves || next != c.n || last != c.last {
			t.Errorf("%d sockets: %d waves to %d, the last after %v", c.n, len(all), next, last)
		}
	}
}
