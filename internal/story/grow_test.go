package story

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"natter/chat"
	"natter/internal/harness"
	"natter/wire"
)

// A node alone becomes three: whoever was signed in stays so, every device goes on
// from its cursor and hears what it missed once, and seqs and ids go on.
func TestOneNodeGrowsIntoThree(t *testing.T) {
	c := harness.NewCluster(t, 3, "--partitions=2")
	alone := c.Alone(t, "--partitions=2")
	alone.Start()
	alone.WaitReady()
	minsu, jiwoo := harness.SignUp(t, alone, "Minsu"), harness.SignUp(t, alone, "Jiwoo")
	room := minsu.GroupWith("us", jiwoo)
	tablet := minsu.AnotherDevice("tablet")
	m, j, late := minsu.Online("", nil), jiwoo.Online("", nil), tablet.Online("", nil)
	var texts []string
	say := func(from *harness.Phone, text string) chat.Seq {
		t.Helper()
		r := from.Says(room, text)
		texts = append(texts, text)
		return r.Seq
	}
	for i := range 70 { // more than a page
		say([]*harness.Phone{m, j}[i%2], fmt.Sprintf("alone %d", i))
	}
	late.HearsText(room, "alone 69")
	cursor := late.Cursor()
	heard := len(late.Texts(room))
	late.Close()
	missed := say(m, "while the tablet is away")
	if err := m.Do(harness.Context(t), func(ref string) wire.Frame {
		return &wire.Edit{Ref: ref, RoomID: string(room), Seq: uint64(missed), Text: "while the tablet is away!"}
	}); err != nil {
		t.Fatal(err)
	}
	j.HearsText(room, "while the tablet is away")
	last := say(j, "good night")
	m.HearsText(room, "good night")
	newest := minsu.Entry(room).LastMessage

	// It crashed: what it left unfinished would be copied so.
	alone.Kill()
	refuses(t, c.Grow(harness.Binary(t), alone), "was not stopped in order")
	alone.Start()
	alone.WaitReady()
	alone.Stop() // Minsu's and Jiwoo's phones go on trying

	c.Node("b").Start()
	c.Node("c").Start()
	out, err := c.Grow(harness.Binary(t), alone).CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "copied RECORDS (1 of ") || !strings.Contains(string(out), "Now start this member") {
		t.Fatalf("the growth: %v\n%s", err, out)
	}
	c.Node("b").WaitReady()
	c.Node("a").Start()
	c.WaitReady()

	// Whoever never signed out is in: the phones by themselves, the tablet by its cursor.
	late = tablet.Online(cursor, nil)
	late.HearsText(room, "good night")
	if got := late.Texts(room); len(got) != len(texts)-heard || late.Resets() != 0 {
		t.Errorf("the tablet heard %q with %d resets, want the last %d", got, late.Resets(), len(texts)-heard)
	}
	late.Hears("the edit", func(e *wire.Event) bool { return e.Type == chat.EventEdited && e.Message.Seq == missed })
	harness.WaitFor(t, "the phones are back", func() bool {
		return m.WaitLive(harness.Context(t)) == nil && j.WaitLive(harness.Context(t)) == nil
	})
	if got := minsu.Entry(room).ReadSeq; got != missed {
		t.Errorf("Minsu had read up to %d, now %d", missed, got)
	}
	if next := say(m, "good morning"); next != last+1 {
		t.Errorf("the seq after %d is %d", last, next)
	}
	elsewhere := jiwoo.DeviceAt(c.Node("c"), "laptop").Online("", nil)
	say(elsewhere, "good morning from c")
	for name, ph := range map[string]*harness.Phone{"Minsu": m, "Jiwoo": j} {
		ph.HearsText(room, "good morning from c")
		if got := ph.Texts(room); strings.Join(got, "\n") != strings.Join(texts, "\n") || ph.Resets() != 0 {
			t.Errorf("%s heard %q with %d resets, want %q", name, got, ph.Resets(), texts)
		}
	}
	entry := minsu.Entry(room)
	if entry.LastMessage.ID <= newest.ID {
		t.Errorf("the message after %s is %s", newest.ID, entry.LastMessage.ID)
	}
	if err := minsu.Refresh(harness.Context(t)); err != nil {
		t.Errorf("Minsu's session ended: %v", err)
	}

	// There is no way back by mistake, and no second time.
	c.Node("a").Stop()
	out, err = c.Grow(harness.Binary(t), alone).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "already") {
		t.Errorf("the growth again: %v\n%s", err, out)
	}
	other := harness.StartNode(t, "--partitions=2")
	other.Stop()
	refuses(t, c.Grow(harness.Binary(t), other), "may hold data")
	refuses(t, exec.Command(harness.Binary(t), "serve", "--data", alone.Data(), "--listen", "127.0.0.1:0", "--admin", ""), "has grown into the cluster")
	c.Node("a").Start()
	c.Node("a").WaitReady()
}

// refuses has a command end because of a data directory, with a line that says why.
func refuses(t *testing.T, cmd *exec.Cmd, why string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 5 || !strings.Contains(string(out), why) {
		t.Errorf("it ends with %v, want 5 and %q\n%s", err, why, out)
	}
}
