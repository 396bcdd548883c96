package edge

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

func (p *person) sync(query string) wire.SyncAnswer {
	p.t.Helper()
	var a wire.SyncAnswer
	p.call("GET", "/v1/sync"+query, nil).status(200).into(&a)
	return a
}

// TestPolling: from now, in pieces that cut an entry, and to the end.
func TestPolling(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	start := joon.sync("?limit=0")
	if len(start.Events) != 0 || start.Cursor == "" {
		t.Fatalf("the start is %+v", start)
	}
	room := mina.group("us", joon) // one entry of two events: the room, and its first message
	for i := range 3 {
		mina.post(room, strconv.Itoa(i))
	}
	var types []chat.EventType
	for at, more := start.Cursor, true; more; {
		a := joon.sync("?limit=1&cursor=" + at)
		for _, e := range a.Events {
			types = append(types, e.Type)
		}
		if len(a.Events) > 1 || a.Reset {
			t.Fatalf("%+v", a)
		}
		more, at = a.More || len(a.Events) > 0, a.Cursor
	}
	want := []chat.EventType{chat.EventRoom, chat.EventMessage, chat.EventMessage, chat.EventMessage, chat.EventMessage}
	if len(types) != len(want) {
		t.Fatalf("got %v, want %v", types, want)
	}
	for i := range want {
		if types[i] != want[i] {
			t.Fatalf("got %v, want %v", types, want)
		}
	}
	all := joon.sync("?cursor=" + start.Cursor)
	if len(all.Events) != 5 || all.More {
		t.Fatalf("all at once: %+v", all)
	}
	// By the highest message id: an overlap at most, never a gap.
	since := joon.sync("?since_message=" + all.Events[2].Message.ID.String())
	seen := map[string]bool{}
	for _, e := range since.Events {
		if e.Message != nil {
			seen[e.Message.Text] = true
		}
	}
	if !seen["1"] || !seen["2"] {
		t.Fatalf("since the message 0 came %+v", since)
	}
}

// TestLongPolling: an event ends the wait, and so does a newer poll of the same
// device; a poll that ends with nothing keeps its cursor.
func TestLongPolling(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	at := joon.sync("?limit=0").Cursor
	waiting := func() bool {
		h.edge.polls.mu.Lock()
		defer h.edge.polls.mu.Unlock()
		return h.edge.polls.of[joon.DeviceID] != nil
	}
	answers := make(chan wire.SyncAnswer)
	poll := func() { answers <- joon.sync("?wait=50&cursor=" + at) }
	go poll()
	h.eventually("the poll waits", waiting)
	mina.post(room, "wake up")
	if a := <-answers; len(a.Events) != 1 || a.Events[0].Message.Text != "wake up" {
		t.Fatalf("got %+v", a)
	} else {
		at = a.Cursor
	}
	go poll()
	h.eventually("the poll waits", waiting)
	before := h.edge.polls.of[joon.DeviceID]
	go poll()
	h.eventually("the newer poll waits", func() bool {
		h.edge.polls.mu.Lock()
		defer h.edge.polls.mu.Unlock()
		return h.edge.polls.of[joon.DeviceID] != before
	})
	if a := <-answers; len(a.Events) != 0 || a.Cursor != at || a.Reset {
		t.Fatalf("the older poll got %+v, cursor was %s", a, at)
	}
	mina.post(room, "again")
	if a := <-answers; len(a.Events) != 1 || a.Events[0].Message.Text != "again" {
		t.Fatalf("the newer poll got %+v", a)
	}
	if a := joon.sync("?wait=1"); len(a.Events) != 0 || a.Cursor == "" {
		t.Fatalf("a second of nothing: %+v", a)
	}
}

// TestReset: a cursor older than the queue keeps, and one from a future that a
// crash took back.
func TestReset(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	old := joon.sync("?limit=0").Cursor
	for i := range 5 {
		mina.post(room, strconv.Itoa(i))
	}
	h.queues.Forget(joon.User.ID, 2)
	a := joon.sync("?cursor=" + old)
	if !a.Reset || len(a.Events) != 0 || a.Cursor == old || a.More {
		t.Fatalf("got %+v", a)
	}
	s := joon.dial()
	s.send(&wire.Hello{Token: joon.AccessToken, Cursor: old})
	next[*wire.Welcome](s)
	reset := next[*wire.Reset](s)
	if synced := next[*wire.Synced](s); synced.Cursor != reset.Cursor {
		t.Fatalf("reset to %s, synced at %s", reset.Cursor, synced.Cursor)
	}
	mina.post(room, "after")
	s.message("after")
}

// TestACrashTakesEntriesBack: the cursor of an older epoch is clamped, so that
// the device gets what was written in their place.
func TestACrashTakesEntriesBack(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	for i := range 5 {
		mina.post(room, strconv.Itoa(i))
	}
	at := joon.sync("?limit=0").Cursor
	s := joon.connect()
	h.queues.Crash(joon.User.ID, 3)
	mina.post(room, "rewritten")
	a := joon.sync("?cursor=" + at)
	if a.Reset || len(a.Events) != 1 || a.Events[0].Message.Text != "rewritten" {
		t.Fatalf("got %+v", a)
	}
	s.message("rewritten") // the live session notices by the epoch
}

// TestHintsMayBeLostDoubledAndLate: the session reads what it missed.
func TestHintsMayBeLostDoubledAndLate(t *testing.T) {
	var hints *capricious
	h := open(t, func(o *Options) {
		hints = &capricious{Queues: o.Queues}
		o.Queues = hints
	})
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	s := joon.connect()
	var held []*chat.Entry
	n := 0
	hints.set(func(e *chat.Entry, deliver func(*chat.Entry)) {
		switch n++; n % 5 {
		case 0: // lost
		case 1: // doubled
			deliver(e)
			deliver(e)
		case 2: // late
			held = append(held, e)
		case 3:
			deliver(nil)
		default:
			deliver(e)
			for _, old := range held {
				deliver(old)
			}
			held = nil
		}
	})
	const total = 50
	for i := range total {
		mina.post(room, strconv.Itoa(i))
	}
	hints.set(nil)
	mina.post(room, strconv.Itoa(total))
	for i := range total + 1 {
		e := until(s, func(f *wire.EventFrame) bool { return true })
		if e.Event.Message.Text != strconv.Itoa(i) {
			t.Fatalf("event %d is %s", i, wire.Encode(e))
		}
	}
	s.quiet()
}

// capricious are queues whose hints pass through a function, of one follower.
type capricious struct {
	chat.Queues
	through func(*chat.Entry, func(*chat.Entry))
}

func (c *capricious) set(through func(*chat.Entry, func(*chat.Entry))) { c.through = through }

func (c *capricious) Follow(u chat.UserID, deliver func(*chat.Entry)) (func(), error) {
	return c.Queues.Follow(u, func(e *chat.Entry) {
		if c.through == nil {
			deliver(e)
			return
		}
		c.through(e, deliver)
	})
}

// TestStream: the same as Server-Sent Events, resumed by Last-Event-ID.
func TestStream(t *testing.T) {
	h := open(t, func(o *Options) { o.Heartbeat = 20 * time.Millisecond })
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	at := joon.sync("?limit=0").Cursor
	mina.post(room, "one")
	lines, stop := joon.stream("Last-Event-ID", at)
	first := lines.id("one")
	lines.until("event: synced")
	mina.post(room, "two")
	lines.id("two")
	lines.until(": ") // a heartbeat
	stop()
	lines, stop = joon.stream("Last-Event-ID", first)
	lines.id("two")
	stop()
	lines, stop = joon.stream()
	lines.until("event: synced")
	mina.post(room, "three")
	lines.id("three")
	mina.again() // unrelated
	joon.call("DELETE", "/v1/sessions/current", nil).status(204)
	lines.ends()
	stop()
}

// lines are those of a stream.
type lines struct {
	t testing.TB
	*bufio.Scanner
	last string // the last id
}

func (p *person) stream(headers ...string) (*lines, func()) {
	p.t.Helper()
	ctx, stop := context.WithCancel(p.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.addr+"/v1/sync/stream", nil)
	p.must(err)
	req.Header.Set("Authorization", "Bearer "+p.AccessToken)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.house.http.Do(req)
	p.must(err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		p.t.Fatalf("stream: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return &lines{t: p.t, Scanner: bufio.NewScanner(res.Body)}, func() { stop(); _ = res.Body.Close() }
}

func (l *lines) until(prefix string) string {
	l.t.Helper()
	for l.Scan() {
		if id, ok := strings.CutPrefix(l.Text(), "id: "); ok {
			l.last = id
		}
		if strings.HasPrefix(l.Text(), prefix) {
			return l.Text()
		}
	}
	l.t.Fatalf("the stream ended before %q: %v", prefix, l.Err())
	return ""
}

// id skips to the event of a text and returns its id.
func (l *lines) id(text string) string {
	l.t.Helper()
	for {
		if strings.Contains(l.until("data: "), `"text":"`+text+`"`) {
			return l.last
		}
	}
}

func (l *lines) ends() {
	l.t.Helper()
	for l.Scan() { //nolint:revive // what comes before the end doesn't matter
	}
	if err := l.Err(); err != nil {
		l.t.Fatalf("the stream broke: %v", err)
	}
}
