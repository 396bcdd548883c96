package wire

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"natter/chat"
)

// Marshal is v in JSON. It panics if v can't be: every type of this package
// can, and what a person wrote has been checked to be UTF-8.
func Marshal(v any) []byte { return Append(nil, v) }

// Append appends v in JSON to dst; see Marshal.
func Append(dst []byte, v any) []byte {
	b := bytes.NewBuffer(dst)
	if err := json.MarshalWrite(b, v, options); err != nil {
		panic("wire: a value that is no JSON: " + err.Error())
	}
	return b.Bytes()
}

// options: invalid UTF-8 that got into a store some other way becomes U+FFFD
// instead of silencing a queue for ever.
var options = json.JoinOptions(jsontext.AllowInvalidUTF8(true), json.Deterministic(true))

// Encode is f with its op, as one text frame.
func Encode(f Frame) []byte {
	f.stamp()
	return Marshal(f)
}

// AppendEvent appends the frame of one event. event is its JSON, encoded once
// and shared by everybody it goes to; it is copied. cursor must be in the form
// chat.Cursor gives it, which needs no quoting.
func AppendEvent(dst []byte, cursor string, event []byte) []byte {
	dst = append(dst, `{"op":"event","cursor":"`...)
	dst = append(dst, cursor...)
	dst = append(dst, `","event":`...)
	dst = append(dst, event...)
	return append(dst, '}')
}

// Batch gathers events into one frame. The zero Batch is empty.
//
//	{"op":"events","events":[{"cursor":"…","event":{…}},…]}
type Batch struct {
	buf   []byte
	count int
}

const (
	batchHead = `{"op":"events","events":[`
	batchTail = `]}`
)

// Add adds an event; see AppendEvent for what it takes.
func (b *Batch) Add(cursor []byte, event []byte) {
	if b.count == 0 {
		b.buf = append(b.buf[:0], batchHead...)
	} else {
		b.buf = append(b.buf, ',')
	}
	b.buf = append(b.buf, `{"cursor":"`...)
	b.buf = append(b.buf, cursor...)
	b.buf = append(b.buf, `","event":`...)
	b.buf = append(b.buf, event...)
	b.buf = append(b.buf, '}')
	b.count++
}

// Len is how many events are in it.
func (b *Batch) Len() int { return b.count }

// Size is how many bytes its frame has.
func (b *Batch) Size() int { return len(b.buf) + len(batchTail) }

// AppendTo appends the frame to dst and empties b, which keeps its buffer. One
// event goes as an `event` frame, several as `events`; without any, nothing is
// appended.
func (b *Batch) AppendTo(dst []byte) []byte {
	switch b.count {
	case 0:
	case 1:
		dst = append(dst, `{"op":"event",`...)
		dst = append(dst, b.buf[len(batchHead)+1:]...)
	default:
		dst = append(dst, b.buf...)
		dst = append(dst, batchTail...)
	}
	b.buf, b.count = b.buf[:0], 0
	return dst
}

// AppendSent appends the answer to a send.
func AppendSent(dst []byte, ref string, id chat.MessageID, seq chat.Seq, at chat.Millis) []byte {
	dst = append(dst, `{"op":"sent",`...)
	if ref != "" {
		dst = append(dst, `"ref":`...)
		dst, _ = jsontext.AppendQuote(dst, ref)
		dst = append(dst, ',')
	}
	dst = append(dst, `"message_id":"`...)
	dst = strconv.AppendUint(dst, uint64(id), 10)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, uint64(seq), 10)
	dst = append(dst, `,"created_at":"`...)
	dst = at.Append(dst)
	return append(dst, `"}`...)
}

// OpOf is the op of f's type.
func OpOf(f Frame) Op { return f.stamp() }
