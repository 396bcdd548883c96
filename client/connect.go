package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"natter/chat"
	"natter/wire"
)

// Subprotocol is the WebSocket subprotocol of docs/PROTOCOL.md.
const Subprotocol = "natter.v1"

const (
	dialTimeout  = 10 * time.Second
	helloTimeout = 10 * time.Second
	maxFrame     = 16 << 20 // a server's frame; larger ends the connection
)

// Refused ends a Device: the server will not have it without the person.
type Refused struct {
	Code   wire.CloseCode // 0 if the refusal was an answer to the handshake
	Reason string
}

func (r *Refused) Error() string { return fmt.Sprintf("client: refused (%d): %s", r.Code, r.Reason) }

// ending is why one connection ended, and what it means for the next.
type ending struct {
	err   error
	final bool          // don't come back
	fresh bool          // it had caught up: begin counting tries anew
	moved bool          // the server has said where to go, and when: no need to wait
	after time.Duration // the server asks to wait so long
}

// run connects again and again. It is the only goroutine that calls back.
func (d *Device) run(ctx context.Context) {
	defer close(d.over)
	if o := d.opts.Outbox; o != nil {
		defer o.release()
		defer d.keepCursor()
	}
	token := ""
	for try, node := 0, 0; ; {
		d.mu.Lock()
		url := d.urls[node%len(d.urls)]
		d.mu.Unlock()
		d.enter(Connecting, nil)
		end := d.connection(ctx, url, &token)
		d.drop()
		switch {
		case ctx.Err() != nil:
			d.finish(ErrClosed)
			return
		case end.final:
			d.finish(end.err)
			return
		case end.fresh:
			try = 0
		}
		wait := max(jitter(d.opts.BackoffBase, d.opts.BackoffCap, try), end.after)
		if end.moved {
			wait = end.after
		}
		try++
		node++
		d.enter(Waiting, end.err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			d.finish(ErrClosed)
			return
		}
	}
}

// jitter is a random time up to base·2^try, at most limit: devices that lost
// one server at once don't come back at once.
func jitter(base, limit time.Duration, try int) time.Duration {
	ceiling := limit
	if try < 20 {
		ceiling = min(limit, base<<try)
	}
	return rand.N(ceiling) + 1
}

// connection is the life of one connection.
func (d *Device) connection(ctx context.Context, url string, last *string) ending {
	token, err := d.opts.Token(ctx)
	if err != nil {
		return ending{err: err, final: CodeOf(err) == chat.KindUnauthenticated}
	}
	if token == *last {
		return ending{err: &Refused{wire.CloseUnauthenticated, "the token was refused, and there is no other"}, final: true}
	}
	ws, cork, end := d.dial(ctx, url)
	if ws == nil {
		return end
	}
	unhook := context.AfterFunc(ctx, func() { leave(ws) })
	defer unhook()
	defer ws.Close()
	ws.SetReadLimit(maxFrame)
	d.mu.Lock()
	d.ws = ws
	d.mu.Unlock()
	d.enter(Greeting, nil)
	hello := &wire.Hello{Ref: "hello", Token: token, Cursor: d.Cursor(), Client: d.opts.Name}
	_ = ws.SetReadDeadline(time.Now().Add(helloTimeout))
	if err := ws.WriteMessage(websocket.TextMessage, wire.Encode(hello)); err != nil {
		return ending{err: err}
	}
	r := &reader{d: d, ws: ws}
	raw, err := r.read()
	if err != nil {
		end := endingOf(err)
		// A token may have run out on the way here: one other token is tried.
		if end.final && *last == "" && closeCode(err) == wire.CloseUnauthenticated {
			*last, end.final = token, false
		}
		return end
	}
	welcome, err := d.greet(raw)
	if err != nil {
		return endingOf(err)
	}
	*last = ""
	_ = ws.SetReadDeadline(time.Time{})
	w := &writer{d: d, ws: ws, cork: cork, beat: time.Duration(welcome.HeartbeatMS) * time.Millisecond, quit: make(chan struct{})}
	var joined sync.WaitGroup
	joined.Go(w.write)
	defer joined.Wait()
	defer close(w.quit)
	r.heard = &w.heard
	d.enter(CatchingUp, nil)
	end = r.loop()
	// A socket ends with its token: another one goes on.
	var refused *Refused
	if end.final && errors.As(end.err, &refused) && refused.Code == wire.CloseUnauthenticated {
		*last, end.final = token, false
	}
	return end
}

func (d *Device) dial(ctx context.Context, url string) (*websocket.Conn, *corked, ending) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var cork *corked
	dialer := websocket.Dialer{
		NetDialContext:  corkingDial(d.opts.NetDial, &cork),
		Subprotocols:    []string{Subprotocol},
		ReadBufferSize:  8 << 10,
		WriteBufferSize: 2 << 10,
	}
	ws, res, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(strings.TrimRight(url, "/"), "http")+"/v1/ws", nil)
	if err == nil {
		return ws, cork, ending{}
	}
	end := ending{err: fmt.Errorf("client: %w", err)}
	if res != nil { // the server answered, and it was no upgrade
		body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
		p := refusal(res, body)
		end.err = p
		end.after = time.Duration(p.RetryAfterMS) * time.Millisecond
		end.final = res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusNotFound
	}
	return nil, nil, end
}

// leave says goodbye and cuts the line, so that a blocked reader returns.
func leave(ws *websocket.Conn) {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
	_ = ws.Close()
}

// greet reads the answer to hello and opens the way for sends: first those
// that wait, in their order.
func (d *Device) greet(raw []byte) (*wire.Welcome, error) {
	f, err := wire.DecodeServer(raw)
	if err != nil {
		return nil, err
	}
	welcome, ok := f.(*wire.Welcome)
	if !ok {
		if refused, ok := f.(*wire.Error); ok {
			return nil, &refused.Problem
		}
		return nil, errFrame
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.welcome = *welcome
	if len(d.cursor) == 0 {
		d.cursor = []byte(welcome.Cursor)
	}
	d.open = true
	d.out, d.posted, d.under = d.out[:0], d.base, 0
	for _, s := range d.pending {
		if s != nil {
			s.under = false
		}
	}
	d.goLocked(d.kept)
	return welcome, nil
}

// drop closes the way for sends; what waits for an answer of this connection
// and can't be asked again is told.
func (d *Device) drop() {
	d.mu.Lock()
	asks := d.asks
	d.asks = map[uint64]chan error{}
	d.open, d.ws = false, nil
	d.out = nil
	d.mu.Unlock()
	for _, answer := range asks {
		answer <- ErrOffline
	}
}

// finish ends the device.
func (d *Device) finish(err error) {
	d.mu.Lock()
	d.err = err
	var waiting []func(Receipt, error)
	for _, s := range d.pending {
		if s.done != nil {
			waiting = append(waiting, s.done)
			s.done = nil
		}
	}
	d.pending = nil
	d.mu.Unlock()
	d.enter(Ended, err)
	for _, done := range waiting {
		done(Receipt{}, err)
	}
}

func closeCode(err error) wire.CloseCode {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return wire.CloseCode(closed.Code)
	}
	return 0
}

// endingOf reads what a failed connection says about the next one.
func endingOf(err error) ending {
	var closed *websocket.CloseError
	var problem *wire.Problem
	switch {
	case errors.As(err, &closed) && closed.Code >= 4500 && closed.Code <= 4999:
		return ending{err: &Refused{wire.CloseCode(closed.Code), closed.Text}, final: true}
	case errors.As(err, &problem):
		return ending{
			err:   problem,
			after: time.Duration(problem.RetryAfterMS) * time.Millisecond,
			final: problem.Code == chat.KindUnauthenticated || problem.Code == chat.KindInvalid,
		}
	}
	return ending{err: err}
}
