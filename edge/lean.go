package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// lean is conn over a connection that was taken out of the HTTP server: at rest
// it is this struct and nothing more. gobwas/ws reads headers and checks the
// rules of RFC 6455; the limits are ours.
//
//	socket ──wait, then read──▶ input (4 KB, pooled) ──whole frame──▶ caller
//	                              └─pieces, or more than it holds──▶ message (pooled)
//
// A message that lies whole in the input, as nearly all do, is unmasked and
// given out where it lies.
type lean struct {
	line
	pong func(payload []byte) error

	// The reader's own.
	wait     *waiter // nil: head is read into
	in       *input  // what rest or the given-out text lies in; nil at rest
	rest     []byte  // read and not used yet
	head     []byte
	message  *bytes.Buffer // given out, if not nil
	deadline time.Time     // of this ReadFrame
	worked   bool          // since it was at rest
	mayRest  bool          // this ReadFrame began with nothing
	waits    waiting
	failed   error // of await
	gone     bool  // the other side has
	scratch  [ws.MaxHeaderSize]byte
}

// waiting is how far a ReadFrame has come.
type waiting uint8

const (
	notYet    waiting = iota // no deadline is set
	forRest                  // nothing of a message is here; the deadline is restAfter
	forFrames                // the deadline is ReadFrame's
)

// input is what was read of a socket at once; 4 KB with its length.
type input struct {
	n   int
	buf [4096 - 8]byte
}

var inputs = sync.Pool{New: func() any { return new(input) }}

// messages are buffers of frames; the largest is chat.MaxFrameBytes.
var messages = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func newMessage() *bytes.Buffer {
	b := messages.Get().(*bytes.Buffer)
	b.Reset()
	return b
}

// restAfter is how long a reader that has worked waits on its stack, which has
// grown, before it says that it is at rest: then it may go on on a new one.
const restAfter = time.Second

// headBytes hold a ping; see lean.head.
const headBytes = 64

// newLean takes over raw. early is what was read of it already. pong is called
// by the reader to answer a ping, and keeps the payload; it returns an error to
// end the connection.
func newLean(raw net.Conn, early []byte, pong func(payload []byte) error) *lean {
	d := &lean{line: line{raw: raw}, pong: pong, wait: newWaiter(raw), rest: early}
	if d.wait == nil {
		d.head = make([]byte, headBytes)
	}
	return d
}

// ReadFrame implements conn.
func (d *lean) ReadFrame(deadline time.Time) ([]byte, error) {
	d.giveBack()
	if d.isInterrupted() {
		return nil, errInterrupted
	}
	d.deadline, d.waits, d.mayRest = deadline, notYet, d.worked && len(d.rest) == 0
	text, err := d.next()
	if err == nil {
		d.worked = true
		return text, nil
	}
	return nil, d.readError(err)
}

// readError tells apart why reading ended.
func (d *lean) readError(err error) error {
	var timeout net.Error
	switch {
	case d.isInterrupted():
		return errInterrupted
	case errors.As(err, &timeout) && timeout.Timeout():
		if d.waits == forRest && time.Now().Before(d.deadline) && d.until(d.deadline) {
			d.worked = false
			return errAtRest
		}
	case errors.As(err, &timeout), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF):
		d.gone = true
	}
	return err
}

// Read is for ws.ReadHeader and io.ReadFull: the bytes of the connection.
func (d *lean) Read(p []byte) (int, error) {
	if err := d.fill(); err != nil {
		return 0, err
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// fill makes sure that something is there to use.
func (d *lean) fill() error {
	if len(d.rest) > 0 {
		return nil
	}
	if err := d.failed; err != nil {
		d.failed = nil
		return err
	}
	if err := d.arm(); err != nil {
		return err
	}
	d.giveBackInput()
	return d.read()
}

// read waits for something. It and what it calls is all that stands on the
// stack of a socket at rest.
func (d *lean) read() error {
	if d.wait == nil {
		n, err := d.raw.Read(d.head)
		d.rest = d.head[:n]
		if n > 0 {
			return nil
		}
		return err
	}
	in, err := d.wait.read()
	if err != nil {
		return err
	}
	d.in, d.rest = in, in.buf[:in.n]
	return nil
}

// await is called after errAtRest, on a goroutine that has done nothing yet,
// and before the next ReadFrame: it returns when that needn't wait.
func (d *lean) await() { d.failed = d.read() }

// arm sets the deadline once for each ReadFrame; twice if the first was that of
// resting, and something came.
func (d *lean) arm() error {
	at := d.deadline
	switch {
	case d.waits == forFrames:
		return nil
	case d.waits == notYet && d.mayRest:
		d.waits = forRest
		if rest := time.Now().Add(restAfter); rest.Before(at) {
			at = rest
		}
	default:
		d.waits = forFrames
	}
	if !d.until(at) {
		return errInterrupted
	}
	return nil
}

// giveBack returns what the caller had.
func (d *lean) giveBack() {
	if d.message != nil {
		messages.Put(d.message)
		d.message = nil
	}
	if len(d.rest) == 0 {
		d.giveBackInput()
	}
}

func (d *lean) giveBackInput() {
	d.rest = nil
	if d.in != nil {
		inputs.Put(d.in)
		d.in = nil
	}
}

// Release implements conn.
func (d *lean) Release() {
	d.rest = nil
	d.giveBack()
	raw, whole := d.release()
	switch {
	case raw == nil:
	case whole && !d.gone:
		hangUp(raw)
	case !whole:
		cutOff(raw)
	default:
		_ = raw.Close() // whatever it says, it is gone
	}
}
