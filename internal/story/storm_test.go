package story

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/check"
	"natter/internal/harness"
)

const (
	stormPeople = 20
	stormRate   = 200 // messages a second, all together
	stormKills  = 10
	stormGroup  = 4                       // every 4th message goes to the group of all
	stormCalm   = 1500 * time.Millisecond // the least time between two kills; up to twice this
	stormAgain  = 3                       // after every 3rd kill, another one while it starts
	stormStart  = time.Second             // at most so long after it began to
	stormDrain  = 60 * time.Second        // how long the last deliveries may take
)

// TestKilledTenTimes: 20 people send 200 messages a second, half of them over
// WebSocket and half over HTTP with long polling, in direct rooms and a group,
// while the node is killed ten times, and four more times while it starts again.
// Whatever was acknowledged is shown to every member, once, in one order without
// holes.
func TestKilledTenTimes(t *testing.T) {
	seed := rand.Uint64()
	mark := stopwatch(t)
	s := newStorm(t, seed)
	s.begin()
	mark("setting up")
	for kill := range stormKills {
		s.calm()
		s.node.Kill()
		s.node.Start()
		if kill%stormAgain == 0 {
			after := time.Duration(s.random.Int64N(int64(stormStart)))
			s.wait(after)
			s.node.Kill()
			s.node.Start()
			t.Logf("kill %d: killed again %s later", kill+1, after.Round(time.Millisecond))
		}
		took := s.node.WaitReady()
		t.Logf("kill %d: ready again after %s", kill+1, took.Round(time.Millisecond))
	}
	s.calm()
	mark("the load")
	s.end()
	mark("the last answers and deliveries, and reading the history")
	rep := s.history.Check()
	t.Logf("seed %d: %s\nrepeats dropped by the devices %d, resets %d, longest time without a delivery %s",
		seed, rep, s.repeats(), s.resets.Load(), time.Duration(s.longest.Load()).Round(time.Millisecond))
	if !rep.OK() {
		t.Error("the promise is broken")
	}
	if rep.Acked != rep.Sent || rep.Sent < stormRate*10 {
		t.Errorf("%d of %d messages were acknowledged in the end", rep.Acked, rep.Sent)
	}
	if n := s.resets.Load(); n > 0 {
		t.Errorf("%d cursors were not honoured, and every one was young", n)
	}
}

// stopwatch logs how long each part of a story took.
func stopwatch(t *testing.T) (mark func(what string)) {
	last := time.Now()
	return func(what string) {
		t.Logf("%s took %s", what, time.Since(last).Round(time.Millisecond))
		last = time.Now()
	}
}

// storm is the load and what is written down about it.
type storm struct {
	t       *testing.T
	node    *harness.Node
	history *check.History
	random  *rand.Rand // the test's goroutine's own
	people  []*stormPerson
	group   chat.RoomID

	stop   context.CancelFunc // ends the load
	ctx    context.Context    // ends the devices
	cancel context.CancelFunc
	work   sync.WaitGroup // the pacer and the HTTP senders

	resets          atomic.Int64
	shown           atomic.Int64 // when the last delivery was, in nanoseconds
	longest         atomic.Int64
	waiting, failed atomic.Int64 // sends without an answer; sends refused
}

type stormPerson struct {
	*harness.Person
	name   string
	direct chat.RoomID
	device *client.Device // one of these two
	poller *client.Poller
	queue  chan client.Outgoing // of the poller's sender
}

func newStorm(t *testing.T, seed uint64) *storm {
	s := &storm{t: t, node: harness.StartNode(t), history: check.NewHistory(), random: rand.New(rand.NewPCG(seed, 1))}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	t.Cleanup(s.cancel)
	s.people = make([]*stormPerson, stormPeople)
	var signing sync.WaitGroup
	for i := range s.people {
		signing.Go(func() {
			s.people[i] = &stormPerson{Person: harness.SignUp(t, s.node, fmt.Sprintf("storm%c", 'a'+i)), name: fmt.Sprintf("p%02d", i)}
		})
	}
	signing.Wait()
	if t.Failed() {
		t.FailNow()
	}
	var others []*harness.Person
	for i, p := range s.people {
		p.direct = p.DirectWith(s.people[i^1].Person)
		if i > 0 {
			others = append(others, p.Person)
		}
	}
	s.group = s.people[0].GroupWith("everybody", others...)
	return s
}

// begin brings everybody online and starts the load.
func (s *storm) begin() {
	s.t.Helper()
	for i, p := range s.people {
		reader := check.Reader(p.name)
		for _, room := range []chat.RoomID{p.direct, s.group} {
			last := p.Entry(room).LastSeq
			s.history.Member(room, reader, last)
			s.history.Member(room, "history", 0)
		}
		cursor, err := p.Account.Cursor(harness.Context(s.t))
		if err != nil {
			s.t.Fatal(err)
		}
		seen := func(e *client.Event) {
			if e.Type == chat.EventMessage {
				m := &e.Message
				s.history.Seen(chat.RoomID(m.Room), reader, m.Seq, m.ID, m.Key())
				s.delivery()
			}
		}
		reset := func() { s.resets.Add(1) }
		if i%4 < 2 == (i%2 == 0) { // in each pair one of each, in turn
			p.device = client.Dial(s.ctx, client.Options{
				URLs: []string{s.node.URL()}, Token: p.Token, Cursor: cursor, Name: "storm",
				Event: seen, Reset: reset, AckEvery: time.Second, BackoffCap: 4 * time.Second,
			})
			s.t.Cleanup(p.device.Close)
			err = p.device.WaitLive(harness.Context(s.t))
		} else {
			p.poller = client.Poll(s.ctx, p.Account, client.PollOptions{
				Cursor: cursor, Wait: 10 * time.Second, Event: seen, Reset: reset, BackoffCap: 4 * time.Second,
			})
			s.t.Cleanup(p.poller.Close)
			p.queue = make(chan client.Outgoing, 1<<15)
			s.work.Go(func() { s.post(p) })
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.shown.Store(time.Now().UnixNano())
	load, stop := context.WithCancel(s.ctx)
	s.stop = stop
	random := rand.New(rand.NewPCG(s.random.Uint64(), 2)) // the pacer's own
	s.work.Go(func() { s.pace(load, random) })
}

// pace sends stormRate messages a second, whatever the node does.
func (s *storm) pace(ctx context.Context, random *rand.Rand) {
	defer func() {
		for _, p := range s.people {
			if p.queue != nil {
				close(p.queue)
			}
		}
	}()
	tick := time.NewTicker(time.Second / stormRate)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p := s.people[random.IntN(len(s.people))]
		m := client.Outgoing{Room: p.direct, ClientID: client.NewKey(), Text: fmt.Sprintf("%s says %d", p.name, n)}
		if random.IntN(stormGroup) == 0 {
			m.Room = s.group
		}
		s.waiting.Add(1)
		if p.queue != nil {
			p.queue <- m
			continue
		}
		s.history.Sent(m.Room, p.name, m.ClientID)
		p.device.Send(m, func(r client.Receipt, err error) { s.answered(m, r, err) })
	}
}

// post sends a long-poller's messages one after the other.
func (s *storm) post(p *stormPerson) {
	for m := range p.queue {
		s.history.Sent(m.Room, p.name, m.ClientID)
		r, err := p.poller.SendWait(s.ctx, m)
		s.answered(m, r, err)
	}
}

func (s *storm) answered(m client.Outgoing, r client.Receipt, err error) {
	defer s.waiting.Add(-1)
	switch {
	case err == nil:
		s.history.Acked(m.Room, m.ClientID, r.ID, r.Seq)
	case !errors.Is(err, client.ErrClosed) && s.ctx.Err() == nil:
		if s.failed.Add(1) <= 5 {
			s.t.Errorf("%s was refused: %v", m.Text, err)
		}
	}
}

// delivery notes that somebody was shown something.
func (s *storm) delivery() {
	now := time.Now().UnixNano()
	gap := now - s.shown.Swap(now)
	for {
		longest := s.longest.Load()
		if gap <= longest || s.longest.CompareAndSwap(longest, gap) {
			return
		}
	}
}

// calm lets the load run for a while.
func (s *storm) calm() {
	s.wait(stormCalm + time.Duration(s.random.Int64N(int64(stormCalm))))
}

func (s *storm) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.t.Context().Done():
	}
}

// end stops the load, waits for the last answers and deliveries, stops the
// devices, and reads every room's history from a node that started once more.
func (s *storm) end() {
	s.t.Helper()
	s.stop()
	harness.WaitUpTo(s.t, stormDrain, "every send is answered", func() bool { return s.waiting.Load() == 0 })
	s.work.Wait()
	deadline := time.Now().Add(stormDrain)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.missing() > 0 && time.Now().Before(deadline) {
		<-tick.C
	}
	for _, p := range s.people {
		if p.device != nil {
			p.device.Close()
		} else {
			p.poller.Close()
		}
	}
	s.node.Stop()
	s.node.Start()
	s.node.WaitReady()
	for i, p := range s.people {
		if i%2 == 0 {
			s.readHistory(p, p.direct)
		}
	}
	s.readHistory(s.people[0], s.group)
}

// missing is what the devices have not been shown yet. The history's own reader
// comes last and is not waited for.
func (s *storm) missing() int {
	return s.history.Missing(func(r check.Reader) bool { return r != "history" })
}

// readHistory writes a room's whole history down as one more reader.
func (s *storm) readHistory(p *stormPerson, room chat.RoomID) {
	s.t.Helper()
	for after := chat.Seq(0); ; {
		page, err := p.Messages(harness.Context(s.t), room, client.Span{After: after, Limit: chat.MaxPage})
		if after == 0 {
			page, err = p.Messages(harness.Context(s.t), room, client.Span{Before: chat.MaxPage + 1, Limit: chat.MaxPage})
		}
		if err != nil {
			s.t.Fatalf("history of %s: %v", room, err)
		}
		for _, m := range page.Messages {
			s.history.Seen(room, "history", m.Seq, chat.MessageID(m.ID), chat.ClientID(m.ClientID))
			after = m.Seq
		}
		if !page.MoreAfter || len(page.Messages) == 0 {
			return
		}
	}
}

func (s *storm) repeats() (n uint64) {
	for _, p := range s.people {
		if p.device != nil {
			n += p.device.Repeats()
		} else {
			n += p.poller.Repeats()
		}
	}
	return n
}
