//go:build linux

package gauntlet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/internal/harness/process"
)

// TestPlantedReplicaDifferences: equal stores are found equal, and each difference
// that is planted in one of three is found.
func TestPlantedReplicaDifferences(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	original := filepath.Join(t.TempDir(), "store")
	s, err := openStore(original)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HISTORY-0", "LOG-0"} {
		if _, err := s.js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, AllowDirect: true}); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if _, err := s.js.PublishAsync(fmt.Sprintf("%s.room%d", name, i%7), fmt.Appendf(nil, "entry %06d of %s", i, name)); err != nil {
				t.Fatal(err)
			}
		}
		<-s.js.PublishAsyncComplete()
	}
	s.close()

	stream := func(s *store, name string) jetstream.Stream {
		t.Helper()
		found, err := s.js.Stream(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	tests := []struct {
		name  string
		plant func(t *testing.T, s *store) // in an open store
		flip  func(t *testing.T, dir string)
		want  string // in the first difference; "": none
	}{
		{name: "nothing"},
		{name: "an entry is gone", plant: func(t *testing.T, s *store) {
			if err := stream(s, "HISTORY-0").DeleteMsg(ctx, 500); err != nil {
				t.Fatal(err)
			}
		}, want: "999 entries"},
		{name: "the end is gone, and something else is there", plant: func(t *testing.T, s *store) {
			h := stream(s, "HISTORY-0")
			if err := h.DeleteMsg(ctx, 1000); err != nil {
				t.Fatal(err)
			}
			if _, err := s.js.Publish(ctx, "HISTORY-0.room1", []byte("another")); err != nil {
				t.Fatal(err)
			}
		}, want: "1000 entries 1–1001"},
		{name: "the end is gone", plant: func(t *testing.T, s *store) {
			l := stream(s, "LOG-0")
			if err := l.Purge(ctx, jetstream.WithPurgeSequence(1001)); err != nil {
				t.Fatal(err)
			}
		}, want: "LOG-0 on a and c: 1000 entries"},
		{name: "a stream is gone", plant: func(t *testing.T, s *store) {
			if err := s.js.DeleteStream(ctx, "LOG-0"); err != nil {
				t.Fatal(err)
			}
		}, want: "only one has it"},
		{name: "a byte is another one", flip: func(t *testing.T, dir string) { flip(t, dir, "entry 000300 of HISTORY-0") }, want: "0 and 1 entries can't be read"},
		{name: "a block is cut short", flip: func(t *testing.T, dir string) { cut(t, dir, "LOG-0") }, want: "LOG-0 on a and c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &cluster{}
			dir := t.TempDir()
			for _, name := range []string{"a", "b", "c"} {
				n := &node{name: name, opts: process.Options{Data: filepath.Join(dir, name)}}
				if err := os.CopyFS(filepath.Join(n.opts.Data, "jetstream"), os.DirFS(original)); err != nil {
					t.Fatal(err)
				}
				c.nodes = append(c.nodes, n)
			}
			last := filepath.Join(c.nodes[2].opts.Data, "jetstream")
			if tt.plant != nil {
				s, err := openStore(last)
				if err != nil {
					t.Fatal(err)
				}
				tt.plant(t, s)
				s.close()
			}
			if tt.flip != nil {
				tt.flip(t, last)
			}
			r, err := compareStores(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.want == "" && (!r.OK() || r.Streams != 2 || r.Messages != 2000):
				t.Errorf("%s", r)
			case tt.want != "" && (r.OK() || !strings.Contains(r.Differ[0], tt.want)):
				t.Errorf("got %s, want %q in it", r, tt.want)
			}
		})
	}
}

// flip changes a letter of text in the store's block files.
func flip(t *testing.T, dir, text string) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", storeAccount, "streams", "*", "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range blocks {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(raw, []byte(text)); i >= 0 {
			raw[i] ^= 1
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no block holds %q", text)
}

// cut takes the second half of a stream's first block away.
func cut(t *testing.T, dir, stream string) {
	t.Helper()
	path := filepath.Join(dir, "jetstream", storeAccount, "streams", stream, "msgs", "1.blk")
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCopiesThatNeverHadAnything: a restored one begins elsewhere than one that was made,
// and lacks nothing; one that had something differs from both.
func TestCopiesThatNeverHadAnything(t *testing.T) {
	made, restored := newDigest(&jetstream.StreamState{}), newDigest(&jetstream.StreamState{FirstSeq: 1})
	if d := difference(made, restored); d != "" {
		t.Errorf("they differ in %s", d)
	}
	if d := difference(restored, newDigest(&jetstream.StreamState{FirstSeq: 3, LastSeq: 2})); d == "" {
		t.Error("one that had two entries is the same")
	}
}
