package client

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"

	"natter/wire"
)

// beats is how many heartbeats may pass without a frame from the server before
// the connection counts as dead: each beat brings a pong at least.
const beats = 3

// writeTimeout bounds one write: a server that takes nothing is gone.
const writeTimeout = 20 * time.Second

// writer is the sending side of one connection; its goroutine is joined before
// the connection is given up.
type writer struct {
	d     *Device
	ws    *websocket.Conn
	cork  *corked
	beat  time.Duration
	heard atomic.Uint64
	quit  chan struct{} // closed by the reader when the connection ended
}

func (w *writer) write() {
	var batch [][]byte
	timer := time.NewTimer(w.tick())
	defer timer.Stop()
	wrote, heard := false, w.heard.Load()
	nextBeat, silent := time.Now().Add(w.beat), 0
	for {
		w.d.mu.Lock()
		batch, w.d.out = w.d.out, batch[:0]
		w.d.mu.Unlock()
		if len(batch) > 0 {
			wrote = true
			if !w.flush(batch) {
				return
			}
			clear(batch)
		}
		select {
		case <-w.quit:
			return
		case <-w.d.wake:
			continue
		case now := <-timer.C:
			timer.Reset(w.tick())
			w.ackCursor()
			w.d.keepCursor()
			if w.beat <= 0 || now.Before(nextBeat) {
				continue
			}
			nextBeat = now.Add(w.beat)
			if !wrote {
				w.post(&wire.Ping{})
			}
			wrote = false
			if now := w.heard.Load(); now != heard {
				heard, silent = now, 0
			} else if silent++; silent >= beats {
				_ = w.ws.Close() // the reader sees it and comes back
				return
			}
		}
	}
}

// tick is how often there is something to do without being told.
func (w *writer) tick() time.Duration {
	t := time.Hour
	if w.beat > 0 {
		t = w.beat
	}
	if every := w.d.opts.AckEvery; every > 0 {
		t = min(t, every)
	}
	if w.d.opts.KeepCursor {
		t = min(t, keepEvery)
	}
	return t
}

// keepEvery is how often a cursor that moved is kept in the Outbox.
const keepEvery = time.Second

// keepCursor keeps the cursor in the Outbox, if the caller wants that.
func (d *Device) keepCursor() {
	if !d.opts.KeepCursor {
		return
	}
	if cursor := d.Cursor(); cursor != "" {
		d.opts.Outbox.move(cursor)
	}
}

func (w *writer) post(f wire.Frame) {
	w.d.mu.Lock()
	w.d.postLocked(wire.Encode(f))
	w.d.mu.Unlock()
}

// ackCursor tells the server the cursor if it has moved.
func (w *writer) ackCursor() {
	if w.d.opts.AckEvery <= 0 {
		return
	}
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	if cursor := string(w.d.cursor); cursor != w.d.told && cursor != "" {
		w.d.told = cursor
		w.d.postLocked(wire.Encode(&wire.Ack{Cursor: cursor}))
	}
}

// flush writes frames with one system call.
func (w *writer) flush(batch [][]byte) bool {
	_ = w.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	w.cork.hold()
	for _, f := range batch {
		if err := w.ws.WriteMessage(websocket.TextMessage, f); err != nil {
			_ = w.cork.release()
			_ = w.ws.Close()
			return false
		}
	}
	if err := w.cork.release(); err != nil {
		_ = w.ws.Close()
		return false
	}
	return true
}

// corked is a connection that can gather writes. The lock is there because the
// reader may write a pong at any time.
type corked struct {
	net.Conn
	mu   sync.Mutex
	held bool
	buf  []byte
}

type dialing func(ctx context.Context, network, addr string) (net.Conn, error)

func corkingDial(dial dialing, to **corked) dialing {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		*to = &corked{Conn: c}
		return *to, nil
	}
}

func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held {
		c.buf = append(c.buf, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *corked) hold() {
	c.mu.Lock()
	c.held = true
	c.mu.Unlock()
}

// release writes what was gathered.
func (c *corked) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	if cap(c.buf) > 256<<10 {
		c.buf = nil
	}
	return err
}
