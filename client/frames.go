package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"

	"natter/chat"
	"natter/wire"
)

// NewKey is a client_id of now.
func NewKey() chat.ClientID {
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails
	return chat.NewClientID(time.Now(), random)
}

// The refs of sends are s and a number, those of other requests a and a number.
func askRef(n uint64) string { return "a" + strconv.FormatUint(n, 10) }

// sendOverhead is about what a send frame has beside its text.
const sendOverhead = 192

// appendSend appends the frame of m, as wire.Encode of a wire.Send would make
// it. Ids and keys need no quoting.
func appendSend(b []byte, ref uint64, m *Outgoing) []byte {
	b = append(slices.Grow(b, len(m.Text)+sendOverhead), `{"op":"send","ref":"s`...)
	b = strconv.AppendUint(b, ref, 10)
	b = append(b, `","room_id":"`...)
	b = append(b, m.Room...)
	b = append(b, `","client_id":"`...)
	b = append(b, m.ClientID.String()...)
	b = append(b, `","text":`...)
	b = appendQuoted(b, m.Text)
	if m.ReplyTo > 0 {
		b = append(b, `,"reply_to":`...)
		b = strconv.AppendUint(b, uint64(m.ReplyTo), 10)
	}
	return append(b, '}')
}

// appendQuoted appends s as a JSON string; what isn't UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = slices.Grow(b, len(s)+2)
	b = append(b, '"')
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		} else {
			b = append(b, '\\', c)
		}
	}
	return append(append(b, s[from:]...), '"')
}

// reader is the receiving side of one connection; run's goroutine owns it.
type reader struct {
	d     *Device
	ws    *websocket.Conn
	heard *atomic.Uint64 // counts frames, for the writer to see that the server lives
	buf   []byte
	event Event
	end   ending
	going *time.Timer // leaves when a move's moment has come
	goes  time.Time   // that moment
}

// read is the next frame; it is valid until the next read.
func (r *reader) read() ([]byte, error) {
	_, from, err := r.ws.NextReader()
	if err != nil {
		return nil, err
	}
	r.buf = r.buf[:0]
	for {
		if len(r.buf) == cap(r.buf) {
			r.buf = append(r.buf, 0)[:len(r.buf)]
		}
		n, err := from.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if err != nil {
			if errors.Is(err, io.EOF) {
				return r.buf, nil
			}
			return nil, err
		}
	}
}

func (r *reader) loop() ending {
	defer func() {
		if r.going != nil {
			r.going.Stop()
		}
	}()
	for {
		raw, err := r.read()
		if err != nil {
			end := endingOf(err)
			if end.fresh, end.moved = r.end.fresh, r.end.moved; end.moved {
				end.after = time.Until(r.goes) // closed before: or all come at once
			}
			return end
		}
		r.heard.Add(1)
		if err := r.handle(raw); err != nil {
			return ending{err: err, fresh: r.end.fresh}
		}
	}
}

// frame is what of a server's frame its handling needs.
type frame struct {
	op, ref, cursor, event, events []byte
	id, seq, at                    []byte
	problem                        []byte
}

func (f *frame) scan(raw []byte) error {
	o := openObject(raw)
	for {
		key, value, ok := o.next()
		if !ok {
			return o.err
		}
		switch string(key) {
		case "op":
			f.op = plain(value)
		case "ref":
			f.ref = plain(value)
		case "cursor":
			f.cursor = plain(value)
		case "event":
			f.event = value
		case "events":
			f.events = value
		case "message_id":
			f.id = plain(value)
		case "seq":
			f.seq = value
		case "created_at":
			f.at = plain(value)
		case "problem":
			f.problem = value
		}
	}
}

// handle acts on one frame. Its error ends the connection.
func (r *reader) handle(raw []byte) error {
	var f frame
	if err := f.scan(raw); err != nil {
		return err
	}
	switch wire.Op(f.op) {
	case wire.OpEvent:
		if err := r.tell(f.cursor, f.event); err != nil {
			return err
		}
		r.d.moveCursor(f.cursor)
	case wire.OpEvents:
		return r.tellAll(f.events)
	case wire.OpSent:
		r.d.answered(f.ref, Receipt{ID: chat.MessageID(number(f.id)), Seq: chat.Seq(number(f.seq)), At: millis(f.at)}, nil)
	case wire.OpOK:
		r.d.replied(f.ref, nil)
	case wire.OpError:
		var p wire.Problem
		if err := wire.Parse(f.problem, &p); err != nil {
			return fmt.Errorf("client: error frame: %w", err)
		}
		r.d.answered(f.ref, Receipt{}, &p)
		r.d.replied(f.ref, &p)
	case wire.OpSynced:
		r.d.moveCursor(f.cursor)
		r.end.fresh = true
		r.d.enter(Live, nil)
	case wire.OpReset:
		r.d.moveCursor(f.cursor)
		if r.d.opts.Reset != nil {
			r.d.opts.Reset()
		}
	case wire.OpPong:
	default:
		return r.other(raw)
	}
	return nil
}

func (r *reader) tellAll(events []byte) error {
	var failed error
	var cursor []byte
	err := elements(events, func(value []byte) bool {
		var f frame
		if failed = f.scan(value); failed == nil {
			failed = r.tell(f.cursor, f.event)
		}
		if failed == nil {
			cursor = f.cursor
		}
		return failed == nil
	})
	if cursor != nil {
		r.d.moveCursor(cursor)
	}
	if failed != nil {
		return failed
	}
	return err
}

func (r *reader) tell(cursor, event []byte) error {
	if err := r.event.scan(cursor, event); err != nil {
		return err
	}
	if r.d.shown.fresh(&r.event) && r.d.opts.Event != nil {
		r.d.opts.Event(&r.event)
	}
	return nil
}

// other handles the frames that are rare, and those it doesn't know.
func (r *reader) other(raw []byte) error {
	f, err := wire.DecodeServer(raw)
	if err != nil {
		return err
	}
	switch f := f.(type) {
	case nil: // a newer server's news
	case *wire.Move:
		r.d.mu.Lock()
		if len(f.Nodes) > 0 {
			r.d.urls = nil
			for _, n := range f.Nodes {
				r.d.urls = append(r.d.urls, n.URL)
			}
		}
		r.d.mu.Unlock()
		r.end.fresh, r.end.moved = true, true
		if r.going == nil { // until then all goes on here
			wait := time.Duration(mathrand.Int64N(max(f.WithinMS, 1))) * time.Millisecond
			r.goes = time.Now().Add(wait)
			r.going = time.AfterFunc(wait, func() { leave(r.ws) })
		}
	default:
		if r.d.opts.News != nil {
			r.d.opts.News(f)
		}
	}
	return nil
}

func (d *Device) moveCursor(cursor []byte) {
	d.mu.Lock()
	d.cursor = append(d.cursor[:0], cursor...)
	d.mu.Unlock()
}

// replied ends the Do of ref, if it is one.
func (d *Device) replied(ref []byte, refused *wire.Problem) {
	if len(ref) < 2 || ref[0] != 'a' {
		return
	}
	d.mu.Lock()
	answer := d.asks[number(ref[1:])]
	delete(d.asks, number(ref[1:]))
	d.mu.Unlock()
	switch {
	case answer == nil: // nobody waits any more
	case refused != nil:
		answer <- refused
	default:
		answer <- nil
	}
}

func millis(at []byte) chat.Millis {
	t, err := time.Parse(time.RFC3339Nano, string(at))
	if err != nil {
		return 0
	}
	return chat.MillisOf(t)
}
