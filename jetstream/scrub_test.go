package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

func unpaced(int) error { return nil }

// scrubbed is a cluster with one stream, and a store that compares its replicas.
type scrubbed struct {
	t    *testing.T
	dir  string
	nats *natstest.Cluster
	s    *Store
	ctx  context.Context
	held int // entries of the stream
}

func newScrubbed(t *testing.T) *scrubbed {
	t.Helper()
	c := &scrubbed{t: t, dir: t.TempDir()}
	c.nats = natstest.StartCluster(t, c.dir, true)
	nc, err := c.nats.Nodes[0].Connect("scrub")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c.s = &Store{log: slog.New(slog.DiscardHandler), metrics: newMetrics(nil)}
	if c.s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	c.ctx = ctx
	c.eventually("create", func() error {
		_, err := c.s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
		return err
	})
	return c
}

func (c *scrubbed) eventually(what string, try func() error) {
	c.t.Helper()
	var before error
	for {
		err := try()
		if err == nil {
			return
		}
		if wait(c.ctx, 50*time.Millisecond) != nil {
			c.t.Fatalf("%s: %v; the time before: %v", what, err, before)
		}
		before = err
	}
}

// publish adds entries that no other has the text of.
func (c *scrubbed) publish(n int) {
	c.t.Helper()
	for range n {
		c.held++
		c.eventually("publish", func() error {
			_, err := c.s.js.Publish(c.ctx, "s", fmt.Appendf(nil, "entry %03d %s", c.held, strings.Repeat("x", 100)))
			return err
		})
	}
}

// compare is Store.compare as soon as the stream is whole.
func (c *scrubbed) compare() (wrong wrongs) {
	c.t.Helper()
	c.eventually("compare", func() (err error) {
		wrong, err = c.s.compare(c.ctx, "S", unpaced)
		return err
	})
	return wrong
}

// change has the one block of a node's replica changed while the node is down.
func (c *scrubbed) change(i int, change func(block []byte) []byte) {
	c.t.Helper()
	blocks, err := filepath.Glob(filepath.Join(streamsOf(filepath.Join(c.dir, c.nats.Name(i)), "$G"), "S", "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		c.t.Fatalf("blocks %v: %v", blocks, err)
	}
	block, err := os.ReadFile(blocks[0])
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(blocks[0], change(block), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// TestScrubSeesDamageAndItIsFilled plants damage in the store of a stopped node, has the
// other replicas tell what is wrong with it, and has them fill it.
func TestScrubSeesDamageAndItIsFilled(t *testing.T) {
	const entries, marked = 40, 7
	for name, damage := range map[string]struct {
		change func(block []byte) []byte
		wrong  []uint64
	}{
		"flip": {func(block []byte) []byte {
			block[bytes.Index(block, fmt.Appendf(nil, "entry %03d", marked))] ^= 1
			return block
		}, []uint64{marked}},
		"truncation": {func(block []byte) []byte {
			return block[:bytes.Index(block, fmt.Appendf(nil, "entry %03d", entries-3))]
		}, []uint64{entries - 3, entries - 2, entries - 1, entries}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newScrubbed(t)
			c.publish(entries)
			if wrong := c.compare(); len(wrong) != 0 {
				t.Fatalf("of a stream that nothing happened to: %v", wrong)
			}
			c.nats.Nodes[2].Stop()
			if _, err := c.s.compare(c.ctx, "S", unpaced); !errors.Is(err, errNotWhole) {
				// The leader takes a moment to see it.
				c.eventually("a stream without a node", func() error {
					if _, err := c.s.compare(c.ctx, "S", unpaced); !errors.Is(err, errNotWhole) {
						return fmt.Errorf("it is compared: %w", err)
					}
					return nil
				})
			}
			c.change(2, damage.change)
			c.nats.Start(2)
			wrong := c.compare()
			if got := slices.Sorted(maps.Keys(wrong[c.nats.Name(2)])); len(wrong) != 1 || !slices.Equal(got, damage.wrong) {
				t.Errorf("wrong is %v, want %v on %s", wrong, damage.wrong, c.nats.Name(2))
			}
			c.nats.Nodes[2].Stop()
			store, aside := filepath.Join(c.dir, c.nats.Name(2)), filepath.Join(c.dir, "aside")
			if err := SetAside(store, "$G", "S", aside); err != nil {
				t.Fatal(err)
			}
			c.publish(3)
			c.nats.Start(2)
			if wrong := c.compare(); len(wrong) != 0 {
				t.Errorf("filled, it is still wrong: %v", wrong)
			}
			if n := len(c.entries(2)); n != c.held {
				t.Errorf("%d entries, want %d", n, c.held)
			}
			if _, err := os.Stat(filepath.Join(aside, "S")); err != nil {
				t.Error(err)
			}
		})
	}
}

func (c *scrubbed) entries(node int) (found map[uint64]replicated) {
	c.t.Helper()
	c.eventually("read", func() error {
		all, err := c.s.entriesOn(c.ctx, "S", 1, uint64(c.held), unpaced, c.nats.Name(node))
		found = all[c.nats.Name(node)]
		return err
	})
	return found
}

// TestNobodyLeadsWithAReplicaThatIsEmpty: all nodes start at once, one of them without
// its replica, and what is read afterwards is whole, whoever leads.
func TestNobodyLeadsWithAReplicaThatIsEmpty(t *testing.T) {
	c := newScrubbed(t)
	c.publish(20)
	for i := range c.nats.Nodes {
		c.nats.Nodes[i].Stop()
	}
	if err := SetAside(filepath.Join(c.dir, c.nats.Name(0)), "$G", "S", filepath.Join(c.dir, "aside")); err != nil {
		t.Fatal(err)
	}
	for i := range c.nats.Nodes {
		c.nats.Start(i)
	}
	nc, err := c.nats.Nodes[1].Connect("again")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if c.s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	c.publish(1)
	if wrong := c.compare(); len(wrong) != 0 {
		t.Errorf("wrong is %v", wrong)
	}
	for i := range c.nats.Nodes {
		if n := len(c.entries(i)); n != c.held {
			t.Errorf("%s has %d entries, want %d", c.nats.Name(i), n, c.held)
		}
	}
}

func TestJudge(t *testing.T) {
	now := time.Now()
	x, y := replicated{seq: 1, at: now, sum: []byte("x")}, replicated{seq: 1, at: now, sum: []byte("y")}
	old := replicated{seq: 1, at: now.Add(-95 * time.Minute), sum: []byte("x")}
	none := replicated{}
	c := &compared{expires: 100 * time.Minute}
	for name, k := range map[string]struct {
		a, b, c replicated
		wrong   []string
	}{
		"all equal":                 {x, x, x, nil},
		"one lacks it":              {x, none, x, []string{"b"}},
		"one has another":           {y, x, x, []string{"a"}},
		"one hasn't deleted it yet": {none, none, x, nil},
		"one has expired it":        {old, old, none, nil},
		"an old one is another":     {old, old, y, []string{"c"}},
		"no majority":               {x, y, none, []string{""}},
	} {
		found := map[string]map[uint64]replicated{"a": {}, "b": {}, "c": {}}
		for node, e := range map[string]replicated{"a": k.a, "b": k.b, "c": k.c} {
			if e.sum != nil {
				found[node][1] = e
			}
		}
		if wrong := slices.Sorted(maps.Keys(c.judge(found))); !slices.Equal(wrong, k.wrong) {
			t.Errorf("%s: wrong are %q, want %q", name, wrong, k.wrong)
		}
	}
}
