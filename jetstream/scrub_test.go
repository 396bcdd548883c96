package jetstream

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/internal/natstest"
)

func TestVerdict(t *testing.T) {
	x, y, z := []byte("x"), []byte("y"), []byte("z")
	for name, c := range map[string]struct {
		sums    map[string][]byte
		wrong   []string
		decided bool
	}{
		"all equal":           {map[string][]byte{"a": x, "b": x, "c": x}, nil, true},
		"one has another":     {map[string][]byte{"a": x, "b": y, "c": x}, []string{"b"}, true},
		"one can't read":      {map[string][]byte{"a": x, "b": x, "c": nil}, []string{"c"}, true},
		"one is left of it":   {map[string][]byte{"a": nil, "b": x, "c": nil}, []string{"b"}, true},
		"each another":        {map[string][]byte{"a": x, "b": y, "c": z}, nil, false},
		"two against each":    {map[string][]byte{"a": x, "b": y}, nil, false},
		"two wrong of five":   {map[string][]byte{"a": x, "b": y, "c": x, "d": z, "e": x}, []string{"b", "d"}, true},
		"two pairs and a one": {map[string][]byte{"a": x, "b": y, "c": x, "d": y, "e": z}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			wrong, decided := verdict(c.sums)
			if decided != c.decided || !slices.Equal(wrong, c.wrong) {
				t.Errorf("got %v, %v; want %v, %v", wrong, decided, c.wrong, c.decided)
			}
		})
	}
}

func TestSumCoversEveryPart(t *testing.T) {
	at := time.Unix(1, 2)
	base := sumOf(1, at, "s", nil, []byte("d"))
	if !bytes.Equal(base, sumOf(1, at, "s", nil, []byte("d"))) {
		t.Error("the same entry has two sums")
	}
	for name, other := range map[string][]byte{
		"sequence": sumOf(2, at, "s", nil, []byte("d")),
		"time":     sumOf(1, at.Add(1), "s", nil, []byte("d")),
		"subject":  sumOf(1, at, "sd", nil, nil),
		"headers":  sumOf(1, at, "s", nats.Header{"a": {"b"}}, []byte("d")),
		"data":     sumOf(1, at, "s", nil, []byte("e")),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s has the same sum", name)
		}
	}
}

// TestScrubSeesDamage plants damage in the store of a stopped node and has the other
// replicas tell what is wrong with it.
func TestScrubSeesDamage(t *testing.T) {
	const entries, marked = 40, 7
	for name, damage := range map[string]func(block []byte) []byte{
		"flip": func(block []byte) []byte {
			at := bytes.Index(block, fmt.Appendf(nil, "entry %03d", marked))
			block[at] ^= 1
			return block
		},
		"truncation": func(block []byte) []byte {
			return block[:bytes.Index(block, fmt.Appendf(nil, "entry %03d", entries-3))]
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := natstest.StartCluster(t, dir, true)
			s := &Store{}
			connect := func() {
				nc, err := c.Nodes[0].Connect("scrub")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(nc.Close)
				if s.js, err = jetstream.New(nc); err != nil {
					t.Fatal(err)
				}
			}
			connect()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			eventually := func(what string, try func() error) {
				t.Helper()
				for {
					err := try()
					if err == nil {
						return
					}
					if wait(ctx, 50*time.Millisecond) != nil {
						t.Fatalf("%s: %v", what, err)
					}
				}
			}
			eventually("create", func() error {
				_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
				return err
			})
			for i := range entries {
				eventually("publish", func() error {
					_, err := s.js.Publish(ctx, "s", fmt.Appendf(nil, "entry %03d %s", i+1, strings.Repeat("x", 100)))
					return err
				})
			}
			eventually("replicas", func() error {
				for i := range c.Nodes {
					if sums, err := s.sumsOn(ctx, "S", c.Name(i), 1, entries); err != nil || len(sums) != entries {
						return fmt.Errorf("%s has %d: %w", c.Name(i), len(sums), err)
					}
				}
				return nil
			})
			c.Nodes[2].Stop()
			blocks, err := filepath.Glob(filepath.Join(dir, c.Name(2), "jetstream", "*", "streams", "S", "msgs", "*.blk"))
			if err != nil || len(blocks) != 1 {
				t.Fatalf("blocks %v: %v", blocks, err)
			}
			block, err := os.ReadFile(blocks[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(blocks[0], damage(block), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Start(2)
			all := make([]map[uint64][]byte, 3)
			eventually("read all", func() error {
				for i := range all {
					var err error
					if all[i], err = s.sumsOn(ctx, "S", c.Name(i), 1, entries); err != nil {
						return err
					}
					t.Logf("%s has %d", c.Name(i), len(all[i]))
				}
				return nil
			})
			blamed := 0
			for seq := uint64(1); seq <= entries; seq++ {
				wrong, decided := verdict(map[string][]byte{c.Name(0): all[0][seq], c.Name(1): all[1][seq], c.Name(2): all[2][seq]})
				if !decided || len(wrong) > 0 && !slices.Equal(wrong, []string{c.Name(2)}) {
					t.Errorf("sequence %d: wrong %v, decided %v", seq, wrong, decided)
				}
				blamed += len(wrong)
			}
			if blamed == 0 {
				t.Error("the damage was not seen")
			}
			t.Logf("%d entries are wrong", blamed)
		})
	}
}
