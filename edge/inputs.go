package edge

import (
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"natter/chat"
	"natter/wire"
)

// body is a request's body. huma fills it through fill; what was wrong with it
// waits in err until the handler's wrapper asks.
type body[T any] struct {
	Value T
	err   error
}

type filler interface{ fill(data []byte) }

func (b *body[T]) fill(data []byte) { b.err = wire.Unmarshal(data, &b.Value) }

func (b *body[T]) problem() error { return b.err }

// Schema is T's.
func (*body[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// fill is how huma decodes: into a body, or into a pointer to one that may be
// absent.
func fill(data []byte, v any) error {
	if f, ok := v.(filler); ok {
		f.fill(data)
		return nil
	}
	if to := reflect.ValueOf(v).Elem(); to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		if f, ok := to.Interface().(filler); ok {
			f.fill(data)
			return nil
		}
	}
	return wire.Unmarshal(data, v)
}

// bodyError is what was wrong with the body of in, if it has one.
func bodyError(in any) error {
	field := reflect.ValueOf(in).Elem().FieldByName("Body")
	if !field.IsValid() {
		return nil
	}
	if field.Kind() != reflect.Pointer {
		field = field.Addr()
	}
	if field.IsNil() {
		return nil
	}
	if b, ok := field.Interface().(interface{ problem() error }); ok {
		return b.problem()
	}
	return nil
}

// number is a whole number in a path or query, not yet read: reading it by
// ourselves keeps the refusal ours. Empty is absent.
type number string

// Schema is an integer's.
func (number) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Type: huma.TypeInteger, Minimum: &zero}
}

// read is the number, or absent if there is none.
func (n number) read(field string, absent, most uint64) (uint64, error) {
	if n == "" {
		return absent, nil
	}
	v, err := strconv.ParseUint(string(n), 10, 64)
	if err != nil || n[0] == '+' {
		return 0, chat.Invalid(field, "must be a whole number")
	}
	if v > most {
		p := chat.Invalid(field, "must be at most "+strconv.FormatUint(most, 10))
		if most <= 1<<53 {
			p.Limit = int64(most)
		}
		return 0, p
	}
	return v, nil
}

// maxSeq is more than any room will hold, and is exact in JavaScript.
const maxSeq = 1 << 53

// seq reads a seq that must be there.
func (n number) seq(field string) (chat.Seq, error) {
	v, err := n.read(field, 0, maxSeq)
	if err == nil && v == 0 {
		err = chat.Invalid(field, "must be a message's seq, counted from 1")
	}
	return chat.Seq(v), err
}

// parseSeq checks a seq of a body or frame.
func parseSeq(field string, v uint64) (chat.Seq, error) {
	if v == 0 || v > maxSeq {
		return 0, chat.Invalid(field, "must be a message's seq, counted from 1")
	}
	return chat.Seq(v), nil
}
