package node

import (
	"encoding/json"
	"testing"
)

// FuzzIdentity: whatever natter.json says, it is read as something that can be
// written again, or refused.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"partitions":4,"name":"n1","cluster":false,"created":"2026-11-25T08:00:00Z"}`))
	f.Add([]byte(`{"partitions":1e9}`))
	f.Add([]byte(`{"format":1,"partitions":4,"name":"n1","grown":{"cluster_name":"natter","cluster_id":"0123456789abcdef","at":"2026-11-25T08:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		made, err := parseIdentity(b)
		if err != nil {
			return
		}
		written, err := json.Marshal(made)
		if err != nil {
			t.Fatalf("%q was read and can't be written: %v", b, err)
		}
		again, err := parseIdentity(written)
		if again.Created.Equal(made.Created) {
			again.Created = made.Created
		}
		if again.Grown.At.Equal(made.Grown.At) {
			again.Grown.At = made.Grown.At
		}
		if err != nil || again != made {
			t.Fatalf("%q was read as %+v and then as %+v, %v", b, made, again, err)
		}
	})
}

// FuzzWord: what a member says is read as a member's, or not at all.
func FuzzWord(f *testing.F) {
	f.Add([]byte(`{"node":"b","grows":true,"partitions":4,"format":1,"free_bytes":1099511627776}`))
	f.Add([]byte(`{"grows":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := parseWord(b); err == nil && w.Node == "" {
			t.Errorf("%q is the word of nobody", b)
		}
	})
}
