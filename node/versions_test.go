package node

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"natter/config"
	"natter/internal/memory"
	"natter/internal/natstest"
)

// Which natters work side by side, and what the operator is told of those that don't.
func TestVersionsSideBySide(t *testing.T) {
	var now leaseRecord
	now.versions()
	for name, c := range map[string]struct {
		change func(*leaseRecord)
		says   string // empty: they can
	}{
		"itself":                      {func(*leaseRecord) {}, ""},
		"one before leases told more": {func(l *leaseRecord) { l.Wire, l.WireOldest = wireOldest, 0 }, ""},
		"the next, which understands": {func(l *leaseRecord) { l.Wire, l.WireOldest = wireVersion+1, wireVersion }, ""},
		"the next, which doesn't":     {func(l *leaseRecord) { l.Wire, l.WireOldest = wireVersion+1, wireVersion+1 }, `and the node "z" (natter 9.9) understands it from version 3 on`},
		"one that is too old":         {func(l *leaseRecord) { l.Wire, l.WireOldest = wireOldest-1, 0 }, `it understands what nodes say from version 1 on, and the node "z" (natter 9.9) speaks version 0`},
		"one of another format":       {func(l *leaseRecord) { l.Format++ }, `it keeps data in format 1, and the node "z" (natter 9.9) in format 2`},
	} {
		other := now
		other.Name, other.Natter = "z", "9.9"
		c.change(&other)
		err := now.beside(&other)
		var version *VersionError
		if c.says == "" && err != nil || c.says != "" && (!errors.As(err, &version) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A node looks at every lease but that of its own name, which may be of what it was.
func TestANodeThatDoesntSuit(t *testing.T) {
	leases := memory.NewLeases(10)
	put := func(name string, wire int) {
		l := leaseRecord{Version: leaseFormat, Name: name, Run: newRun(), URL: "http://127.0.0.1:1", Natter: "9.9", Format: dataFormat, Wire: wire, WireOldest: wire}
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leases.Put(t.Context(), leaseKey(name), b, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	n := &Node{config: &config.Config{Name: "a"}, log: quiet(t)}
	put("a", wireVersion+5)
	put("b", wireVersion)
	if err := n.suits(t.Context(), leases); err != nil {
		t.Error(err)
	}
	put("c", wireVersion+1)
	if err := n.suits(t.Context(), leases); err == nil || !strings.Contains(err.Error(), `the node "c" (natter 9.9)`) {
		t.Errorf("it suits: %v", err)
	}
}

// Nodes of a natter that doesn't know the question whether it is there don't make the
// others think that they are alone, as long as a route leads to them.
func TestAMajorityWithOldNodes(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), false)
	nc, err := server.Connect("majority")
	if err != nil {
		t.Fatal(err)
	}
	var silent []string
	m, err := watchMajority(nc, "a", 1, func() []string { return silent }, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	m.close() // its turns are this test's
	m.turn = majorityTurns + 1
	if !m.lost() {
		t.Error("alone, it isn't cut off")
	}
	silent = []string{"b"}
	if m.lost() || m.certain(t.Context()) != nil {
		t.Error("with an old node it is cut off")
	}
	m.needs = 2
	m.answered["b"] = heardOf{asked: 1 << 40, turn: m.turn}
	if !m.lost() {
		t.Error("an old node that answers all the same counts twice")
	}
	m.answered["c"] = heardOf{asked: 1 << 40, turn: m.turn}
	if m.lost() || m.certain(t.Context()) != nil {
		t.Error("with an old node and one that answers it is cut off")
	}
}
