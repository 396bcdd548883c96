package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/node"
)

// patience is with elections, on a machine that does other things too.
const patience = 2 * time.Minute

// replacing is a cluster of three with a room in it.
type replacing struct {
	t       *testing.T
	c       *harness.Cluster
	a, b, d *harness.Node // d is the node c: c is the cluster
	minsu   *harness.Person
	room    chat.RoomID
	acked   int
}

func newReplacing(t *testing.T) *replacing {
	t.Helper()
	w := &replacing{t: t, c: harness.StartCluster(t, "--partitions=2")}
	w.a, w.b, w.d = w.c.Node("a"), w.c.Node("b"), w.c.Node("c")
	w.minsu = harness.SignUp(t, w.d, "Minsu")
	w.room = w.minsu.DirectWith(harness.SignUp(t, w.d, "Jiwoo"))
	return w
}

// says has Minsu say n things and waits until each is acknowledged.
func (w *replacing) says(n int) {
	w.t.Helper()
	phone := w.minsu.Online("", nil)
	defer phone.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for range n {
		if _, err := phone.SendWait(ctx, client.Outgoing{Room: w.room, Text: fmt.Sprint(w.acked)}); err != nil {
			w.t.Fatal(err)
		}
		w.acked++
	}
}

// everywhere checks that each node has all that was acknowledged.
func (w *replacing) everywhere() {
	w.t.Helper()
	for _, n := range w.c.Nodes {
		if last := w.minsu.DeviceAt(n, "reader").Entry(w.room).LastSeq; int(last) != w.acked {
			w.t.Errorf("%s has %d of %d messages", n.URL(), last, w.acked)
		}
	}
}

func (w *replacing) empty(n *harness.Node) {
	w.t.Helper()
	n.Kill()
	if err := os.RemoveAll(n.Data()); err != nil {
		w.t.Fatal(err)
	}
}

// replace runs natter cluster replace.
func (w *replacing) replace(member string, by *harness.Node) (string, error) {
	w.t.Helper()
	return run(w.t, "cluster", "replace", member, "--admin", strings.TrimPrefix(by.AdminURL(), "http://"))
}

// tells waits until the operator is told that.
func (w *replacing) tells(n *harness.Node, path, what string) {
	w.t.Helper()
	harness.WaitUpTo(w.t, patience, n.AdminURL()+path+" tells of "+what, func() bool {
		res, err := http.Get(n.AdminURL() + path)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body) // what is cut off isn't what is waited for
		return strings.Contains(string(b), what)
	})
}

// An empty node takes the place of one whose data is lost. Without the operator's word it
// is turned away, says how, and disturbs nobody; afterwards the old data is.
func TestReplace(t *testing.T) {
	w := newReplacing(t)
	w.says(20)
	w.a.Stop()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.Rename(w.a.Data(), old); err != nil {
		t.Fatal(err)
	}
	w.a.Start()
	w.tells(w.a, "/readyz", "`natter cluster replace a`")
	w.tells(w.b, "/cluster", "a: it came with a store that isn't its own")
	w.says(20) // the two others go on

	for _, c := range []struct {
		member, says string
		by           *harness.Node
	}{
		{"d", "d is no member of this cluster, its members are a, b, c", w.b},
		{"b", "another node must be told", w.b},
		{"c", "nothing to replace", w.b},
		{"no name", "must be a node's name", w.b},
	} {
		if out, err := w.replace(c.member, c.by); exitCode(err) != exitRuntime || !strings.Contains(err.Error(), c.says) {
			t.Errorf("replace %s: %v, want %q\n%s", c.member, err, c.says, out)
		}
	}

	out, err := w.replace("a", w.b)
	if err != nil || !strings.Contains(out, "a: it is let in") || !strings.Contains(out, "a: it has everything") {
		t.Fatalf("%v\n%s", err, out)
	}
	w.a.WaitReady()
	w.says(20)
	w.everywhere()

	// Started again it is the member; with the old data it isn't.
	w.a.Stop()
	w.a.Start()
	w.a.WaitReady()
	w.a.Stop()
	if err := os.Rename(w.a.Data(), old+"-new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, w.a.Data()); err != nil {
		t.Fatal(err)
	}
	w.a.Start()
	w.tells(w.a, "/readyz", "turned away this node's store")
	w.says(5)
}

// What only the lost data and one other had isn't lost by a replacement: with a member
// down or behind the empty one isn't let in, and it can't make a majority with it.
func TestReplaceIsRefused(t *testing.T) {
	w := newReplacing(t)
	w.says(5)
	w.b.Kill()
	w.says(50) // a and c have them
	w.empty(w.a)
	w.a.Start()
	w.tells(w.a, "/readyz", "`natter cluster replace a`")
	if out, err := w.replace("a", w.d); exitCode(err) != exitRuntime || !strings.Contains(err.Error(), "b doesn't answer") || !strings.Contains(err.Error(), "a is not replaced") {
		t.Fatalf("replaced with b down: %v\n%s", err, out)
	}
	w.d.Kill()
	w.b.Start() // with a it would be two of three
	w.tells(w.a, "/readyz", "waiting to be let in: b turned away this node's store")
	w.tells(w.b, "/readyz", "waiting for peers: have b; need 1 of")
	w.d.Start()
	w.b.WaitReady()
	w.d.WaitReady()
	if out, err := w.replace("a", w.b); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.a.WaitReady()
	w.everywhere()
	w.says(5)
}

// The streams alone are emptied, by a disk that isn't mounted, say: that is another store
// too.
func TestEmptiedStreamsAreAnotherStore(t *testing.T) {
	w := newReplacing(t)
	w.a.Kill()
	if err := os.RemoveAll(filepath.Join(w.a.Data(), "jetstream")); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the order waits for the node", func() bool {
		r, err := askReplace(harness.Context(t), strings.TrimPrefix(w.d.AdminURL(), "http://"), "a", "")
		return err == nil && r.State == node.ReplaceWaiting
	})
	w.a.Start()
	w.tells(w.a, "/readyz", "`natter cluster replace a`")
	if out, err := w.replace("a", w.d); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.a.WaitReady()
	w.says(3)
	w.everywhere()
}

func TestReplaceNeedsAnOperator(t *testing.T) {
	n := harness.StartNode(t, "--partitions=1")
	ask := func(header, host string) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, n.AdminURL()+"/cluster/replace/a", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if header != "" {
			req.Header.Set(node.OrderHeader, header)
		}
		res, err := harness.HTTP(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for _, c := range []struct {
		header, host string
		status       int
	}{{"", "", 403}, {"1", "evil.example", 421}, {"1", "", 409}, {"1", "localhost:1", 409}} {
		if got := ask(c.header, c.host); got != c.status {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func FuzzParseReplacement(f *testing.F) {
	f.Add(`{"member":"a","state":"filling","behind":["LOG-0"]}`)
	f.Add(`{"detail":"this is a"}`)
	f.Add(`<html>`)
	f.Fuzz(func(t *testing.T, body string) {
		r, err := parseReplacement(strings.NewReader(body))
		if (r == nil) == (err == nil) {
			t.Errorf("%q: %+v, %v", body, r, err)
		}
	})
}
