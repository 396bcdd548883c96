package wire

import (
	"bytes"
	"errors"
	"fmt"

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
	head, err := peek(data)
	if err != nil {
		return nil, head.ref, err
	}
	if head.op == "" {
		return nil, head.ref, chat.Invalid("op", "must be given")
	}
	empty, ok := clientFrames[Op(head.op)]
	if !ok {
		return nil, head.ref, chat.Invalid("op", "is none this server knows")
	}
	f = empty()
	if err := unmarshal(data, f); err != nil {
		return nil, head.ref, err
	}
	return f, head.ref, nil
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
type head struct{ op, ref string }

// peek walks over data once: it must be one object, not too deep, whose members
// are not null. It reads op and ref on the way; when it fails half-way, head
// holds what stood before.
func peek(data []byte) (head, error) {
	var h head
	if tooDeep(data) {
		return h, chat.Invalid(deepField(data), fmt.Sprintf("must not nest deeper than %d", MaxDepth))
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
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
		name, err := d.ReadToken()
		if err != nil {
			return h, problemOf(err)
		}
		field := name.String()
		switch kind := d.PeekKind(); {
		case kind == 'n':
			return h, chat.Invalid(field, errNull.Error())
		case kind == '"' && (field == "op" || field == "ref"):
			text, err := d.ReadToken()
			if err != nil {
				return h, problemOf(err)
			}
			if s := text.String(); field == "op" {
				h.op = s
			} else if len(s) <= MaxRefBytes {
				h.ref = s
			} else {
				return h, chat.TooLarge("ref", fmt.Sprintf("must be at most %d bytes", MaxRefBytes), MaxRefBytes)
			}
		default:
			if err := d.SkipValue(); err != nil {
				return h, problemOf(err)
			}
		}
	}
	return h, nil
}

// tooDeep counts brackets outside strings. It runs before the real decoder,
// which recurses, and doesn't care whether the rest is JSON.
func tooDeep(data []byte) bool {
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

// problemOf turns json's error into a refusal: the last name of its pointer is
// the field; the library's text, which quotes the input, is not repeated.
func problemOf(err error) *chat.Problem {
	var own *chat.Problem
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	errors.As(err, &own)
	switch {
	case errors.As(err, &semantic):
		field := fieldOf(semantic.JSONPointer)
		switch {
		case own != nil:
			return &chat.Problem{Kind: own.Kind, Field: field, Detail: own.Detail, Limit: own.Limit}
		case errors.Is(err, json.ErrUnknownName):
			return chat.Invalid(field, "is not a field of this request")
		case errors.Is(err, errNull):
			return chat.Invalid(field, errNull.Error())
		case errors.Is(err, jsontext.ErrDuplicateName):
			return chat.Invalid(field, "must stand only once")
		}
		return chat.Invalid(field, "is of the wrong type")
	case errors.As(err, &syntactic):
		field := fieldOf(syntactic.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return chat.Invalid(field, "must stand only once")
		}
		return chat.Invalid(field, "is not well-formed JSON in UTF-8")
	}
	return chat.Invalid("", "is not well-formed JSON in UTF-8")
}

// fieldOf is the last name in p that isn't a place in an array.
func fieldOf(p jsontext.Pointer) string {
	for p != "" {
		last := p.LastToken()
		if !isIndex(last) {
			return shorten(last)
		}
		p = p.Parent()
	}
	return ""
}

func isIndex(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// shorten keeps a refusal from echoing a long made-up name.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut]
}
