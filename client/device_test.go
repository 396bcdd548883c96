package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/goleak"

	"natter/chat"
	"natter/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is what the server does with one connection, after hello.
type script func(c *line)

// line is the server's end of a connection. A mistake of the device fails the
// test and ends the script.
type line struct {
	t     *testing.T
	ws    *websocket.Conn
	hello *wire.Hello
}

// serve is a server that plays one script a connection, in turn, and refuses
// connections when there is none left.
func serve(t *testing.T, scripts ...script) string {
	t.Helper()
	next := make(chan script, len(scripts))
	for _, s := range scripts {
		next <- s
	}
	up := websocket.Upgrader{Subprotocols: []string{Subprotocol}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var play script
		select {
		case play = <-next:
		default:
			http.Error(w, "no script is left", http.StatusServiceUnavailable)
			return
		}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		if ws.Subprotocol() != Subprotocol {
			t.Errorf("the device asked for subprotocol %q", ws.Subprotocol())
		}
		c := &line{t: t, ws: ws}
		c.hello, _ = c.read().(*wire.Hello)
		play(c)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (c *line) read() wire.Frame {
	_, raw, err := c.ws.ReadMessage()
	if err != nil {
		return nil
	}
	f, _, err := wire.DecodeClient(raw)
	if err != nil {
		c.t.Errorf("the device sent %s: %v", raw, err)
	}
	return f
}

// readSend is the next message the device sends.
func (c *line) readSend() *wire.Send {
	for {
		switch f := c.read().(type) {
		case *wire.Send:
			return f
		case nil:
			c.t.Error("the device left before it sent")
			return &wire.Send{}
		}
	}
}

func (c *line) write(frames ...wire.Frame) {
	for _, f := range frames {
		_ = c.ws.WriteMessage(websocket.TextMessage, wire.Encode(f))
	}
}

func (c *line) welcome(cursor string, beat time.Duration) {
	c.write(&wire.Welcome{Ref: c.hello.Ref, Cursor: cursor, HeartbeatMS: beat.Milliseconds(), Node: "n1"})
}

func (c *line) close(code wire.CloseCode) {
	_ = c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), "says the test"))
}

// idle answers nothing until the device leaves.
func (c *line) idle() {
	for c.read() != nil {
	}
}

func event(cursor string, seq int) *wire.EventFrame {
	return &wire.EventFrame{Cursor: cursor, Event: wire.Event{Type: chat.EventMessage, Message: &wire.Message{
		ID: wire.MessageID(1000 + seq), RoomID: "r1", Seq: chat.Seq(seq), Kind: chat.KindText, SenderID: "u1", Text: "a \"quoted\" text\n",
		ClientID: wire.ClientID(NewKey()),
	}}}
}

func options(url string) Options {
	return Options{
		URLs:        []string{url},
		Token:       func(context.Context) (string, error) { return "token", nil },
		BackoffBase: time.Millisecond, BackoffCap: 10 * time.Millisecond,
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestResendAfterACut: sends without an answer go out again in their order,
// with their client_id, and each is answered once.
func TestResendAfterACut(t *testing.T) {
	var first []string
	url := serve(t,
		func(c *line) { // takes three, answers the first, dies
			c.welcome("c0", 0)
			for i := range 3 {
				s := c.readSend()
				first = append(first, s.ClientID)
				if i == 0 {
					c.write(&wire.Sent{Ref: s.Ref, MessageID: 1, Seq: 1})
				}
			}
			c.close(wire.CloseUnavailable)
		},
		func(c *line) { // gets the other two again
			c.welcome("c0", 0)
			for i := 1; i < 3; i++ {
				s := c.readSend()
				if s.ClientID != first[i] {
					t.Errorf("send %d came again as %s, was %s", i, s.ClientID, first[i])
				}
				c.write(&wire.Sent{Ref: s.Ref, MessageID: wire.MessageID(i + 1), Seq: chat.Seq(i + 1)})
				c.write(&wire.Sent{Ref: s.Ref, MessageID: 99, Seq: 99}) // a second answer changes nothing
			}
			c.write(&wire.Synced{Cursor: "c9"})
			c.idle()
		})
	got := make(chan Receipt, 8)
	d := Dial(t.Context(), options(url))
	defer d.Close()
	for range 3 {
		d.Send(Outgoing{Room: "r1", Text: "hello"}, func(r Receipt, err error) {
			if err != nil {
				t.Error(err)
			}
			got <- r
		})
	}
	for want := chat.Seq(1); want <= 3; want++ {
		if r := <-got; r.Seq != want {
			t.Errorf("answer %+v, want seq %d", r, want)
		}
	}
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-got:
		t.Errorf("one more answer: %+v", r)
	default:
	}
}

// TestResumeByCursor: a new connection brings the cursor, and what comes again
// is shown once.
func TestResumeByCursor(t *testing.T) {
	second := make(chan string, 1)
	url := serve(t,
		func(c *line) {
			c.welcome("c0", 0)
			c.write(event("c1", 1), &wire.EventsFrame{Events: []wire.Placed{{Cursor: "c2", Event: event("", 2).Event}, {Cursor: "c3", Event: event("", 3).Event}}}, &wire.Synced{Cursor: "c3"})
			c.close(wire.CloseTooSlow)
		},
		func(c *line) {
			second <- c.hello.Cursor
			c.welcome(c.hello.Cursor, 0)
			c.write(event("c2", 2), event("c3", 3), event("c4", 4), &wire.Synced{Cursor: "c4"})
			c.idle()
		})
	opts := options(url)
	type shown struct {
		seq    chat.Seq
		cursor string
	}
	seen := make(chan shown, 16)
	opts.Event = func(e *Event) {
		full, err := e.Full()
		if err != nil || full.Message.Text != "a \"quoted\" text\n" || string(e.Message.Room) != "r1" || !e.Message.Person || e.Message.Key().IsZero() {
			t.Errorf("event %+v, full %+v, %v", e, full, err)
		}
		seen <- shown{e.Message.Seq, e.Cursor()}
	}
	d := Dial(t.Context(), opts)
	defer d.Close()
	for i, cursor := range []string{"c1", "c2", "c3", "c4"} {
		if s := <-seen; s != (shown{chat.Seq(i + 1), cursor}) {
			t.Errorf("shown %+v, want seq %d at %s", s, i+1, cursor)
		}
	}
	if c := <-second; c != "c3" {
		t.Errorf("the device came back with cursor %q", c)
	}
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if d.Cursor() != "c4" || len(seen) != 0 {
		t.Errorf("cursor %q, %d more events", d.Cursor(), len(seen))
	}
}

// TestCloseCodes: which endings a device comes back from.
func TestCloseCodes(t *testing.T) {
	for code, back := range map[wire.CloseCode]bool{
		wire.CloseGoingAway: true, wire.CloseDraining: true, wire.CloseTooSlow: true, wire.CloseHeartbeatLost: true, wire.CloseUnavailable: true, 4499: true,
		wire.CloseUnauthenticated: false, wire.CloseRevoked: false, wire.CloseProtocolError: false, wire.CloseTooMany: false, 4999: false,
	} {
		url := serve(t,
			func(c *line) { c.welcome("c0", 0); c.close(code) },
			func(c *line) { c.welcome("c0", 0); c.write(&wire.Synced{Cursor: "c0"}); c.idle() })
		d := Dial(t.Context(), options(url))
		err := d.WaitLive(bounded(t))
		var refused *Refused
		switch {
		case back && err != nil:
			t.Errorf("%d: the device didn't come back: %v", code, err)
		case !back && (!errors.As(err, &refused) || refused.Code != code):
			t.Errorf("%d: the device ended with %v", code, err)
		}
		d.Close()
	}
}

// TestAnotherToken: a token that ran out on the way is changed once, a refused
// one is not tried for ever.
func TestAnotherToken(t *testing.T) {
	refuse := func(c *line) { c.close(wire.CloseUnauthenticated) }
	url := serve(t, refuse, func(c *line) { c.welcome("c0", 0); c.write(&wire.Synced{Cursor: "c0"}); c.idle() })
	opts := options(url)
	tokens := 0
	opts.Token = func(context.Context) (string, error) { tokens++; return string(rune('a' + tokens)), nil }
	d := Dial(t.Context(), opts)
	if err := d.WaitLive(bounded(t)); err != nil || tokens != 2 {
		t.Errorf("after %d tokens: %v", tokens, err)
	}
	d.Close()

	// A token ends while the socket lives: another one goes on, again and again.
	ends := func(c *line) { c.welcome("c0", 0); c.close(wire.CloseUnauthenticated) }
	opts = options(serve(t, ends, ends, ends, func(c *line) { c.welcome("c0", 0); c.write(&wire.Synced{Cursor: "c0"}); c.idle() }))
	tokens = 0
	opts.Token = func(context.Context) (string, error) { tokens++; return string(rune('a' + tokens)), nil }
	d = Dial(t.Context(), opts)
	if err := d.WaitLive(bounded(t)); err != nil || tokens != 4 {
		t.Errorf("after %d tokens that ended: %v", tokens, err)
	}
	d.Close()

	d = Dial(t.Context(), options(serve(t, refuse, refuse, refuse)))
	<-d.Done()
	var refused *Refused
	if !errors.As(d.Err(), &refused) || refused.Code != wire.CloseUnauthenticated {
		t.Errorf("ended with %v", d.Err())
	}
	d.Close()
}

// TestManySendsKeepTheirOrder: of what gathered while nobody answered no more goes out
// than a server takes, and the rest as answers come.
func TestManySendsKeepTheirOrder(t *testing.T) {
	const many = 3*sendsUnderWay + 7
	full := make(chan struct{})
	goOn := make(chan struct{})
	var came []string
	url := serve(t,
		func(c *line) { // takes some, answers none of them
			c.welcome("c0", 0)
			for range sendsUnderWay {
				c.readSend()
			}
			c.close(wire.CloseUnavailable)
		},
		func(c *line) {
			c.welcome("c0", 0)
			var waiting []*wire.Send
			for range sendsUnderWay {
				waiting = append(waiting, c.readSend())
			}
			close(full)
			<-goOn
			for seq := 1; seq <= many; seq++ {
				s := waiting[0]
				came = append(came, s.ClientID)
				c.write(&wire.Sent{Ref: s.Ref, MessageID: wire.MessageID(seq), Seq: chat.Seq(seq)})
				if waiting = waiting[1:]; seq+len(waiting) < many {
					waiting = append(waiting, c.readSend())
				}
			}
			c.idle()
		})
	d := Dial(t.Context(), options(url))
	defer d.Close()
	var sent []string
	answered := make(chan Receipt, many)
	for range many {
		key := d.Send(Outgoing{Room: "r1", Text: "hello"}, func(r Receipt, err error) {
			if err != nil {
				t.Error(err)
			}
			answered <- r
		})
		sent = append(sent, key.String())
	}
	<-full
	d.mu.Lock()
	under, posted := d.under, int(d.posted-d.base)
	d.mu.Unlock()
	if under != sendsUnderWay || posted != sendsUnderWay {
		t.Errorf("%d of %d sends went out, %d without an answer", posted, many, under)
	}
	close(goOn)
	for range many {
		<-answered
	}
	if !slices.Equal(came, sent) {
		t.Error("they came in another order")
	}
}

// TestWaitWhenAsked: unavailable is no answer; the same send goes out again.
func TestWaitWhenAsked(t *testing.T) {
	url := serve(t, func(c *line) {
		c.welcome("c0", 0)
		s := c.readSend()
		c.write(&wire.Error{Ref: s.Ref, Problem: wire.Problem{Code: chat.KindUnavailable, RetryAfterMS: 5}})
		again := c.readSend()
		if again.ClientID != s.ClientID {
			t.Errorf("came again as %s, was %s", again.ClientID, s.ClientID)
		}
		c.write(&wire.Sent{Ref: again.Ref, MessageID: 7, Seq: 7})
		other := c.readSend()
		c.write(&wire.Error{Ref: other.Ref, Problem: wire.Problem{Code: chat.KindNotFound}})
		c.idle()
	})
	d := Dial(t.Context(), options(url))
	defer d.Close()
	if r, err := d.SendWait(bounded(t), Outgoing{Room: "r1", Text: "x"}); err != nil || r.Seq != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := d.SendWait(bounded(t), Outgoing{Room: "r2", Text: "x"}); CodeOf(err) != chat.KindNotFound {
		t.Errorf("a refusal came as %v", err)
	}
}

// TestDo: requests are answered by ok or error, or end with the connection.
func TestDo(t *testing.T) {
	url := serve(t, func(c *line) {
		c.welcome("c0", 0)
		c.write(&wire.Synced{Cursor: "c0"})
		c.write(&wire.OK{Ref: c.read().(*wire.Read).Ref})
		c.write(&wire.Error{Ref: c.read().(*wire.Read).Ref, Problem: wire.Problem{Code: chat.KindNotFound}})
		c.read()
		c.close(wire.CloseTooSlow)
	})
	d := Dial(t.Context(), options(url))
	ctx := bounded(t)
	if err := d.WaitLive(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.Read(ctx, "r1", 5); err != nil {
		t.Error(err)
	}
	if err := d.Read(ctx, "r2", 5); CodeOf(err) != chat.KindNotFound {
		t.Error(err)
	}
	if err := d.Read(ctx, "r3", 5); !errors.Is(err, ErrOffline) {
		t.Error(err)
	}
	d.Close()
	if err := d.Read(ctx, "r3", 5); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestSilentServer: a server that says nothing for three heartbeats is left;
// meanwhile the device sends its pings, and its cursor.
func TestSilentServer(t *testing.T) {
	url := serve(t,
		func(c *line) {
			c.welcome("c5", 20*time.Millisecond)
			acked, pinged := false, false
			for {
				switch f := c.read().(type) {
				case *wire.Ack:
					acked = acked || f.Cursor == "c5"
				case *wire.Ping:
					pinged = true
				case nil:
					if !acked || !pinged {
						t.Errorf("acked %v, pinged %v", acked, pinged)
					}
					return
				}
			}
		},
		func(c *line) { c.welcome("c5", 0); c.write(&wire.Synced{Cursor: "c5"}); c.idle() })
	opts := options(url)
	opts.AckEvery = 10 * time.Millisecond
	d := Dial(t.Context(), opts)
	defer d.Close()
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// TestMove: a draining node names others, and the device goes there.
func TestMove(t *testing.T) {
	there := serve(t, func(c *line) {
		if c.hello.Cursor != "c3" {
			t.Errorf("moved with cursor %q", c.hello.Cursor)
		}
		c.welcome("c3", 0)
		c.write(&wire.Synced{Cursor: "c3"})
		c.idle()
	})
	here := serve(t, func(c *line) {
		c.welcome("c3", 0)
		c.write(&wire.Move{Nodes: []wire.Node{{ID: "n2", URL: there}}, WithinMS: 5})
		c.close(wire.CloseDraining)
	})
	d := Dial(t.Context(), options(here))
	defer d.Close()
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// TestMoveByItself: a device that is told to move goes by itself, and doesn't wait until
// it is cut off.
func TestMoveByItself(t *testing.T) {
	there := serve(t, func(c *line) {
		c.welcome("c0", 0)
		c.write(&wire.Synced{Cursor: "c0"})
		c.idle()
	})
	here := serve(t, func(c *line) {
		c.welcome("c0", 0)
		c.write(&wire.Move{Nodes: []wire.Node{{ID: "n2", URL: there}}, WithinMS: 50})
		c.idle()
	})
	d := Dial(t.Context(), options(here))
	defer d.Close()
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// TestCloseEndsEverything: what waits for an answer is told, and later calls too.
func TestCloseEndsEverything(t *testing.T) {
	d := Dial(t.Context(), options(serve(t))) // it will never connect
	got := make(chan error, 2)
	d.Send(Outgoing{Room: "r1", Text: "x"}, func(_ Receipt, err error) { got <- err })
	d.Close()
	d.Send(Outgoing{Room: "r1", Text: "x"}, func(_ Receipt, err error) { got <- err })
	for range 2 {
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

// TestNonsense: frames that are none end the connection, not the device.
func TestNonsense(t *testing.T) {
	url := serve(t,
		func(c *line) { _ = c.ws.WriteMessage(websocket.TextMessage, []byte(`{"op":`)); c.idle() },
		func(c *line) {
			c.welcome("c0", 0)
			_ = c.ws.WriteMessage(websocket.TextMessage, []byte(`[]`))
			c.idle()
		},
		func(c *line) {
			c.welcome("c0", 0)
			_ = c.ws.WriteMessage(websocket.TextMessage, []byte(`{"op":"news of tomorrow","x":1}`))
			c.write(&wire.Synced{Cursor: "c0"})
			c.idle()
		})
	d := Dial(t.Context(), options(url))
	defer d.Close()
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

func TestJitter(t *testing.T) {
	for try := range 100 {
		if j := jitter(500*time.Millisecond, 30*time.Second, try); j <= 0 || j > 30*time.Second+1 || try == 0 && j > 500*time.Millisecond+1 {
			t.Errorf("try %d waits %s", try, j)
		}
	}
}

func BenchmarkEventScan(b *testing.B) {
	raw := wire.Encode(event("AQIDBAUGBwg", 5))
	var f frame
	var e Event
	var shown places
	b.ReportAllocs()
	for range b.N {
		f = frame{}
		if f.scan(raw) != nil || e.scan(f.cursor, f.event) != nil {
			b.Fatal()
		}
		shown.fresh(&e)
	}
}

func BenchmarkEncodeSend(b *testing.B) {
	m := Outgoing{Room: "d0123456789", ClientID: NewKey(), Text: strings.Repeat("abc ", 75)}
	b.ReportAllocs()
	for i := range b.N {
		appendSend(nil, uint64(i), &m)
	}
}
