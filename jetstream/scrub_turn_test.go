package jetstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/harness"
)

// order is a node that a scrub asked to have replicas filled; done is to be closed when
// it is back.
type order struct {
	node    string
	streams []string
	done    chan struct{}
}

// TestTheScrubHasDamagedReplicasFilled damages two streams of a node that stopped in
// order, while people talk. Whichever node compares finds what is damaged, and asks for
// that node alone; when it has been filled all is equal. Where the node is started a
// second time for the one, its server may mend the other by itself: then that is compared
// and found equal.
func TestTheScrubHasDamagedReplicasFilled(t *testing.T) {
	orders := make(chan order)
	over := make(chan struct{})
	refill := func(ctx context.Context, node string, streams []string) error {
		o := order{node, streams, make(chan struct{})}
		select {
		case orders <- o:
		case <-over:
			return errors.New("the test is over")
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-o.done:
			return nil
		case <-ctx.Done(): // it is this node that is filled
			return ctx.Err()
		}
	}
	c := openScrubbedThree(t, func(int) ScrubOptions {
		return ScrubOptions{Interval: time.Second, Rate: 1 << 30, Refill: refill}
	})
	t.Cleanup(func() { close(over) })
	w := c.crowd()
	w.more(500)

	victim := rand.IntN(3)
	t.Logf("%s is damaged", c.nats.Name(victim))
	damaged := []string{"LOG-0", "SYNC-1"}
	c.close(victim)
	c.nats.Nodes[victim].Stop()
	for _, name := range damaged {
		flipMiddle(t, filepath.Join(streamsOf(filepath.Join(c.dir, c.nats.Name(victim)), "$G"), name, "msgs", "*.blk"))
	}
	c.nats.Start(victim)
	c.open(victim)
	quiet := time.AfterFunc(time.Minute, w.stop) // where the scrub can't get beside them
	defer quiet.Stop()
	late := time.After(4 * time.Minute)
	look := time.NewTicker(time.Second)
	defer look.Stop()
	var filled time.Time // zero: nothing was yet
	for len(damaged) > 0 {
		var o order
		select {
		case o = <-orders:
		case <-look.C:
			known, err := c.any(0).Scrubbed(t.Context())
			if err != nil || filled.IsZero() {
				continue
			}
			damaged = slices.DeleteFunc(damaged, func(one string) bool {
				equal := known.Compared[one] > chat.MillisOf(filled) && known.damage(one, c.nats.Name(victim)) == nil
				if equal {
					t.Logf("the server has mended %s", one)
				}
				return equal
			})
			continue
		case <-late:
			known, err := c.any(0).Scrubbed(t.Context())
			t.Fatalf("nobody has %v filled; the scrub knows of %+v, %v", damaged, known.Damaged, err)
		}
		if o.node != c.nats.Name(victim) {
			t.Fatalf("%s is to be filled, for %v", o.node, o.streams)
		}
		t.Logf("to be filled: %v", o.streams)
		c.close(victim)
		c.nats.Nodes[victim].Stop()
		for _, name := range o.streams {
			if err := SetAside(filepath.Join(c.dir, o.node), "$G", name, filepath.Join(c.dir, "aside")); err != nil {
				t.Fatal(err)
			}
			damaged = slices.DeleteFunc(damaged, func(one string) bool { return one == name })
		}
		c.nats.Start(victim)
		c.open(victim)
		filled = time.Now()
		close(o.done)
	}
	w.stop() // what they say at full speed leaves the scrub little of the disk
	w.done.Wait()
	allEqual(c, time.Now())
	w.judge()
}

// allEqual waits until every stream was found equal after a time.
func allEqual(c *three, since time.Time) {
	c.t.Helper()
	harness.WaitUpTo(c.t, 3*time.Minute, "all is equal", func() bool {
		s := c.any(0)
		known, err := s.Scrubbed(context.Background())
		return err == nil && len(known.Damaged) == 0 && known.Oldest(s.ScrubbedStreams()) > chat.MillisOf(since)
	})
}

// flipMiddle flips a bit in the middle of the one file that a pattern matches.
func flipMiddle(t *testing.T, pattern string) {
	t.Helper()
	blocks, err := filepath.Glob(pattern)
	if err != nil || len(blocks) != 1 {
		t.Fatalf("%s: %v, %v", pattern, blocks, err)
	}
	block, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	block[len(block)/2] ^= 4
	if err := os.WriteFile(blocks[0], block, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestScrubbed: what the record keeps of what was found.
func TestScrubbed(t *testing.T) {
	k, err := parseScrubbed([]byte(`{"version":1}`))
	if err != nil {
		t.Fatal(err)
	}
	wrong := wrongs{}
	wrong.add("b", 7)
	wrong.add("b", 5)
	k.found("LOG-0", wrong, 100)
	k.found("LOG-0", wrong, 200)
	if len(k.Damaged) != 1 || k.Damaged[0] != (Damage{Stream: "LOG-0", Node: "b", Seq: 5, Since: 100}) {
		t.Errorf("%+v", k.Damaged)
	}
	if k.Well("LOG-0", "b") || !k.Well("LOG-0", "a") || k.Well("LOG-1", "a") {
		t.Error("b's LOG-0 is damaged, a's is not, and nothing is known of LOG-1")
	}
	if of := k.toFill(); len(of) != 1 || !slices.Equal(of["b"], []string{"LOG-0"}) {
		t.Errorf("to fill: %v", of)
	}
	k.Compared["LOG-0"] = 0 // it was filled, and is yet to be compared
	if of := k.toFill(); len(of) != 0 {
		t.Errorf("to fill: %v", of)
	}
	k.Compared["LOG-0"], k.Damaged[0].Fills = 1, scrubFills
	if of := k.toFill(); len(of) != 0 {
		t.Errorf("to fill for the %d. time: %v", scrubFills+1, of)
	}
	nobody := wrongs{}
	nobody.add("", 3)
	k.found("LOG-1", nobody, 300)
	if of := k.toFill(); len(of) != 0 || len(k.Damaged) != 2 {
		t.Errorf("where nobody is right: %v, %+v", of, k.Damaged)
	}
	k.found("LOG-0", nil, 400)
	k.found("LOG-1", nil, 400)
	if len(k.Damaged) != 0 || k.Oldest([]string{"LOG-0", "LOG-1"}) != 400 || k.Oldest([]string{"LOG-0", "LOG-2"}) != 0 {
		t.Errorf("%+v", k)
	}
}

// FuzzScrubbed: whatever the record says, it is read as something that can be worked
// with, or refused.
func FuzzScrubbed(f *testing.F) {
	f.Add([]byte(`{"version":1,"compared":{"LOG-0":5},"damaged":[{"stream":"LOG-0","node":"b","seq":5,"since":9,"fills":1}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseScrubbed(b)
		if err != nil {
			return
		}
		k.toFill()
		k.found("LOG-0", wrongs{"b": {1: true}}, 1)
		if k.damage("LOG-0", "b") == nil {
			t.Errorf("%q loses what is found", b)
		}
	})
}
