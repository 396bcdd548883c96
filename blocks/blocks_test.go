package blocks

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/internal/natstest"
)

const held = 50

// written has a server write a file: entries with and without headers, and some that
// are deleted.
func written(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	s := natstest.Start(t, dir, true)
	nc, err := s.Connect("blocks")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S-1", Subjects: []string{"s.*"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range held {
		m := nats.NewMsg(fmt.Sprintf("s.%d", i%7))
		m.Data = []byte(strings.Repeat("x", i))
		if i%3 == 0 {
			m.Header.Set("Some", "header")
		}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, seq := range []uint64{7, 8, 30} {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.SecureDeleteMsg(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	all, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S-1", "msgs", "1.blk"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	b, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCheck(t *testing.T) {
	file := written(t)
	if last, right := Check("S-1", 1, file); !right || last != held {
		t.Errorf("as it was written: up to %d, right %v; want %d", last, right, held)
	}
	if _, right := Check("S-2", 1, file); right {
		t.Error("it passes for another stream's")
	}
	if _, right := Check("S-1", 2, file); right {
		t.Error("it passes for another of the stream's files")
	}
	if last, right := Check("S-1", 1, nil); !right || last != 0 {
		t.Errorf("an empty file: %d, %v", last, right)
	}
	for range 500 {
		i := rand.IntN(len(file))
		damaged := append([]byte(nil), file...)
		damaged[i] ^= 1 << rand.IntN(8)
		if last, right := Check("S-1", 1, damaged); right || last >= held+1 {
			// The lengths of an entry's subject and headers are what no sum is of.
			if !lengths(file, i) {
				t.Errorf("a bit of byte %d flipped: up to %d, right %v", i, last, right)
			}
		}
		if last, right := Check("S-1", 1, file[:i]); right != boundary(file, i) || last > held {
			t.Errorf("cut at byte %d: up to %d, right %v", i, last, right)
		}
	}
}

// boundary tells whether a record ends before byte at.
func boundary(file []byte, at int) bool {
	for from := 0; from <= at; {
		if from == at {
			return true
		}
		r, ok := first(file[from:])
		if !ok {
			return false
		}
		from += len(r)
	}
	return false
}

// lengths tells whether byte at is of the length of a subject or of headers.
func lengths(file []byte, at int) bool {
	for from := 0; from < len(file); {
		r, ok := first(file[from:])
		if !ok {
			return false
		}
		if at < from+len(r) {
			return at >= from+20 && at < from+22 || at >= from+head+r.subject() && at < from+r.beforeData()
		}
		from += len(r)
	}
	return false
}

func FuzzCheck(f *testing.F) {
	f.Add(written(f))
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, file []byte) {
		last, right := Check("S-1", 1, file)
		if right && len(file) > 0 && len(file) < head+sumBytes {
			t.Errorf("%x is right, up to %d", file, last)
		}
	})
}
