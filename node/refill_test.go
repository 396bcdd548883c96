package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/config"
	"natter/internal/harness"
)

// scrubbedCluster is three nodes that compare their copies once a second, with something
// in the one log.
func scrubbedCluster(t *testing.T) (*cluster, []*Node) {
	t.Helper()
	c := newCluster(t)
	for _, s := range c.all {
		s.ScrubInterval, s.ScrubRate = time.Second, 1024
	}
	nodes := c.startAll(c.all...)
	for i := range 20 {
		id, err := nodes[0].ids.next()
		if err != nil {
			t.Fatal(err)
		}
		_, err = nodes[0].store.Log().Append(t.Context(), &chat.Command{Op: chat.OpCreate, ID: id, At: chat.MillisOf(time.Now()),
			Room: chat.RoomID(fmt.Sprintf("room-%d", i)), By: "ann", Name: strings.Repeat("x", 50)})
		if err != nil {
			t.Fatal(err)
		}
	}
	waitEqual(t, nodes[0], time.Now())
	return c, nodes
}

// waitEqual waits until every stream was found equal on all nodes after a time.
func waitEqual(t *testing.T, n *Node, since time.Time) {
	t.Helper()
	harness.WaitUpTo(t, 2*harness.Patience, "all is equal", func() bool {
		known := n.status(t.Context()).Scrub
		return known != nil && len(known.Damaged) == 0 && known.Oldest.Time().After(since)
	})
}

func logBlocks(t *testing.T, s *config.Config) []string {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(s.Data, streamsDir, "jetstream", account, "streams", "LOG-0", "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("%v, %v", blocks, err)
	}
	return blocks
}

// A node whose files were damaged while it was down sees it before it serves anything
// from them, and is filled by the others.
func TestDamagedFilesAreSetAsideAtTheStart(t *testing.T) {
	c, nodes := scrubbedCluster(t)
	victim := c.all[2]
	harness.WaitFor(t, "the names of the Raft groups are kept", func() bool {
		groups, err := nodes[2].data.groups()
		return err == nil && groups["LOG-0"] != ""
	})
	stop(t, nodes[2])
	if found, err := nodes[2].data.verify(time.Now().Add(time.Minute)); err != nil || found["LOG-0"] != sound || found["HISTORY-0"] != sound {
		t.Fatalf("of files that nothing happened to: %v, %v", found, err)
	}
	path := logBlocks(t, victim)[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := nodes[2].data.verify(time.Now().Add(time.Minute)); err != nil || found["LOG-0"] != damaged || found["HISTORY-0"] != sound {
		t.Fatalf("%v, %v", found, err)
	}
	began := time.Now()
	n := c.startAll(victim)[0]
	if len(n.compareFirst) == 0 || n.compareFirst[0] != "LOG-0" {
		t.Errorf("set aside or in doubt: %v", n.compareFirst)
	}
	waitEqual(t, n, began)
	harness.WaitFor(t, "what was set aside is gone", func() bool {
		left, err := n.data.aside()
		return err == nil && len(left) == 0
	})
	stop(t, n)
	if found, err := n.data.verify(time.Now().Add(time.Minute)); err != nil || found["LOG-0"] != sound {
		t.Errorf("filled: %v, %v", found, err)
	}
}

// What another node finds damaged is made anew: the node stops in order, starts, and
// the others fill it. It refuses while it can't be away.
func TestANodeHasItsReplicasMadeAnew(t *testing.T) {
	c, nodes := scrubbedCluster(t)
	if had, has := len(nodes[0].store.Streams()), nodes[0].nats.has(); len(has) < had || has["LOG-0"] == 0 {
		t.Errorf("of %d streams it has %v", had, has)
	}
	for says, order := range map[string]string{
		"names 0 streams":     `{"streams":[]}`,
		"which is no stream":  `{"streams":["../../etc"]}`,
		"unexpected end":      `{`,
		"names \"log\"":       `{"streams":["log"]}`,
		"names 1025 streams,": `{"streams":["A"` + strings.Repeat(`,"A"`, maxRefill) + `]}`,
	} {
		if err := nodes[2].takeRefill([]byte(order)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v, want …%s…", order, err, says)
		}
	}
	began := time.Now()
	asked := make(chan error, 1)
	go func() { asked <- nodes[0].refill(context.Background(), "c", []string{"LOG-0"}) }()
	if err := nodes[2].Wait(); !errors.Is(err, ErrRefill) {
		t.Fatalf("it ends with %v", err)
	}
	stop(t, nodes[2])
	before, err := os.Stat(logBlocks(t, c.all[2])[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].refill(t.Context(), "a", []string{"LOG-0"}); err == nil || !strings.Contains(err.Error(), "on c are being made anew") {
		t.Errorf("of two at a time the second: %v", err)
	}
	if err := nodes[0].takeRefill([]byte(`{"streams":["LOG-0"]}`)); err == nil {
		t.Error("with a node away another one goes too")
	}
	n := c.startAll(c.all[2])[0]
	if err := <-asked; err != nil {
		t.Errorf("who asked hears %v", err)
	}
	waitEqual(t, n, began)
	if after, err := os.Stat(logBlocks(t, c.all[2])[0]); err != nil || os.SameFile(before, after) {
		t.Errorf("the files are the old ones: %v", err)
	}
}
