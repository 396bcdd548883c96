package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

func openOutbox(t *testing.T, path string) *Outbox {
	t.Helper()
	o, err := OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func texts(left []Outgoing) (all []string) {
	for _, m := range left {
		all = append(all, m.Text)
	}
	return all
}

// fill opens an outbox, lets a device without a server send, and closes both.
func fill(t *testing.T, path string, messages ...string) []chat.ClientID {
	t.Helper()
	o := openOutbox(t, path)
	opts := options(serve(t)) // it refuses everybody
	opts.Outbox = o
	d := Dial(t.Context(), opts)
	var keys []chat.ClientID
	for _, text := range messages {
		keys = append(keys, d.Send(Outgoing{Room: "r1", Text: text, ReplyTo: 3}, func(_ Receipt, err error) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s ended with %v", text, err)
			}
		}))
	}
	d.Close()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestOutboxGoesOn: what one process left behind goes out from the next one,
// before what is new and in its order, and is told to Earlier; what is answered
// is gone from the file, what isn't stays.
func TestOutboxGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	keys := fill(t, path, "one", "two \"quoted\"\n", "three 안녕")
	url := serve(t, func(c *line) {
		if c.hello.Cursor != "" {
			t.Errorf("the cursor is %q", c.hello.Cursor)
		}
		c.welcome("c0", 0)
		for i, want := range []string{"one", "two \"quoted\"\n", "three 안녕", "four"} {
			s := c.readSend()
			if s.Text != want || i < 3 && (s.ClientID != keys[i].String() || s.ReplyTo != 3) {
				t.Errorf("send %d is %+v, want %q", i, s, want)
			}
			switch i {
			case 1:
				c.write(&wire.Error{Ref: s.Ref, Problem: wire.Problem{Code: chat.KindNotFound}})
			case 0, 3:
				c.write(&wire.Sent{Ref: s.Ref, MessageID: 1, Seq: chat.Seq(i + 1)})
			}
		}
		c.write(event("c1", 1), &wire.Synced{Cursor: "c2"})
		c.idle()
	})
	o := openOutbox(t, path)
	opts := options(url)
	opts.Outbox, opts.KeepCursor = o, true
	var told []string
	opts.Earlier = func(m Outgoing, r Receipt, err error) { told = append(told, fmt.Sprint(m.Text, r.Seq, CodeOf(err))) }
	d := Dial(t.Context(), opts)
	if r, err := d.SendWait(bounded(t), Outgoing{Room: "r1", Text: "four"}); err != nil || r.Seq != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := d.WaitLive(bounded(t)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if want := []string{"one1", "two \"quoted\"\n0not_found", "three 안녕0client: the device was closed"}; len(told) != 3 || told[0] != want[0] || told[1] != want[1] {
		t.Errorf("told %q", told)
	}
	_ = o.Close()
	o = openOutbox(t, path)
	if got := texts(o.Left()); !slices.Equal(got, []string{"three 안녕"}) || o.Cursor() != "c2" || o.Damaged() != 0 {
		t.Errorf("left %q at %q, damaged %d", got, o.Cursor(), o.Damaged())
	}
	again := make(chan string, 1)
	opts = options(serve(t, func(c *line) { again <- c.hello.Cursor; c.welcome("c2", 0); c.idle() }))
	opts.Outbox, opts.KeepCursor = o, true
	d = Dial(t.Context(), opts)
	defer d.Close()
	if got := <-again; got != "c2" {
		t.Errorf("it came back at %q", got)
	}
}

// TestOutboxTorn: wherever a write was cut off, the records before it are there,
// the torn one isn't, and the next ones come after them.
func TestOutboxTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	fill(t, path, "one", "two", "three")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		want := max(strings.Count(string(whole[:n]), "\n")-1, 0)
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		o := openOutbox(t, path)
		if got := o.Left(); len(got) != want || o.Damaged() != 0 {
			t.Fatalf("of %d bytes: %d messages, want %d; damaged %d", n, len(got), want, o.Damaged())
		}
		m := Outgoing{Room: "r1", ClientID: NewKey(), Text: "later"}
		if err := errors.Join(o.add(&m), o.sync(), o.Close()); err != nil {
			t.Fatal(err)
		}
		o = openOutbox(t, path)
		if got := texts(o.Left()); len(got) != want+1 || got[want] != "later" {
			t.Fatalf("of %d bytes: then %q", n, got)
		}
		_ = o.Close()
	}
	spoilt := strings.Replace(string(whole), "two", "twa", 1)
	if err := os.WriteFile(path, []byte(spoilt), 0o600); err != nil {
		t.Fatal(err)
	}
	o := openOutbox(t, path)
	if got := texts(o.Left()); !slices.Equal(got, []string{"one", "three"}) || o.Damaged() != 1 {
		t.Errorf("left %q, damaged %d", got, o.Damaged())
	}
}

// TestOutboxCompacts: a file of much that is answered is written anew, under
// senders at work, and nothing of what is left is lost.
func TestOutboxCompacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	o := openOutbox(t, path)
	keep := Outgoing{Room: "r1", ClientID: NewKey(), Text: "stays"}
	if err := o.add(&keep); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 4)
	for range cap(failed) {
		go func() {
			var err error
			for range 100 {
				m := Outgoing{Room: "r2", ClientID: NewKey(), Text: strings.Repeat("x", 1000)}
				err = errors.Join(err, o.add(&m), o.sync())
				o.drop(m.ClientID)
				o.move(m.ClientID.String()[:8])
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 3*outboxSlack {
		t.Errorf("%v bytes after 400 messages of 1000: %v", info.Size(), err)
	}
	cursor := o.Cursor()
	_ = o.Close()
	o = openOutbox(t, path)
	if got := texts(o.Left()); !slices.Equal(got, []string{"stays"}) || o.Cursor() != cursor {
		t.Errorf("left %q at %q, want %q", got, o.Cursor(), cursor)
	}
}

// TestOutboxRefuses: what isn't ours, what another has, what can't be kept.
func TestOutboxRefuses(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "letter")
	if err := os.WriteFile(foreign, []byte("Dear Ann,\nhow are you?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox(foreign); err == nil {
		t.Error("a letter was opened as an outbox")
	}
	if raw, _ := os.ReadFile(foreign); !strings.HasPrefix(string(raw), "Dear Ann") {
		t.Error("and overwritten")
	}
	if _, err := OpenOutbox(filepath.Join(dir, "missing", "outbox")); err == nil {
		t.Error("a directory that isn't there")
	}
	path := filepath.Join(dir, "outbox")
	o := openOutbox(t, path)
	if _, err := OpenOutbox(path); err == nil {
		t.Error("opened twice")
	}
	if err := o.add(&Outgoing{Room: "no room", ClientID: NewKey()}); err == nil {
		t.Error("a room id that could not be read again")
	}
	opts := options(serve(t))
	opts.Outbox = o
	d := Dial(t.Context(), opts)
	_ = o.Close()
	if _, err := d.SendWait(bounded(t), Outgoing{Room: "r1", Text: "x"}); !errors.Is(err, errOutboxClosed) {
		t.Errorf("with a closed outbox: %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("two devices on one outbox")
			}
		}()
		Dial(t.Context(), opts).Close()
	}()
	d.Close()
}

// TestOutboxOutlivesAKill: a process that sends as fast as it can is killed;
// everything whose Send had returned is in the file, in its order.
func TestOutboxOutlivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox")
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperSender$")
	cmd.Env = append(os.Environ(), "NATTER_TEST_OUTBOX="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	var said []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if said = append(said, lines.Text()); len(said) == 50 {
			_ = cmd.Process.Kill() // it goes on until the signal comes
		}
	}
	_ = cmd.Wait() // it was killed
	if len(said) < 50 {
		t.Fatalf("it said %q", said)
	}
	left := openOutbox(t, path).Left()
	if len(left) < len(said) {
		t.Fatalf("%d messages were kept and %d are left", len(said), len(left))
	}
	for i, key := range said {
		if left[i].ClientID.String() != key || left[i].Text != fmt.Sprint(i) {
			t.Fatalf("message %d is %+v, want %s", i, left[i], key)
		}
	}
}

// TestHelperSender is the process that TestOutboxOutlivesAKill kills.
func TestHelperSender(t *testing.T) {
	path := os.Getenv("NATTER_TEST_OUTBOX")
	if path == "" {
		t.Skip("it is for another test")
	}
	opts := options("http://127.0.0.1:9") // nobody is there
	opts.Outbox = openOutbox(t, path)
	d := Dial(context.Background(), opts)
	for i := range 1_000_000 {
		key := d.Send(Outgoing{Room: "r1", Text: fmt.Sprint(i)}, func(_ Receipt, err error) {})
		fmt.Println(key)
	}
}

// FuzzOutbox: no file makes the parser fall over; what it reads, written anew,
// is read as the same; and a record behind any rubbish is found.
func FuzzOutbox(f *testing.F) {
	m := Outgoing{Room: "r1", ClientID: NewKey(), Text: "hi \u2028 \xff", ReplyTo: 2}
	send := string(record{Send: recordOf(&m)}.line())
	for _, s := range []string{
		"", outboxHead, outboxHead + send, outboxHead + send + send[:40], outboxHead[:5],
		outboxHead + send + string(record{Done: m.ClientID.String()}.line()), outboxHead + string(record{Cursor: "c"}.line()),
		outboxHead + "00000000 {}\n" + send, outboxHead + "\n\x00\x00\n" + send, "natter outbox 2\n",
	} {
		f.Add([]byte(s))
	}
	extra := Outgoing{Room: "r2", ClientID: NewKey(), Text: "behind it"}
	line := record{Send: recordOf(&extra)}.line()
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseOutbox(raw)
		if err != nil {
			return
		}
		again, err := parseOutbox(c.file())
		if err != nil || again.damaged != 0 || again.cursor != c.cursor || again.bytes != c.bytes || !slices.Equal(again.messages(), c.messages()) {
			t.Fatalf("%q\nis read as %+v\nthen as   %+v, %v", raw, c, again, err)
		}
		if len(raw) < len(outboxHead) {
			return
		}
		ended := append(slices.Clip(raw), '\n')
		c, _ = parseOutbox(ended) // its last line may be whole now
		more, err := parseOutbox(append(ended, line...))
		if err != nil || !slices.Equal(more.messages(), append(c.messages(), extra)) {
			t.Fatalf("%q and a record: %+v, %v", raw, more, err)
		}
	})
}
