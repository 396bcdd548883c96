package client

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"natter/chat"
	"natter/wire"
)

// FuzzScan: what encoding/json calls an object is walked to the same members
// and texts, and nothing panics on the rest.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"op":"sent","ref":"s1","message_id":"123","seq":4,"created_at":"2026-11-22T10:00:00.000Z"}`,
		`{"op":"event","cursor":"AQID","event":{"type":"message","message":{"id":"5","text":"a\"b\\","seq":1}}}`,
		`{ "a" : [1, -2.5e3, {"b":[]}, null, true] , "c":"\ud83d\ude00 \ud83d \u00e9\n" }`,
		`{"a":"\\"}`, `{"a":"\\\""}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[`, ``, `{"a":[}]}`, `{"a":nul}`, `{"":0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal(raw, &want) == nil && want != nil
		got := map[string][]byte{}
		o := openObject(raw)
		for {
			k, v, ok := o.next()
			if !ok {
				break
			}
			got[unquote([]byte(`"`+string(k)+`"`))] = v
			_ = elements(v, func([]byte) bool { return true })
			_ = unquote(v)
			_ = number(v)
		}
		if !valid || deep(raw) {
			return // it may be lenient, it may not fall over
		}
		if o.err != nil {
			t.Fatalf("%s: %v", raw, o.err)
		}
		if !utf8.Valid(raw) {
			return // keys that are not text may fall together
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d members, want %d", raw, len(got), len(want))
		}
		for k, w := range want {
			g, ok := got[k]
			if !ok {
				t.Fatalf("%s: no member %q", raw, k)
			}
			var text string
			if json.Unmarshal(w, &text) == nil && len(w) > 0 && w[0] == '"' && unquote(g) != text {
				t.Fatalf("%s: %q is %q, want %q", raw, k, unquote(g), text)
			}
		}
	})
}

func deep(raw []byte) bool {
	depth, most := 0, 0
	for _, c := range raw {
		switch c {
		case '{', '[':
			depth++
			most = max(most, depth)
		case '}', ']':
			depth--
		}
	}
	return most > maxDepth
}

// FuzzAppendSend: the frame of any text is read by the server's decoder as that
// text, and said back by unquote.
func FuzzAppendSend(f *testing.F) {
	for _, s := range []string{"", "hello", "a \"b\" \\ \n\t\x00\x1f\x7f", "안녕 👋 \u2028", "\xff\xfe", "</script>"} {
		f.Add(s, uint64(0))
	}
	f.Fuzz(func(t *testing.T, text string, reply uint64) {
		m := Outgoing{Room: "r1", ClientID: NewKey(), Text: text, ReplyTo: chat.Seq(reply)}
		raw := appendSend(nil, 7, &m)
		got, ref, err := wire.DecodeClient(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		want := strings.ToValidUTF8(text, "\ufffd")
		if s := got.(*wire.Send); ref != "s7" || s.Text != want || s.RoomID != "r1" || s.ClientID != m.ClientID.String() || s.ReplyTo != reply {
			t.Fatalf("%s is read as %+v", raw, s)
		}
		if unquote(appendQuoted(nil, text)) != want {
			t.Fatalf("%q is unquoted as %q", text, unquote(appendQuoted(nil, text)))
		}
	})
}
