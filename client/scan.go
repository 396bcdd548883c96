package client

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A device that receives thousands of frames a second needs a few fields of
// each: where it belongs, what place it has. So frames are scanned where they
// lie and a value is decoded only when it is asked for. The scanner trusts
// nothing: a frame that isn't JSON ends in errFrame, never in a panic, and
// FuzzScan holds it to encoding/json's opinion.

var errFrame = errors.New("client: the server sent a frame that is not a JSON object")

// maxDepth bounds the nesting a frame may have.
const maxDepth = 32

// object walks the members of one JSON object.
type object struct {
	rest []byte
	open bool
	err  error
}

// openObject begins at raw, which must be one object.
func openObject(raw []byte) object {
	raw = space(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return object{err: errFrame}
	}
	return object{rest: raw[1:]}
}

// next is the next member: its key without quotes and escapes as they stand,
// and its value as it stands. It ends with ok == false; then o.err tells
// whether the object was well formed.
func (o *object) next() (key, value []byte, ok bool) {
	if o.err != nil {
		return nil, nil, false
	}
	rest := space(o.rest)
	if len(rest) > 0 && rest[0] == '}' {
		return nil, nil, false
	}
	if o.open {
		if len(rest) == 0 || rest[0] != ',' {
			return o.fail()
		}
		rest = space(rest[1:])
	}
	o.open = true
	n := skipString(rest)
	if n < 0 {
		return o.fail()
	}
	key, rest = rest[1:n-1], space(rest[n:])
	if len(rest) == 0 || rest[0] != ':' {
		return o.fail()
	}
	rest = space(rest[1:])
	n = skip(rest, 0)
	if n < 0 {
		return o.fail()
	}
	o.rest = rest[n:]
	return key, rest[:n], true
}

func (o *object) fail() ([]byte, []byte, bool) {
	o.err = errFrame
	return nil, nil, false
}

// elements calls each for the elements of a JSON array, until it returns false.
func elements(raw []byte, each func(value []byte) bool) error {
	raw = space(raw)
	if len(raw) == 0 || raw[0] != '[' {
		return errFrame
	}
	rest := space(raw[1:])
	if len(rest) > 0 && rest[0] == ']' {
		return nil
	}
	for {
		n := skip(rest, 0)
		if n < 0 {
			return errFrame
		}
		if !each(rest[:n]) {
			return nil
		}
		rest = space(rest[n:])
		switch {
		case len(rest) > 0 && rest[0] == ',':
			rest = space(rest[1:])
		case len(rest) > 0 && rest[0] == ']':
			return nil
		default:
			return errFrame
		}
	}
}

func space(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// skip is the length of the value b begins with, -1 if it is none.
func skip(b []byte, depth int) int {
	if len(b) == 0 || depth > maxDepth {
		return -1
	}
	switch b[0] {
	case '"':
		return skipString(b)
	case '{', '[':
		return skipNested(b)
	}
	n := 0
	for n < len(b) && b[n] != ',' && b[n] != '}' && b[n] != ']' && b[n] > ' ' {
		n++
	}
	switch string(b[:n]) {
	case "true", "false", "null":
		return n
	}
	if _, err := strconv.ParseFloat(string(b[:n]), 64); err != nil || n == 0 || b[0] != '-' && (b[0] < '0' || b[0] > '9') {
		return -1
	}
	return n
}

// skipNested finds the end of an object or array by its brackets. What is in
// between is looked at when it is walked.
func skipNested(b []byte) int {
	var stack [maxDepth]byte
	depth := 0
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '"':
			n := skipString(b[i:])
			if n < 0 {
				return -1
			}
			i += n
			continue
		case '{', '[':
			if depth == maxDepth {
				return -1
			}
			stack[depth] = c
			depth++
		case '}', ']':
			depth--
			if stack[depth] != c-2 { // '{' and '}', '[' and ']' are 2 apart
				return -1
			}
			if depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// skipString is the length of the string b begins with, with its quotes.
func skipString(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for i := 1; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		slashes := 0
		for j := i - 2; b[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// plain is the inside of a string value as it stands; nil for anything else.
// Use it for ids, cursors and names of the protocol, which have no escapes.
func plain(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	return value[1 : len(value)-1]
}

// number is a value that is a whole number, 0 for anything else.
func number(value []byte) uint64 {
	var n uint64
	for _, c := range value {
		if c < '0' || c > '9' || n > 1<<60 {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// unquote is a string value's text.
func unquote(value []byte) string {
	in := plain(value)
	if bytes.IndexByte(in, '\\') < 0 {
		return string(in)
	}
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		if in[0] != '\\' || len(in) < 2 {
			out, in = append(out, in[0]), in[1:]
			continue
		}
		c := in[1]
		in = in[2:]
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(in)
			in = in[min(4, len(in)):]
			if utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if len(in) >= 6 && in[0] == '\\' && in[1] == 'u' {
					low = hex4(in[2:])
				}
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					r, in = both, in[6:]
				} else {
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func hex4(b []byte) rune {
	if len(b) < 4 {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
