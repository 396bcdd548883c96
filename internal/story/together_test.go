package story

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/internal/harness"
)

// crowd is a group of people with several devices each, all online and all
// written down.
type crowd struct {
	t       *testing.T
	node    *harness.Node
	people  []*harness.Person
	room    chat.RoomID
	devices []*client.Device
	history *check.History
	lives   []atomic.Int64 // how often each device became live
	shown   atomic.Int64   // texts, at all devices together
	answers sync.WaitGroup
}

func gather(t *testing.T, people, sockets int) *crowd {
	t.Helper()
	c := &crowd{t: t, node: harness.StartNode(t), history: check.NewHistory(), people: make([]*harness.Person, people), lives: make([]atomic.Int64, people*sockets)}
	for i := range c.people {
		c.people[i] = harness.SignUp(t, c.node, fmt.Sprintf("crowd%c", 'a'+i))
	}
	c.room = c.people[0].GroupWith("all of them", c.people[1:]...)
	last := c.people[0].Entry(c.room).LastSeq
	for i := range people * sockets {
		p, reader := c.people[i%people], check.Reader(fmt.Sprintf("device %d", i))
		cursor, err := p.Cursor(harness.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		c.history.Member(c.room, reader, last)
		d := client.Dial(context.Background(), client.Options{
			URLs: []string{c.node.URL()}, Token: p.Token, Cursor: cursor, Name: "crowd",
			BackoffBase: 100 * time.Millisecond, BackoffCap: 2 * time.Second,
			Event: func(e *client.Event) {
				if m := &e.Message; e.Type == chat.EventMessage {
					c.history.Seen(chat.RoomID(m.Room), reader, m.Seq, m.ID, m.Key())
					if m.Person {
						c.shown.Add(1)
					}
				}
			},
			State: func(s client.State, _ error) {
				if s == client.Live {
					c.lives[i].Add(1)
				}
			},
		})
		t.Cleanup(d.Close)
		if err := d.WaitLive(harness.Context(t)); err != nil {
			t.Fatal(err)
		}
		c.devices = append(c.devices, d)
	}
	return c
}

// says sends from a device; the answer is waited for at the end.
func (c *crowd) says(device int, text string) {
	m := client.Outgoing{Room: c.room, ClientID: client.NewKey(), Text: text}
	c.history.Sent(c.room, fmt.Sprint(device), m.ClientID)
	c.answers.Add(1)
	c.devices[device].Send(m, func(r client.Receipt, err error) {
		defer c.answers.Done()
		if err != nil {
			c.t.Errorf("%q: %v", text, err)
			return
		}
		c.history.Acked(c.room, m.ClientID, r.ID, r.Seq)
	})
}

// judged waits until every device was shown all of n texts, and judges.
func (c *crowd) judged(n int) {
	c.t.Helper()
	harness.WaitUpTo(c.t, 2*harness.Patience, "every device has every message", func() bool {
		return c.shown.Load() >= int64(n*len(c.devices))
	})
	c.answers.Wait()
	for _, d := range c.devices {
		d.Close()
	}
	if rep := c.history.Check(); !rep.OK() || rep.Acked != n {
		c.t.Errorf("of %d messages: %s", n, rep)
	}
}

// TestAllComeBackAtOnce: 8 people with 8 devices each lose every connection at
// the same moment, three times, while they write. All are synced again, and each
// device is shown every message once.
func TestAllComeBackAtOnce(t *testing.T) {
	c := gather(t, 8, 8)
	sent := 0
	for round := range 3 {
		for i, d := range c.devices {
			c.says(i, fmt.Sprintf("round %d, device %d", round, i))
			d.Reconnect()
			sent++
		}
		for i := range c.devices {
			harness.WaitFor(t, fmt.Sprintf("device %d is synced again", i), func() bool { return c.lives[i].Load() >= int64(round)+2 })
		}
	}
	c.judged(sent)
}

// TestSlowReaderHurtsNobody: a device of the group takes nothing at all, while
// the others write more than the node keeps for it. They are told everything in
// time; the slow one, sent away or only left behind, has missed nothing once it
// reads again.
func TestSlowReaderHurtsNobody(t *testing.T) {
	c := gather(t, 4, 2)
	slow, err := c.people[3].Cursor(harness.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	free := sync.OnceFunc(func() { close(release) })
	var mu sync.Mutex
	var texts []string
	breaks := 0
	d := client.Dial(context.Background(), client.Options{
		URLs: []string{c.node.URL()}, Token: c.people[3].Token, Cursor: slow, Name: "slow", BackoffBase: 50 * time.Millisecond,
		Event: func(e *client.Event) {
			once.Do(func() { close(stuck); <-release }) // it reads no further
			if e.Type == chat.EventMessage && e.Message.Person {
				full, err := e.Full()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				texts = append(texts, full.Message.Text[:8])
				mu.Unlock()
			}
		},
		State: func(s client.State, _ error) {
			if s == client.Waiting {
				mu.Lock()
				breaks++
				mu.Unlock()
			}
		},
	})
	t.Cleanup(d.Close)
	t.Cleanup(free) // first, so that Close can end it
	if err := d.WaitLive(harness.Context(t)); err != nil {
		t.Fatal(err)
	}
	// 12 MiB: beyond what the node keeps (256 KiB) and both ends' kernels do.
	const n, each = 1600, 7900
	filler := string(make([]byte, 0, each))
	for len(filler) < each {
		filler += "0123456789"
	}
	for i := range n {
		c.says(i%len(c.devices), fmt.Sprintf("%08d", i)+filler[:each-8])
		if i == 0 {
			select {
			case <-stuck:
			case <-time.After(harness.Patience):
				t.Fatal("the slow device hears nothing")
			}
		}
	}
	c.judged(n) // with the slow one still stuck
	free()
	harness.WaitFor(t, "the slow device has everything", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(texts) >= n
	})
	mu.Lock()
	defer mu.Unlock()
	t.Logf("the slow device lost its connection %d times", breaks)
	seen := map[string]bool{}
	for _, text := range texts {
		seen[text] = true
	}
	if len(texts) != n || len(seen) != n {
		t.Errorf("the slow device was shown %d messages, %d different ones, of %d", len(texts), len(seen), n)
	}
}

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
