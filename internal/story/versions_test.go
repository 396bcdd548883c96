package story

import (
	"path/filepath"
	"strings"
	"testing"

	"natter/internal/builds"
	"natter/internal/harness"
)

// TestANewerNatterIsRefused: a node that keeps data in another format than the cluster,
// or doesn't understand what its nodes say, says so and ends; the cluster goes on, and the
// place is free for the right one.
func TestANewerNatterIsRefused(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	newer := func(name string, changes ...builds.Change) string {
		out := filepath.Join(t.TempDir(), "natter-"+name)
		if err := builds.Changed(t.Context(), root, out, changes, "-ldflags", "-X natter/node.Version=9.9"); err != nil {
			t.Fatal(err)
		}
		return out
	}
	c := harness.NewCluster(t, 3, "--partitions=1")
	a, b, last := c.Node("a"), c.Node("b"), c.Node("c")
	for _, n := range c.Nodes {
		n.Start()
	}
	c.WaitReady()
	minsu := harness.SignUp(t, a, "Minsu")
	jiwoo := harness.SignUp(t, b, "Jiwoo")
	room := minsu.DirectWith(jiwoo)
	m, j := minsu.Online("", nil), jiwoo.Online("", nil)
	last.Stop()

	format := newer("format", builds.Change{File: "node/data.go", From: "const dataFormat = 1", To: "const dataFormat = 2"})
	wire := newer("wire", builds.Change{File: "node/versions.go", From: "wireVersion = 2", To: "wireVersion = 3"},
		builds.Change{File: "node/versions.go", From: "wireOldest = 1", To: "wireOldest = 3"})
	for _, one := range []struct{ what, program, says string }{
		{"another format, over its old data", format, "is of format 1, this natter reads format 2"},
		{"another wire version", wire, `natter 9.9 can't be a node of this cluster: it understands what nodes say from version 3 on, and the node "a" (natter 0.1.0-dev) speaks version 2`},
	} {
		last.StartAs(one.program, "")
		if code, tail := last.WaitRefused(); code != 5 || !strings.Contains(tail, one.says) {
			t.Errorf("%s: it ended with %d\n%s\nwant 5 and %q", one.what, code, tail, one.says)
		}
		m.Says(room, one.what)
		j.HearsText(room, one.what)
	}

	// What was refused may be this natter again.
	last.StartAs("", "")
	last.WaitReady()
	m.Says(room, "all three")
	j.HearsText(room, "all three")
	harness.WaitFor(t, "nobody is cut off", func() bool { return readyz(t, harness.HTTP(t), last) == "ok\n" })
}
