package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
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

// closes is how many sockets the node closed with a code.
func (c *crowd) closes(code int) int {
	c.t.Helper()
	res, err := harness.HTTP(c.t).Get(c.node.AdminURL() + "/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, fmt.Sprintf("natter_socket_closes_total{code=\"%d\"} ", code)); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(rest))
			return n
		}
	}
	return 0
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
// time; the slow one is sent away, comes back when it reads again, and has missed
// nothing.
func TestSlowReaderHurtsNobody(t *testing.T) {
	c := gather(t, 4, 2)
	slow, err := c.people[3].Cursor(harness.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	free := sync.OnceFunc(func() { close(release) })
	var dials atomic.Int64
	var mu sync.Mutex
	var texts []string
	breaks := 0
	d := client.Dial(context.Background(), client.Options{
		URLs: []string{c.node.URL()}, Token: c.people[3].Token, Cursor: slow, Name: "slow", BackoffBase: 50 * time.Millisecond,
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok && dials.Add(1) == 1 {
				err = errors.Join(err, tcp.SetReadBuffer(4<<10)) // else the kernel reads for it
			}
			return conn, err
		},
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
	// 6 MiB: beyond what the node keeps (256 KiB) and what its kernel does (4 MiB).
	const n, each = 800, 7900
	filler := strings.Repeat("0123456789", each/10+1)
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
	harness.WaitFor(t, "the node sends the slow device away", func() bool { return c.closes(4001) > 0 })
	free()
	harness.WaitFor(t, "the slow device has everything", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(texts) >= n
	})
	mu.Lock()
	defer mu.Unlock()
	if breaks == 0 {
		t.Error("the slow device didn't notice that it was sent away")
	}
	seen := map[string]bool{}
	for _, text := range texts {
		seen[text] = true
	}
	if len(texts) != n || len(seen) != n {
		t.Errorf("the slow device was shown %d messages, %d different ones, of %d", len(texts), len(seen), n)
	}
}
