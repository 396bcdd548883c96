package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"natter/chat"
)

// conn is one WebSocket as a session needs it.
type conn interface {
	// ReadFrame reads the next text, waiting at most until the deadline. The
	// slice is the caller's until the next call. One reader at a time. Its errors
	// are the err… of this file, or the network's.
	ReadFrame(deadline time.Time) ([]byte, error)
	// WriteFrames writes whole frames, as appendFrame makes them, at once. One
	// writer at a time.
	WriteFrames(frames []byte, within time.Duration) error
	// Interrupt makes ReadFrame return now and for ever, and gives writing no
	// more than a farewell. Any goroutine may call it at any time.
	Interrupt()
	// Release is the reader's last call: nobody touches the connection after it.
	Release()
}

var (
	errBinary      = errors.New("a binary frame")
	errTooLarge    = errors.New("a frame over the limit")
	errProtocol    = errors.New("not the WebSocket protocol")
	errClosed      = errors.New("closed by the client")
	errInterrupted = errors.New("interrupted")
	errPings       = errors.New("too many pings")
)

// farewell is how long a socket that is being closed may take to hear it.
const farewell = time.Second

// Opcodes of RFC 6455, section 5.2.
const (
	opText  = websocket.TextMessage
	opClose = websocket.CloseMessage
	opPong  = websocket.PongMessage
)

// driver is conn by contrib/websocket. That library pools its connections, so
// after Release nothing of it may be touched: raw is nil from then on, under mu.
//
// It writes frames itself, several in one system call, and leaves to the
// library only what it says on a protocol error; a single Write of a net.Conn
// is whole, so the two never mix within a frame.
type driver struct {
	ws  *websocket.Conn // the reader's
	buf *bytes.Buffer   // the reader's: what ReadFrame gave out

	mu          sync.Mutex
	raw         net.Conn
	interrupted bool
}

// newDriver takes over ws. pong is called by the reader to answer a ping; it
// returns an error to end the connection.
func newDriver(ws *websocket.Conn, pong func(payload []byte) error) *driver {
	d := &driver{ws: ws, raw: ws.NetConn()}
	ws.SetReadLimit(0) // ReadFrame has its own, which doesn't write
	ws.SetPingHandler(func(payload string) error { return pong([]byte(payload)) })
	ws.SetPongHandler(func(string) error { return nil })
	ws.SetCloseHandler(func(int, string) error { return nil }) // the session answers
	return d
}

// ReadFrame implements conn. A socket at rest holds no buffer.
func (d *driver) ReadFrame(deadline time.Time) ([]byte, error) {
	if d.buf != nil {
		readBuffers.Put(d.buf)
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
	d.buf, _ = readBuffers.Get().(*bytes.Buffer)
	if d.buf == nil {
		d.buf = new(bytes.Buffer)
	}
	d.buf.Reset()
	if _, err := d.buf.ReadFrom(io.LimitReader(r, chat.MaxFrameBytes+1)); err != nil {
		return nil, d.readError(err)
	}
	if d.buf.Len() > chat.MaxFrameBytes {
		return nil, errTooLarge
	}
	return d.buf.Bytes(), nil
}

var readBuffers sync.Pool

// readError tells apart why reading ended.
func (d *driver) readError(err error) error {
	d.mu.Lock()
	interrupted := d.interrupted
	d.mu.Unlock()
	var closed *websocket.CloseError
	var network net.Error
	switch {
	case interrupted:
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

// until sets the read deadline unless the reader is to stop.
func (d *driver) until(deadline time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.interrupted && d.raw.SetReadDeadline(deadline) == nil
}

// WriteFrames implements conn.
func (d *driver) WriteFrames(frames []byte, within time.Duration) error {
	d.mu.Lock()
	raw := d.raw
	if d.interrupted {
		within = min(within, farewell)
	}
	d.mu.Unlock()
	if raw == nil {
		return net.ErrClosed
	}
	if err := raw.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := raw.Write(frames)
	return err
}

// Interrupt implements conn.
func (d *driver) Interrupt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupted = true
	if d.raw != nil {
		_ = d.raw.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
		_ = d.raw.SetWriteDeadline(time.Now().Add(farewell))
	}
}

// Release implements conn. The server closes the connection itself.
func (d *driver) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raw = nil
}

// appendFrame appends one unmasked, final frame of RFC 6455.
func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n <= 125:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}
