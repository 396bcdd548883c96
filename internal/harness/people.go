// Package harness lets tests tell stories: nodes that are started, killed and
// started again as processes; people with devices; waiting on conditions. Its
// functions take t, fail it themselves and clean up after it.
package harness

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/wire"
)

// Patience is how long a condition may take to come true.
const Patience = 30 * time.Second

// Password is everybody's.
const Password = "a password for tests"

// Context ends with the test, or after Patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// WaitFor waits until is returns true and fails the test with what if it doesn't.
func WaitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	WaitUpTo(t, Patience, what, is)
}

// WaitUpTo is WaitFor with another patience.
func WaitUpTo(t testing.TB, patience time.Duration, what string, is func() bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// Person is somebody who signed up; each Account is one of their devices.
type Person struct {
	t        testing.TB
	url      string
	Username string
	*client.Account
}

var people atomic.Int64

// HTTP is a client for calls to nodes; its connections end with the test.
func HTTP(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 70 * time.Second, Transport: transport}
}

// SignUp makes a person, whose username begins with name.
func SignUp(t testing.TB, n *Node, name string) *Person {
	t.Helper()
	p := &Person{t: t, url: n.URL(), Username: fmt.Sprintf("%s%d", strings.ToLower(name), people.Add(1)), Account: client.NewAccount(n.URL(), HTTP(t))}
	if err := p.Account.SignUp(Context(t), wire.SignUp{Username: p.Username, Password: Password, Name: name, DeviceName: "phone"}); err != nil {
		t.Fatalf("%s signs up: %v", name, err)
	}
	return p
}

// AnotherDevice is the same person, signed in once more.
func (p *Person) AnotherDevice(name string) *Person {
	p.t.Helper()
	other := &Person{t: p.t, url: p.url, Username: p.Username, Account: client.NewAccount(p.url, HTTP(p.t))}
	if err := other.SignIn(Context(p.t), wire.SignIn{Username: p.Username, Password: Password, DeviceName: name}); err != nil {
		p.t.Fatalf("%s signs in: %v", p.Username, err)
	}
	return other
}

// DeviceAt is one more device of the same person, signed in at another node.
func (p *Person) DeviceAt(n *Node, name string) *Person {
	p.t.Helper()
	return (&Person{t: p.t, url: n.URL(), Username: p.Username}).AnotherDevice(name)
}

// ID is the person's.
func (p *Person) ID() chat.UserID { return p.User().ID }

// DirectWith is the room of the two.
func (p *Person) DirectWith(other *Person) chat.RoomID {
	p.t.Helper()
	room, err := p.Direct(Context(p.t), other.ID())
	if err != nil {
		p.t.Fatalf("%s opens a direct room with %s: %v", p.Username, other.Username, err)
	}
	return room.ID
}

// GroupWith is a new room of several.
func (p *Person) GroupWith(name string, others ...*Person) chat.RoomID {
	p.t.Helper()
	var ids []chat.UserID
	for _, o := range others {
		ids = append(ids, o.ID())
	}
	room, err := p.Group(Context(p.t), name, ids...)
	if err != nil {
		p.t.Fatalf("%s makes the group %s: %v", p.Username, name, err)
	}
	return room.ID
}

// Entry is the room in the person's list; it fails the test if it isn't there.
func (p *Person) Entry(room chat.RoomID) wire.RoomEntry {
	p.t.Helper()
	rooms, err := p.Rooms(Context(p.t))
	if err != nil {
		p.t.Fatalf("%s lists rooms: %v", p.Username, err)
	}
	for _, e := range rooms {
		if e.Room.ID == room {
			return e
		}
	}
	p.t.Fatalf("%s does not list room %s", p.Username, room)
	return wire.RoomEntry{}
}

// Phone is a live device that remembers what it was told.
type Phone struct {
	*client.Device
	t testing.TB

	mu     sync.Mutex
	events []wire.Event
	news   []wire.Frame
	resets int
}

// Online connects the person's device from cursor on; empty is its own place.
// change, if not nil, may change the options first.
func (p *Person) Online(cursor string, change func(*client.Options)) *Phone {
	p.t.Helper()
	ph := &Phone{t: p.t}
	opts := client.Options{
		URLs: []string{p.url}, Token: p.Token, Cursor: cursor, Name: "story", AckEvery: 100 * time.Millisecond,
		Event: ph.event,
		News:  func(f wire.Frame) { ph.mu.Lock(); ph.news = append(ph.news, f); ph.mu.Unlock() },
		Reset: func() { ph.mu.Lock(); ph.resets++; ph.mu.Unlock() },
	}
	if change != nil {
		change(&opts)
	}
	ph.Device = client.Dial(context.Background(), opts)
	p.t.Cleanup(ph.Close)
	if err := ph.WaitLive(Context(p.t)); err != nil {
		p.t.Fatalf("%s goes online: %v", p.Username, err)
	}
	return ph
}

func (ph *Phone) event(e *client.Event) {
	full, err := e.Full()
	if err != nil {
		ph.t.Errorf("an event that can't be read: %v", err)
		return
	}
	ph.mu.Lock()
	ph.events = append(ph.events, *full)
	ph.mu.Unlock()
}

// Events are those told so far.
func (ph *Phone) Events() []wire.Event {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return append([]wire.Event(nil), ph.events...)
}

// News are the passing frames told so far.
func (ph *Phone) News() []wire.Frame {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return append([]wire.Frame(nil), ph.news...)
}

// Resets is how often the server could not honour the cursor.
func (ph *Phone) Resets() int {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return ph.resets
}

// Texts are the texts of a room's messages told so far, in order.
func (ph *Phone) Texts(room chat.RoomID) []string {
	var texts []string
	for _, e := range ph.Events() {
		if e.Type == chat.EventMessage && e.Message.RoomID == room && e.Message.Kind == chat.KindText {
			texts = append(texts, e.Message.Text)
		}
	}
	return texts
}

// Says sends a message and waits for its receipt.
func (ph *Phone) Says(room chat.RoomID, text string) client.Receipt {
	ph.t.Helper()
	r, err := ph.SendWait(Context(ph.t), client.Outgoing{Room: room, Text: text})
	if err != nil {
		ph.t.Fatalf("says %q: %v", text, err)
	}
	return r
}

// Hears waits until an event comes for which is returns true, and returns it.
func (ph *Phone) Hears(what string, is func(*wire.Event) bool) wire.Event {
	ph.t.Helper()
	var found wire.Event
	WaitFor(ph.t, "hears "+what, func() bool {
		for _, e := range ph.Events() {
			if is(&e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// HearsText waits for a message with that text.
func (ph *Phone) HearsText(room chat.RoomID, text string) wire.Message {
	ph.t.Helper()
	e := ph.Hears(fmt.Sprintf("%q", text), func(e *wire.Event) bool {
		return e.Type == chat.EventMessage && e.Message.RoomID == room && e.Message.Text == text
	})
	return *e.Message
}
