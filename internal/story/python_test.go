package story

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/client"
	"natter/internal/harness"
)

// python runs examples/python/natter.py as one device.
type python struct {
	t           *testing.T
	interpreter string
	script      string
	state       string
}

func newPython(t *testing.T, name string) *python {
	t.Helper()
	interpreter := ""
	for _, path := range []string{"python3", "/usr/bin/python3"} { // another Python may stand before Debian's
		if interpreter == "" && exec.Command(path, "-c", "import websocket").Run() == nil {
			interpreter = path
		}
	}
	if interpreter == "" {
		t.Fatal("the example needs Debian's python3-websocket: apt install python3-websocket")
	}
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	return &python{t: t, interpreter: interpreter, script: filepath.Join(root, "examples", "python", "natter.py"), state: filepath.Join(t.TempDir(), name+".json")}
}

func (p *python) start(args ...string) (wait func() string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, p.interpreter, append([]string{p.script, "--state", p.state}, args...)...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return func() string {
		p.t.Helper()
		defer cancel()
		if err := cmd.Wait(); err != nil {
			p.t.Fatalf("natter.py %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), failed.String())
		}
		return out.String()
	}
}

func (p *python) run(args ...string) string {
	p.t.Helper()
	return p.start(args...)()
}

// TestPythonExample: a client written from docs/PROTOCOL.md alone signs up,
// sends, receives, resumes by its cursor, and sends through a crash.
func TestPythonExample(t *testing.T) {
	node := harness.StartNode(t)
	ann, tablet, bob := newPython(t, "ann"), newPython(t, "tablet"), newPython(t, "bob")
	ann.run("--url", node.URL(), "signup", "ann", harness.Password)
	bobID := strings.TrimSpace(bob.run("--url", node.URL(), "signup", "bob", harness.Password))

	// Bob's queue keeps what came while nobody listened.
	ann.run("send", "bob", "first")
	ann.run("send", "bob", "둘째 \"quoted\" 👋")
	got := lines(bob.run("receive", "--count", "2"))
	if len(got) != 2 || got[0][3] != "first" || got[1][3] != "둘째 \"quoted\" 👋" {
		t.Fatalf("Bob received %q", got)
	}

	// The same client_id again is the same message; the next receive goes on
	// behind what was shown.
	key := client.NewKey().String()
	ann.run("send", "--client-id", key, "bob", "third")
	ann.run("send", "--client-id", key, "bob", "third")
	ann.run("send", "bob", "fourth")
	got = lines(bob.run("receive", "--count", "2"))
	if len(got) != 2 || got[0][3] != "third" || got[1][3] != "fourth" {
		t.Fatalf("Bob received %q", got)
	}

	// The node dies while Bob and Ann's other device are listening.
	tablet.run("--url", node.URL(), "signin", "ann", harness.Password)
	receiving, other := bob.start("receive", "--count", "2"), tablet.start("receive", "--count", "1")
	ann.run("send", "bob", "before the crash")
	node.Kill()
	node.Start()
	node.WaitReady()
	ann.run("send", "bob", "after the crash")
	got = lines(receiving())
	if len(got) != 2 || got[0][3] != "before the crash" || got[1][3] != "after the crash" {
		t.Fatalf("Bob received %q", got)
	}
	bob.run("send", "ann", "got them")
	if got := lines(other()); len(got) != 1 || got[0][3] != "got them" || got[0][2] != bobID {
		t.Fatalf("the tablet received %q", got)
	}
}

// lines are the rows natter.py prints: room, seq, sender, text.
func lines(out string) (rows [][]string) {
	for line := range strings.Lines(out) {
		row := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(row) != 4 {
			row = []string{"", "", "", fmt.Sprintf("not a row: %q", line)}
		}
		rows = append(rows, row)
	}
	return rows
}
