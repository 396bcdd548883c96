package wire_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"natter/chat"
	"natter/wire"
)

// refused are frames a client must not get through, and whose fault it is.
var refused = map[string]struct{ in, field, ref string }{
	"nothing":             {``, "", ""},
	"spaces":              {`  `, "", ""},
	"no JSON":             {`hello`, "", ""},
	"half":                {`{"op":"ping"`, "", ""},
	"half after ref":      {`{"ref":"7","op":"ping",`, "", "7"},
	"an array":            {`[]`, "", ""},
	"a string":            {`"ping"`, "", ""},
	"null":                {`null`, "", ""},
	"a number":            {`1`, "", ""},
	"byte order mark":     {"\ufeff{\"op\":\"ping\"}", "", ""},
	"trailing garbage":    {`{"op":"ping","ref":"7"} x`, "", "7"},
	"two values":          {`{"op":"ping","ref":"7"}{"op":"ping"}`, "", "7"},
	"trailing comma":      {`{"op":"ping",}`, "", ""},
	"comment":             {`{"op":"ping"/*x*/}`, "", ""},
	"single quotes":       {`{'op':'ping'}`, "", ""},
	"NaN":                 {`{"ref":"7","op":"read","room_id":"r","seq":NaN}`, "seq", "7"},
	"no op":               {`{"ref":"7"}`, "op", "7"},
	"unknown op":          {`{"op":"fly","ref":"7"}`, "op", "7"},
	"op of a server":      {`{"op":"welcome","ref":"7"}`, "op", "7"},
	"op is a number":      {`{"op":1,"ref":"7"}`, "op", "7"},
	"op is null":          {`{"ref":"7","op":null}`, "op", "7"},
	"op in capitals":      {`{"OP":"ping","ref":"7"}`, "op", "7"},
	"ref is a number":     {`{"op":"ping","ref":7}`, "ref", ""},
	"ref too long":        {`{"op":"ping","ref":"` + strings.Repeat("x", 65) + `"}`, "ref", ""},
	"unknown field":       {`{"op":"ping","ref":"7","admin":true}`, "admin", "7"},
	"field of another op": {`{"op":"ping","ref":"7","text":"x"}`, "text", "7"},
	"field in capitals":   {`{"op":"read","ref":"7","ROOM_ID":"r","seq":1}`, "ROOM_ID", "7"},
	"__proto__":           {`{"op":"ping","ref":"7","__proto__":{"a":1}}`, "__proto__", "7"},
	"twice":               {`{"op":"ping","ref":"7","ref":"8"}`, "ref", "7"},
	"twice, escaped":      {`{"op":"ping","ref":"7","\u0072ef":"8"}`, "ref", "7"},
	"text is a number":    {`{"op":"send","ref":"7","room_id":"r","text":5}`, "text", "7"},
	"text is an object":   {`{"op":"send","ref":"7","text":{"a":1}}`, "text", "7"},
	"text is null":        {`{"op":"send","ref":"7","text":null}`, "text", "7"},
	"seq is a string":     {`{"op":"read","ref":"7","room_id":"r","seq":"1"}`, "seq", "7"},
	"seq is negative":     {`{"op":"read","ref":"7","room_id":"r","seq":-1}`, "seq", "7"},
	"seq is a fraction":   {`{"op":"read","ref":"7","room_id":"r","seq":1.5}`, "seq", "7"},
	"seq is 1e400":        {`{"op":"read","ref":"7","room_id":"r","seq":1e400}`, "seq", "7"},
	"seq over 64 bits":    {`{"op":"read","ref":"7","room_id":"r","seq":18446744073709551616}`, "seq", "7"},
	"seq is true":         {`{"op":"read","ref":"7","room_id":"r","seq":true}`, "seq", "7"},
	"list is a string":    {`{"op":"watch","ref":"7","user_ids":"u"}`, "user_ids", "7"},
	"null in a list":      {`{"op":"watch","ref":"7","user_ids":["u",null]}`, "user_ids", "7"},
	"number in a list":    {`{"op":"watch","ref":"7","user_ids":["u",1]}`, "user_ids", "7"},
	"invalid UTF-8":       {"{\"op\":\"send\",\"ref\":\"7\",\"text\":\"a\xffb\"}", "text", "7"},
	"overlong UTF-8":      {"{\"op\":\"send\",\"ref\":\"7\",\"text\":\"\xc0\xaf\"}", "text", "7"},
	"surrogate in UTF-8":  {"{\"op\":\"send\",\"ref\":\"7\",\"text\":\"\xed\xa0\x80\"}", "text", "7"},
	"lone surrogate":      {`{"op":"send","ref":"7","text":"\ud83d"}`, "text", "7"},
	"swapped surrogates":  {`{"op":"send","ref":"7","text":"\udc4b\ud83d"}`, "text", "7"},
	"bad escape":          {`{"op":"send","ref":"7","text":"\x41"}`, "text", "7"},
	"raw control":         {"{\"op\":\"send\",\"ref\":\"7\",\"text\":\"a\x00b\"}", "text", "7"},
	"too deep":            {`{"op":"send","ref":"7","text":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, "text", ""},
	"too deep, unclosed":  {strings.Repeat(`{"a":`, 60_000), "a", ""},
	"long unknown name":   {`{"op":"ping","ref":"7","` + strings.Repeat("가", 1000) + `":1}`, strings.Repeat("가", 21), "7"},
}

func TestBadFramesAreRefusedByField(t *testing.T) {
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			f, ref, err := wire.DecodeClient([]byte(c.in))
			var p *chat.Problem
			if !errors.As(err, &p) {
				t.Fatalf("got %+v, %v", f, err)
			}
			if p.Kind != chat.KindInvalid && !(name == "ref too long" && p.Kind == chat.KindTooLarge) {
				t.Errorf("kind %s", p.Kind)
			}
			if p.Field != c.field {
				t.Errorf("blames %q (%s), want %q", p.Field, p.Detail, c.field)
			}
			if ref != c.ref {
				t.Errorf("ref %q, want %q", ref, c.ref)
			}
			if strings.Contains(p.Detail, "json") || strings.Contains(p.Detail, "Go ") {
				t.Errorf("the library shows in %q", p.Detail)
			}
		})
	}
}

func TestOddButValidFramesPass(t *testing.T) {
	for _, in := range []string{
		" \t\r\n{ \"op\" : \"ping\" } \n",
		`{"\u006fp":"p\u0069ng"}`,
		`{"op":"send","room_id":"r","client_id":"c","text":"\ud83d\udc4b \u0000 </script>"}`,
		`{"op":"read","room_id":"r","seq":18446744073709551615}`,
	} {
		if _, _, err := wire.DecodeClient([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestNullIsOnlyForWhatCanBeRemoved(t *testing.T) {
	var c wire.ChangeMe
	if err := wire.Unmarshal([]byte(`{"settings":{"a":null,"b":"1"}}`), &c); err != nil || c.Settings["a"] != nil || *c.Settings["b"] != "1" {
		t.Errorf("got %+v, %v", c, err)
	}
	var p *chat.Problem
	if err := wire.Unmarshal([]byte(`{"name":null}`), &c); !errors.As(err, &p) || p.Field != "name" {
		t.Errorf("name null: %v", err)
	}
}

func FuzzDecodeClient(f *testing.F) {
	for _, frame := range frames {
		f.Add(wire.Encode(frame))
	}
	for _, c := range refused {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, ref, err := wire.DecodeClient(in)
		if !utf8.ValidString(ref) || len(ref) > wire.MaxRefBytes {
			t.Fatalf("ref %q", ref)
		}
		if err != nil {
			var p *chat.Problem
			if !errors.As(err, &p) {
				t.Fatalf("not a problem: %v", err)
			}
			if !utf8.ValidString(p.Field) || len(p.Field) > 64 {
				t.Fatalf("field %q", p.Field)
			}
			wire.Encode(&wire.Error{Ref: ref, Problem: *wire.NewProblem(p, noon.Time(), "")})
			return
		}
		// What was read, written and read again is the same.
		again, _, err := wire.DecodeClient(wire.Encode(frame))
		if err != nil {
			t.Fatalf("%s: reads as %+v, which doesn't read back: %v", in, frame, err)
		}
		if a, b := wire.Encode(frame), wire.Encode(again); string(a) != string(b) {
			t.Fatalf("%s is not %s", a, b)
		}
	})
}

func FuzzDecodeServer(f *testing.F) {
	for _, frame := range frames {
		f.Add(wire.Encode(frame))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := wire.DecodeServer(in)
		if err != nil || frame == nil {
			return
		}
		wire.Encode(frame) // whatever was read can be written
	})
}
