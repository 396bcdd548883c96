package story

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// A node that no longer hears of the others says so, refuses at once and lets its
// people go; when the others are there again, so is it, by itself.
func TestANodeThatIsCutOff(t *testing.T) {
	c := harness.StartCluster(t, "--partitions=1")
	a, b, third := c.Node("a"), c.Node("b"), c.Node("c")
	minsu, jiwoo := harness.SignUp(t, a, "Minsu"), harness.SignUp(t, a, "Jiwoo")
	room := minsu.DirectWith(jiwoo)
	m := minsu.Online("", nil)
	m.Says(room, "before")
	cursor, err := minsu.Cursor(harness.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	polled := make(chan error, 1)
	go func() {
		polled <- minsu.Call(context.Background(), "GET", "/v1/sync?wait=50&cursor="+cursor, nil, new(wire.SyncAnswer))
	}()

	b.Freeze()
	third.Freeze()
	asking := harness.HTTP(t)
	harness.WaitFor(t, "a says that it is cut off", func() bool { return strings.Contains(readyz(t, asking, a), "cut off from the others") })
	harness.WaitFor(t, "its phone has gone", func() bool { return m.State() != client.Live })
	if err := <-polled; err != nil && client.CodeOf(err) != chat.KindUnavailable { // it may have been made to look
		t.Errorf("the long poll ended with %v", err)
	}
	for _, call := range []struct{ method, path string }{
		{"POST", fmt.Sprintf("/v1/rooms/%s/messages", room)}, {"GET", "/v1/sync?cursor=" + cursor}, {"GET", "/v1/rooms"}, {"GET", "/v1/sync/stream"},
	} {
		var body any
		if call.method == "POST" {
			body = map[string]string{"text": "is anybody there?"}
		}
		if p := ask(t, minsu, call.method, call.path, body); p.Code != chat.KindUnavailable || p.RetryAfterMS == 0 {
			t.Errorf("%s %s is refused with %+v", call.method, call.path, p)
		}
	}
	var known wire.Nodes
	if err := minsu.Call(harness.Context(t), "GET", "/v1/nodes", nil, &known); err != nil || len(known.Nodes) != 2 || known.Nodes[0].ID == "a" || known.Nodes[1].ID == "a" {
		t.Errorf("it sends people to %+v, %v", known.Nodes, err)
	}

	b.Thaw()
	third.Thaw()
	c.WaitReady()
	j := jiwoo.Online("", nil)
	m.Says(room, "after")
	j.HearsText(room, "after")
}

// readyz is what the operator is told.
func readyz(t *testing.T, asking *http.Client, n *harness.Node) string {
	t.Helper()
	res, err := asking.Get(n.AdminURL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
