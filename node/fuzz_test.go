package node

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzLease: a stored lease is read as the time that was stored, or refused.
func FuzzLease(f *testing.F) {
	f.Add([]byte(`{"version":1,"until":1795000000123}`))
	f.Add([]byte(`{"version":1,"until":-9223372036854775808}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLease(b)
		if err != nil {
			return
		}
		time.Until(l.Until.Time()) // any time there is
		written, err := json.Marshal(l)
		if err != nil {
			t.Fatalf("%q was read and can't be written: %v", b, err)
		}
		if again, err := parseLease(written); err != nil || again != l {
			t.Fatalf("%q was read as %+v and then as %+v, %v", b, l, again, err)
		}
	})
}

// FuzzIdentity: whatever natter.json says, it is read as something that can be
// written again, or refused.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"partitions":4,"name":"n1","cluster":false,"created":"2026-11-25T08:00:00Z"}`))
	f.Add([]byte(`{"partitions":1e9}`))
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
		if err != nil || again != made {
			t.Fatalf("%q was read as %+v and then as %+v, %v", b, made, again, err)
		}
	})
}
