package edge

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// conn is one WebSocket as a session needs it. It has two drivers: lean, and
// portable, which is contrib/websocket.
type conn interface {
	// ReadFrame reads the next text, waiting at most until the deadline. The
	// slice is the caller's until the next call. One reader at a time, not always
	// the same goroutine. Its errors are the err… of this file, or the network's;
	// after errAtRest it may be called again, after any other not.
	ReadFrame(deadline time.Time) ([]byte, error)
	// WriteFrames writes whole frames, as appendFrame makes them, at once. One
	// writer at a time.
	WriteFrames(frames []byte, within time.Duration) error
	// Interrupt makes ReadFrame return now and for ever, and gives writing no
	// more than a farewell. Any goroutine may call it at any time.
	Interrupt()
	// Release closes the connection and is its last call: nobody touches it
	// afterwards. It may wait for a farewell.
	Release()
}

var (
	errBinary      = errors.New("a binary frame")
	errTooLarge    = errors.New("a frame over the limit")
	errTooMany     = errors.New("too many pieces of a frame")
	errProtocol    = errors.New("not the WebSocket protocol")
	errClosed      = errors.New("closed by the client")
	errInterrupted = errors.New("interrupted")
	errPings       = errors.New("too many pings")
	errAtRest      = errors.New("nothing has come for a while")
)

// farewell is how long a socket that is being closed may take to hear it.
const farewell = time.Second

// Opcodes of RFC 6455, section 5.2.
const (
	opText  = 1
	opClose = 8
	opPong  = 10
)

// line is what both drivers share: the connection itself, and whether it is to
// be read on. raw is nil after Release.
type line struct {
	mu          sync.Mutex
	raw         net.Conn
	interrupted bool
	broken      bool // a write failed: nothing more arrives
}

// until sets the read deadline unless the reader is to stop.
func (l *line) until(deadline time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.interrupted && l.raw.SetReadDeadline(deadline) == nil
}

func (l *line) isInterrupted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.interrupted
}

// WriteFrames implements conn.
func (l *line) WriteFrames(frames []byte, within time.Duration) error {
	l.mu.Lock()
	raw := l.raw
	if l.interrupted {
		within = min(within, farewell)
	}
	l.mu.Unlock()
	if raw == nil {
		return net.ErrClosed
	}
	err := raw.SetWriteDeadline(time.Now().Add(within))
	if err == nil {
		_, err = raw.Write(frames)
	}
	if err != nil {
		l.mu.Lock()
		l.broken = true
		l.mu.Unlock()
	}
	return err
}

// Interrupt implements conn.
func (l *line) Interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interrupted = true
	if l.raw != nil {
		_ = l.raw.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
		_ = l.raw.SetWriteDeadline(time.Now().Add(farewell))
	}
}

// release takes the connection out; whole tells whether all writes arrived at
// the system.
func (l *line) release() (raw net.Conn, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	raw, l.raw = l.raw, nil
	return raw, !l.broken
}

// hangUp closes raw so that the client can hear what was written last: closing
// with bytes unread resets the connection, and a reset overtakes a close frame.
func hangUp(raw net.Conn) {
	half, ok := raw.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil && raw.SetReadDeadline(time.Now().Add(farewell)) == nil {
		in := inputs.Get().(*input)
		for left := lingerBytes; left > 0; {
			n, err := raw.Read(in.buf[:])
			if left -= n; err != nil {
				break
			}
		}
		inputs.Put(in)
	}
	_ = raw.Close() // whatever it says, it is gone
}

// cutOff closes raw of a client that doesn't take what is written: what the
// system still holds for it, megabytes of a stream that ends in the middle of a
// frame, goes at once. Else the system would go on feeding a slow reader for
// minutes, and nobody tells it to come back.
func cutOff(raw net.Conn) {
	if secure, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = secure.NetConn() // a farewell of TLS would wait in the same line
	}
	if tcp, ok := raw.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // fails only on a closed connection
	}
	_ = raw.Close() // whatever it says, it is gone
}

// lingerBytes is how much a socket that is being closed may still send.
const lingerBytes = 256 << 10

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
