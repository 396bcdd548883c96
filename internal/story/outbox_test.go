package story

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"natter/client"
	"natter/internal/harness"
)

// TestOutboxAcrossACrash: Ann writes while the node is down, and her program
// dies. The next one, with a copy of the file as the crash left it, sends what
// was there, before what is new; the first was not dead after all, and sends the
// same once more. Bob reads each once, in order.
func TestOutboxAcrossACrash(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	room := ann.DirectWith(bob)
	bobPhone := bob.Online("", nil)
	dir := t.TempDir()
	first := open(t, filepath.Join(dir, "first"))
	online := func(o *client.Outbox) func(*client.Options) {
		return func(opts *client.Options) {
			opts.Outbox, opts.KeepCursor, opts.BackoffCap = o, true, 500*time.Millisecond
		}
	}
	old := ann.Online("", online(first))
	old.Says(room, "before")
	node.Kill()
	want := []string{"before"}
	for i := range 20 {
		text := fmt.Sprintf("while it was down %d", i)
		old.Send(client.Outgoing{Room: room, Text: text}, func(client.Receipt, error) {})
		want = append(want, text)
	}
	copyFile(t, filepath.Join(dir, "first"), filepath.Join(dir, "second"))
	node.Start()
	node.WaitReady()
	second := open(t, filepath.Join(dir, "second"))
	if n := len(second.Left()); n < 20 || second.Damaged() != 0 {
		t.Fatalf("%d messages are left of 20, damaged %d", n, second.Damaged())
	}
	next := ann.Online("", online(second))
	next.Says(room, "after")
	want = append(want, "after")
	bobPhone.HearsText(room, "after")
	harness.WaitFor(t, "both files are empty", func() bool { return len(first.Left())+len(second.Left()) == 0 })
	bobPhone.HearsText(room, want[20])
	equal(t, bobPhone.Texts(room), want)
}

func open(t *testing.T, path string) *client.Outbox {
	t.Helper()
	o, err := client.OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
