package node

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
)

// TestAMemberThatYields: it hands over all it leads, JetStream's own group too, and
// what is handed to it meanwhile; afterwards it may lead again.
func TestAMemberThatYields(t *testing.T) {
	c := newCluster(t)
	nodes := c.startAll(c.all...)
	var full *Node
	eventually(t, "JetStream has a leader", func() bool {
		i := slices.IndexFunc(nodes, func(n *Node) bool { return n.nats.server.JetStreamIsLeader() })
		if i >= 0 {
			full = nodes[i]
		}
		return i >= 0
	})
	streams := []string{"LOG-0", "HISTORY-0", "SYNC-0", "MARKS-0", "CHECKPOINTS", "CURSORS", "RECORDS"}
	leads := func(n *Node) bool { return slices.ContainsFunc(streams, n.nats.leads) }
	led := func() bool { // every stream by somebody
		return !slices.ContainsFunc(streams, func(s string) bool {
			return !slices.ContainsFunc(nodes, func(n *Node) bool { return n.nats.leads(s) })
		})
	}
	end := full.startYield()
	defer end()
	nothing := func() bool { return led() && !leads(full) && !full.nats.server.JetStreamIsLeader() }
	eventually(t, "it leads nothing, and the others everything", nothing)
	for _, n := range nodes {
		if n != full {
			if err := n.store.Yield(t.Context()); err != nil {
				t.Logf("%s hands over: %v", n.config.Name, err) // another try may have been quicker
			}
		}
	}
	eventually(t, "it hands on what was handed to it", nothing)
	client := browser(t, nil)
	full.hold(func(h *holds) { h.disk = errDisk })
	answers(t, client, full.URL()+"/v1/rooms", 503, "the disk is full") // another node takes the clients
	full.hold(func(h *holds) { h.disk = nil })
	answers(t, client, full.URL()+"/v1/rooms", 401, "unauthenticated")
	end()
	eventually(t, "it leads again", func() bool {
		for _, n := range nodes {
			if n != full && leads(n) {
				_ = n.store.Yield(t.Context()) // what fails is tried again
			}
		}
		return leads(full)
	})
	eventually(t, "every stream has a leader", led)
	eventually(t, "all are ready", func() bool {
		return !slices.ContainsFunc(nodes, func(n *Node) bool { return n.ready() != nil })
	})
	if code := askToYield(t, full, "cross-site"); code != http.StatusForbidden {
		t.Errorf("a page of another origin is answered %d", code)
	}
	if code := askToYield(t, full, ""); code != http.StatusNoContent {
		t.Errorf("POST /yield: %d", code)
	}
	eventually(t, "the others lead everything", func() bool { return led() && !leads(full) })
}

// askToYield is the answer's status to POST /yield, by a browser's page if site is set.
func askToYield(t *testing.T, n *Node, site string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.AdminURL()+"/yield", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if site != "" {
		req.Header.Set("Sec-Fetch-Site", site)
	}
	res, err := browser(t, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestANodeAloneCantYield: there is nobody else.
func TestANodeAloneCantYield(t *testing.T) {
	if code := askToYield(t, start(t, settings(t, filepath.Join(t.TempDir(), "data"))), ""); code != http.StatusConflict {
		t.Errorf("POST /yield: %d", code)
	}
}
