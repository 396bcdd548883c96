//go:build linux

package gauntlet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/wire"
)

// The ways in which a device is connected.
const (
	overSocket = iota
	overStream // Server-Sent Events
	overPoll   // long polling
	kinds
)

func kindName(kind int) string { return [...]string{"socket", "stream", "poll"}[kind] }

// device is one device of a person, and what it has shown. Its callbacks run one
// after the other.
type device struct {
	crowd   *crowd
	person  *person
	kind    int
	reader  check.Reader
	account *client.Account
	urls    []string // a socket's nodes, its own first
	cursor  string
	touched bool // its own node is to be taken away

	socket *client.Device // one of these two
	poller *client.Poller

	last   map[chat.RoomID]chat.Seq // shown
	loaded map[chat.RoomID]chat.Seq // from history, up to here
}

// newDevice is a person's nth device, signed in and at the end of its queue.
func (w *crowd) newDevice(p *person, kind, nth int, random *rand.Rand) (*device, error) {
	d := &device{
		crowd: w, person: p, kind: kind, reader: check.Reader(fmt.Sprintf("%s/%s", p.name, kindName(kind))), account: p.account,
		last: map[chat.RoomID]chat.Seq{}, loaded: map[chat.RoomID]chat.Seq{},
	}
	nodes := w.cluster.nodes
	for i := range nodes {
		d.urls = append(d.urls, nodes[(p.number/int(kinds)+i)%len(nodes)].url())
	}
	if nth > 0 {
		d.account = w.account(w.hopper(random))
		err := w.persist("sign in", func(ctx context.Context) error {
			return d.account.SignIn(ctx, wire.SignIn{Username: p.account.User().Username, Password: password, DeviceName: kindName(kind)})
		})
		if err != nil {
			return nil, err
		}
	}
	return d, w.persist("ask for the cursor", func(ctx context.Context) error {
		var err error
		d.cursor, err = d.account.Cursor(ctx)
		return err
	})
}

// online connects the device, and says what it must be shown from now on.
func (d *device) online() error {
	w := d.crowd
	for room, last := range d.person.members {
		w.record.history.Member(room, d.reader, last)
	}
	ctx, cancel := context.WithTimeout(w.ctx, setupLimit)
	defer cancel()
	if d.kind == overSocket {
		d.socket = client.Dial(w.online, client.Options{
			URLs: d.urls, Token: d.account.Token, Cursor: d.cursor, Name: "gauntlet", NetDial: w.cluster.dial,
			Event: d.event, Reset: d.reset, AckEvery: time.Second, BackoffCap: backoffCap,
		})
		return d.socket.WaitLive(ctx)
	}
	d.poller = client.Poll(w.online, d.account, client.PollOptions{
		Cursor: d.cursor, Wait: pollWait, Stream: d.kind == overStream, Silence: streamSilence,
		Event: d.event, Reset: d.reset, BackoffCap: backoffCap,
	})
	return d.poller.WaitLive(ctx)
}

const (
	backoffCap    = 4 * time.Second  // a person at a screen doesn't wait for 30 s
	streamSilence = 12 * time.Second // over two heartbeats of 5 s
)

func (d *device) close() {
	switch {
	case d.socket != nil:
		d.socket.Close()
	case d.poller != nil:
		d.poller.Close()
	}
}

// ended tells why a device that should live doesn't.
func (d *device) ended() error {
	var err error
	if d.socket != nil {
		err = d.socket.Err()
	} else if d.poller != nil {
		select {
		case <-d.poller.Done():
			err = d.poller.Err()
		default:
		}
	}
	if err != nil {
		return fmt.Errorf("%s ended: %w", d.reader, err)
	}
	return nil
}

func (d *device) repeats() uint64 {
	if d.socket != nil {
		return d.socket.Repeats()
	}
	return d.poller.Repeats()
}

// node is where a socket is connected now, "" if nowhere or it isn't one.
func (d *device) node() string {
	if d.socket == nil || d.socket.State() != client.Live {
		return ""
	}
	return d.socket.Welcome().Node
}

func (d *device) event(e *client.Event) {
	if m := &e.Message; e.Type == chat.EventMessage && m.Seq > d.loaded[chat.RoomID(m.Room)] {
		d.show(showing{chat.RoomID(m.Room), m.Seq, m.ID, m.Key()})
	}
}

// showing is a message on a device's screen; key is zero for a system message.
type showing struct {
	room chat.RoomID
	seq  chat.Seq
	id   chat.MessageID
	key  chat.ClientID
}

func (d *device) show(s showing) {
	d.last[s.room] = max(d.last[s.room], s.seq)
	show := func(s showing) { d.crowd.record.shows(d.reader, d.touched, s) }
	if d.crowd.plant != nil {
		d.crowd.plant(d, s, show)
		return
	}
	show(s)
}

// reset: a device whose cursor isn't honoured loads what it misses from history.
func (d *device) reset() {
	d.crowd.resets.Add(1)
	for _, room := range d.person.rooms {
		after := max(d.last[room], d.person.members[room])
		_ = d.crowd.page(d.account, room, after, func(m *wire.Message) { // until it is done, or all is over
			d.show(showing{room, m.Seq, chat.MessageID(m.ID), chat.ClientID(m.ClientID)})
		})
		d.loaded[room] = d.last[room]
	}
}

// page reads a room's messages after a seq to the end, each page until it comes.
func (w *crowd) page(a *client.Account, room chat.RoomID, after chat.Seq, each func(*wire.Message)) error {
	for {
		span := client.Span{After: after, Limit: chat.MaxPage}
		if after == 0 { // After 0 would be the newest
			span = client.Span{Before: chat.MaxPage + 1, Limit: chat.MaxPage}
		}
		var page *wire.Messages
		err := w.persist("read "+string(room), func(ctx context.Context) (err error) {
			page, err = a.Messages(ctx, room, span)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page.Messages {
			each(&page.Messages[i])
			after = page.Messages[i].Seq
		}
		if !page.MoreAfter || len(page.Messages) == 0 {
			return nil
		}
	}
}

// hopper sends each request to another node, or all to one. After one that a node didn't
// take the next goes to somebody else.
type hopper struct {
	nodes []*node
	alone *atomic.Bool // there is only the first
	next  http.RoundTripper

	mu     sync.Mutex
	random *rand.Rand
	only   *node
	shy    *node // what failed last
}

func (w *crowd) hopper(random *rand.Rand) *hopper {
	return &hopper{nodes: w.cluster.nodes, alone: &w.cluster.alone, next: w.cluster.http.Transport, random: rand.New(rand.NewPCG(random.Uint64(), 3))}
}

// stay sends what comes to one node.
func (h *hopper) stay(n *node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.only = n
}

// RoundTrip picks a node and asks it.
func (h *hopper) RoundTrip(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	n := h.only
	for n == nil || n == h.shy && n != h.only && len(h.nodes) > 1 {
		n = h.nodes[h.random.IntN(len(h.nodes))]
	}
	if h.alone.Load() {
		n = h.nodes[0]
	}
	h.mu.Unlock()
	other := req.Clone(req.Context())
	other.URL.Host, other.Host = n.opts.Listen, ""
	res, err := h.next.RoundTrip(other)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shy = nil; err != nil || res.StatusCode == http.StatusServiceUnavailable {
		h.shy = n
	}
	return res, err
}
