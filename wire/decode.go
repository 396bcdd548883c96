package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"natter/chat"
)

// MaxDepth bounds how deep objects and arrays of a request may nest. Nothing we
// know is deeper than 3.
const MaxDepth = 16

// strict is how requests are read: our own rules on top of json's defaults,
// which already refuse duplicate names, invalid UTF-8, lone surrogates, names
// in another case and what follows the value.
var strict = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(refuseNull)),
)

// refuseNull keeps null from passing as an empty string.
func refuseNull(d *jsontext.Decoder, _ *string) error {
	if d.PeekKind() == 'n' {
		return errNull
	}
	return errors.ErrUnsupported // not ours: read it the usual way
}

var errNull = errors.New("must not be null")

// Unmarshal reads one request into into, strictly. Its error is a *chat.Problem
// of KindInvalid that names the field to blame, if one is.
func Unmarshal(data []byte, into any) error {
	if _, err := peek(data); err != nil {
		return err
	}
	return unmarshal(data, into)
}

func unmarshal(data []byte, into any) error {
	if err := json.Unmarshal(data, into, strict); err != nil {
		return problemOf(err)
	}
	return nil
}

// DecodeClient reads a frame of a client. Its error is a *chat.Problem; ref is
// the frame's ref wherever it could be read, for the answer to carry.
func DecodeClient(data []byte) (f Frame, ref string, err error) {
	h, err := peek(data)
	if err != nil {
		return nil, h.ref, err
	}
	if h.whole {
		h.send.Ref = h.ref
		return h.send, h.ref, nil
	}
	if h.op == "" {
		return nil, h.ref, chat.Invalid("op", "must be given")
	}
	empty, ok := clientFrames[Op(h.op)]
	if !ok {
		return nil, h.ref, chat.Invalid("op", "is none this server knows")
	}
	f = empty()
	if err := unmarshal(data, f); err != nil {
		return nil, h.ref, err
	}
	return f, h.ref, nil
}

// DecodeServer reads a frame of a server. Fields it does not know are ignored;
// a frame of an unknown op is nil, nil: a newer server's news.
func DecodeServer(data []byte) (Frame, error) {
	var head struct {
		Op Op `json:"op"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("wire: frame of the server: %w", err)
	}
	empty, ok := serverFrames[head.Op]
	if !ok {
		return nil, nil
	}
	f := empty()
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("wire: frame %s of the server: %w", head.Op, err)
	}
	return f, nil
}

// Parse reads an answer of a server; fields it does not know are ignored.
func Parse(data []byte, into any) error { return json.Unmarshal(data, into) }

// head is what is known of a frame before its type is.
type head struct {
	op, ref string
	// send is the frame itself if it is a send whose op came first, the frame
	// there is most of: it needs no second reading when it is whole.
	send  *Send
	whole bool
}

// walker is a decoder with what it reads from, to be used again.
type walker struct {
	*jsontext.Decoder
	buf bytes.Buffer
}

var walkers = sync.Pool{New: func() any { return &walker{Decoder: new(jsontext.Decoder)} }}

// peek walks over data once: it must be one object, not too deep, whose members
// are not null. It reads op and ref on the way; when it fails half-way, head
// holds what stood before.
func peek(data []byte) (h head, err error) {
	if tooDeep(data) {
		return h, chat.Invalid(deepField(data), fmt.Sprintf("must not nest deeper than %d", MaxDepth))
	}
	d, _ := walkers.Get().(*walker)
	defer walkers.Put(d)
	d.buf = *bytes.NewBuffer(data)
	d.Reset(&d.buf)
	defer func() { d.buf = bytes.Buffer{} }() // data is the caller's
	switch d.PeekKind() {
	case '{':
	case 0: // nothing, or nonsense
		if _, err := d.ReadToken(); err != nil {
			return h, problemOf(err)
		}
	default:
		return h, chat.Invalid("", "must be a JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return h, problemOf(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return h, problemOf(err)
		}
		if err := h.member(d.Decoder, fieldName(name)); err != nil {
			return h, err
		}
	}
	if h.send != nil {
		_, _ = d.ReadToken() // the closing brace
		_, err := d.ReadToken()
		h.whole = err == io.EOF //nolint:errorlint // this one comes bare
	}
	return h, nil
}

// fieldName is what stands between the quotes; without allocating for the names
// of ours.
func fieldName(quoted jsontext.Value) string {
	switch string(quoted) {
	case `"op"`:
		return "op"
	case `"ref"`:
		return "ref"
	case `"room_id"`:
		return "room_id"
	case `"client_id"`:
		return "client_id"
	case `"text"`:
		return "text"
	}
	name, _ := jsontext.AppendUnquote(nil, quoted) // the decoder has checked it
	return string(name)
}

// member reads the value of one member.
func (h *head) member(d *jsontext.Decoder, field string) error {
	kind := d.PeekKind()
	if kind == 'n' {
		return chat.Invalid(field, errNull.Error())
	}
	to := h.target(field)
	if kind != '"' || to == nil {
		if h.send != nil {
			h.send = nil // not a plain one: it is read again
		}
		if err := d.SkipValue(); err != nil {
			return problemOf(err)
		}
		return nil
	}
	quoted, err := d.ReadValue()
	if err != nil {
		return problemOf(err)
	}
	text := unquote(quoted)
	if field == "ref" && len(text) > MaxRefBytes {
		return chat.TooLarge("ref", fmt.Sprintf("must be at most %d bytes", MaxRefBytes), MaxRefBytes)
	}
	*to = text
	if field == "op" && text == string(OpSend) {
		h.send = &Send{Op: OpSend}
	}
	return nil
}

// target is where the text of a field goes; nil for a field to be skipped now.
func (h *head) target(field string) *string {
	switch {
	case field == "op":
		return &h.op
	case field == "ref":
		return &h.ref
	case h.send == nil:
		return nil
	case field == "room_id":
		return &h.send.RoomID
	case field == "client_id":
		return &h.send.ClientID
	case field == "text":
		return &h.send.Text
	}
	return nil
}

// unquote is a JSON string the decoder has checked.
func unquote(quoted jsontext.Value) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return string(text)
}

// tooDeep counts brackets outside strings. It runs before the real decoder,
// which recurses, and doesn't care whether the rest is JSON.
func tooDeep(data []byte) bool {
	if bytes.Count(data, []byte{'{'})+bytes.Count(data, []byte{'['}) <= MaxDepth {
		return false // even if all of them were open at once
	}
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}

// deepField is the name of the outermost member that is too deep.
func deepField(data []byte) string {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	for d.StackDepth() <= MaxDepth {
		if _, err := d.ReadToken(); err != nil {
			return ""
		}
	}
	for token := range d.StackPointer().Tokens() {
		return shorten(token)
	}
	return ""
}
