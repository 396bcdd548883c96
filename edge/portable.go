package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	contrib "github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"natter/chat"
)

// portable is conn by contrib/websocket, for systems without sockets as Unix
// has them. That library pools its connections, so after Release nothing of it
// may be touched: raw is nil from then on, under mu.
//
// It writes frames itself, several in one system call, and leaves to the
// library only what it says on a protocol error; a single Write of a net.Conn
// is whole, so the two never mix within a frame.
type portable struct {
	line
	ws  *websocket.Conn // the reader's
	buf *bytes.Buffer   // the reader's: what ReadFrame gave out
}

// upgradePortable answers a handshake that was checked, and serves on the
// handler's goroutine.
func (e *Edge) upgradePortable(c *fiber.Ctx, s *session) error {
	strip(c.Context())
	return contrib.New(func(ws *contrib.Conn) {
		d := newPortable(ws.Conn, s.pong)
		if !s.begin(d) {
			d.Release()
			return
		}
		s.run(d)
	}, contrib.Config{
		Subprotocols:    []string{subprotocol},
		ReadBufferSize:  2048,
		WriteBufferSize: 512, // for the library's own control frames
		WriteBufferPool: &writeBuffers,
		RecoverHandler:  func(*contrib.Conn) {}, // run recovers by itself
	})(c)
}

var writeBuffers sync.Pool

// handshake are the headers the upgrade needs.
var handshake = map[string]bool{
	"Host": true, "Connection": true, "Upgrade": true,
	"Sec-Websocket-Version": true, "Sec-Websocket-Key": true, "Sec-Websocket-Protocol": true,
}

// strip removes what the library would copy and keep for the life of the
// socket: nothing of it is needed, and some of it is secret.
func strip(c *fasthttp.RequestCtx) {
	c.Request.Header.DelAllCookies()
	var names []string
	for name := range c.Request.Header.All() {
		if !handshake[string(name)] {
			names = append(names, string(name))
		}
	}
	for _, name := range names {
		c.Request.Header.Del(name)
	}
}

// newPortable takes over ws. pong is called by the reader to answer a ping; it
// returns an error to end the connection.
func newPortable(ws *websocket.Conn, pong func(payload []byte) error) *portable {
	d := &portable{ws: ws, line: line{raw: ws.NetConn()}}
	ws.SetReadLimit(0) // ReadFrame has its own, which doesn't write
	ws.SetPingHandler(func(payload string) error { return pong([]byte(payload)) })
	ws.SetPongHandler(func(string) error { return nil })
	ws.SetCloseHandler(func(int, string) error { return nil }) // the session answers
	return d
}

// ReadFrame implements conn.
func (d *portable) ReadFrame(deadline time.Time) ([]byte, error) {
	if d.buf != nil {
		messages.Put(d.buf)
		d.buf = nil
	}
	if !d.until(deadline) {
		return nil, errInterrupted
	}
	kind, r, err := d.ws.NextReader()
	if err != nil {
		return nil, d.readError(err)
	}
	if kind != opText {
		return nil, errBinary
	}
	d.buf = newMessage()
	if _, err := d.buf.ReadFrom(io.LimitReader(r, chat.MaxFrameBytes+1)); err != nil {
		return nil, d.readError(err)
	}
	if d.buf.Len() > chat.MaxFrameBytes {
		return nil, errTooLarge
	}
	return d.buf.Bytes(), nil
}

// readError tells apart why reading ended.
func (d *portable) readError(err error) error {
	var closed *websocket.CloseError
	var network net.Error
	switch {
	case d.isInterrupted():
		return errInterrupted
	case errors.Is(err, errPings):
		return errPings
	case errors.As(err, &closed):
		return errClosed
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return err
	}
	return errProtocol
}

// Release implements conn.
func (d *portable) Release() {
	if d.buf != nil {
		messages.Put(d.buf)
		d.buf = nil
	}
	switch raw, whole := d.release(); {
	case raw == nil:
	case !whole:
		cutOff(raw)
	default:
		_ = raw.Close() // whatever it says, it is gone
	}
}
