package node

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"path/filepath"
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

// FuzzRefill: whatever another node asks for, or a mark says, is streams of natter's or
// is refused.
func FuzzRefill(f *testing.F) {
	f.Add([]byte(`{"streams":["LOG-0","RECORDS"]}`))
	f.Add([]byte(`{"streams":["../x"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := parseRefill(b)
		if err != nil {
			return
		}
		for _, name := range o.Streams {
			if name == "" || filepath.Base(name) != name || name == ".." {
				t.Errorf("%q names %q", b, name)
			}
		}
	})
}

// FuzzGroups: whatever is kept of the Raft groups, their directories lie where groups'
// directories do.
func FuzzGroups(f *testing.F) {
	f.Add([]byte(`{"LOG-0":"S-R3F-abc","LOG-1":"../x"}`))
	f.Add([]byte(`{"LOG-0":"."}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, group := range parseGroups(b) {
			if path := filepath.Join("a", group); filepath.Dir(path) != "a" || path == "a" {
				t.Errorf("%q names %q", b, group)
			}
		}
	})
}

// FuzzSnapshot: a snapshot that is damaged itself is read, or refused.
func FuzzSnapshot(f *testing.F) {
	state := append([]byte{42, 1}, 3, 200, 1, 1, 5, 0, 0)
	f.Add(append(append(make([]byte, 20), state...), make([]byte, 8)...))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		if last, err := parseSnapshot(b); err != nil && last != 0 {
			t.Errorf("%x: %d, %v", b, last, err)
		}
	})
}

func TestSnapshot(t *testing.T) {
	state := binary.AppendUvarint(binary.AppendUvarint([]byte{42, 1}, 3), 1000)
	state = binary.AppendUvarint(binary.AppendUvarint(state, 7), 12345)
	b := append(append(make([]byte, 20), "peers"...), append(state, make([]byte, 10)...)...)
	b[16] = byte(len("peers"))
	if last, err := parseSnapshot(b); err != nil || last != 12345 {
		t.Errorf("%d, %v", last, err)
	}
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
