//go:build linux

package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	"natter/wire"
)

func TestMain(m *testing.M) { harness.Main(m, harness.FasthttpKeeps...) }

// long multiplies what a test repeats.
func long() int {
	if os.Getenv("FAULT_LONG") != "" {
		return 10
	}
	return 1
}

// dice is a test's source of chance, and says how to have it again.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("FAULT_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("FAULT_SEED: %v", err)
		}
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// dataDir is a data directory on the machine's own disk that outlives a test that
// failed.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "natter-fault-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the data is kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return filepath.Join(dir, "data")
}

// traffic says what a load is.
type traffic struct {
	people int // even; every other one over WebSocket, the rest over HTTP
	rate   int // messages a second, all together
	group  int // every nth message goes to the group of all, the rest to pairs
	bytes  int // a text's length, about
}

const (
	drainWithin = 60 * time.Second // the last deliveries, and each of the last answers
	quietFor    = 5 * time.Second  // after which what is missing is taken for lost
)

// load is people who talk, and what is written down about it.
type load struct {
	traffic
	t       *testing.T
	node    *harness.Node
	history *check.History
	persons []*talker
	room    chat.RoomID // of all

	ctx      context.Context // ends the devices
	stop     context.CancelFunc
	paced    chan struct{}  // closed when nobody sends any more
	work     sync.WaitGroup // the pacer and the HTTP senders
	tolerant bool           // durability: fast may refuse what it has forgotten
	jumbled  bool           // writes fail: sends are refused and come again, behind later ones; cursors may be reset

	waiting, refused, resets atomic.Int64
	shown, longest           atomic.Int64 // when the last delivery was; the longest time between two; nanoseconds
}

// talker is a person with one device.
type talker struct {
	*harness.Person
	name   string
	direct chat.RoomID
	device *client.Device // one of these two
	poller *client.Poller
	queue  chan client.Outgoing     // of the poller's sender
	owed   atomic.Int64             // sends without an answer
	last   map[chat.RoomID]chat.Seq // of what was shown; its device's goroutine's
}

// newLoad signs people up and makes their rooms.
func newLoad(t *testing.T, node *harness.Node, tr traffic) *load {
	t.Helper()
	l := &load{traffic: tr, t: t, node: node, history: check.NewHistory(), persons: make([]*talker, tr.people)}
	var signing sync.WaitGroup
	for i := range l.persons {
		signing.Go(func() {
			l.persons[i] = &talker{Person: harness.SignUp(t, node, fmt.Sprintf("talker%c", 'a'+i)), name: fmt.Sprintf("p%02d", i)}
		})
	}
	signing.Wait()
	if t.Failed() {
		t.FailNow()
	}
	var others []*harness.Person
	for i, p := range l.persons {
		p.direct = p.DirectWith(l.persons[i^1].Person)
		if i > 0 {
			others = append(others, p.Person)
		}
	}
	l.room = l.persons[0].GroupWith("everybody", others...)
	return l
}

// begin brings everybody online and starts them talking.
func (l *load) begin(random *rand.Rand) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	l.ctx = ctx
	for i, p := range l.persons {
		reader := check.Reader(p.name)
		for _, room := range []chat.RoomID{p.direct, l.room} {
			l.history.Member(room, reader, p.Entry(room).LastSeq)
			l.history.Member(room, "history", 0)
		}
		cursor, err := p.Account.Cursor(harness.Context(l.t))
		if err != nil {
			l.t.Fatal(err)
		}
		p.last = map[chat.RoomID]chat.Seq{}
		show := func(room chat.RoomID, seq chat.Seq, id chat.MessageID, key chat.ClientID) {
			p.last[room] = max(p.last[room], seq)
			l.history.Seen(room, reader, seq, id, key)
			l.delivery()
		}
		loaded := map[chat.RoomID]chat.Seq{} // from history, up to here
		seen := func(e *client.Event) {
			if m := &e.Message; e.Type == chat.EventMessage && m.Seq > loaded[chat.RoomID(m.Room)] {
				show(chat.RoomID(m.Room), m.Seq, m.ID, m.Key())
			}
		}
		// A device whose cursor isn't honoured loads what it misses from history.
		reset := func() {
			l.resets.Add(1)
			for _, room := range []chat.RoomID{p.direct, l.room} {
				l.page(p, room, p.last[room], func(m *wire.Message) {
					show(room, m.Seq, chat.MessageID(m.ID), chat.ClientID(m.ClientID))
				})
				loaded[room] = p.last[room]
			}
		}
		const base, limit = 100 * time.Millisecond, time.Second
		if i%4 < 2 == (i%2 == 0) { // in each pair one of each, in turn
			p.device = client.Dial(ctx, client.Options{
				URLs: []string{l.node.URL()}, Token: p.Token, Cursor: cursor, Name: "fault",
				Event: seen, Reset: reset, AckEvery: time.Second, BackoffBase: base, BackoffCap: limit,
			})
			l.t.Cleanup(p.device.Close)
			err = p.device.WaitLive(harness.Context(l.t))
		} else {
			p.poller = client.Poll(ctx, p.Account, client.PollOptions{
				Cursor: cursor, Wait: 10 * time.Second, Event: seen, Reset: reset, BackoffBase: base, BackoffCap: limit,
			})
			l.t.Cleanup(p.poller.Close)
			p.queue = make(chan client.Outgoing, 1<<16)
			l.work.Go(func() { l.post(p) })
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
	l.shown.Store(time.Now().UnixNano())
	talking, stop := context.WithCancel(ctx)
	l.stop = stop
	own := rand.New(rand.NewPCG(random.Uint64(), 2)) // the pacer's
	l.paced = make(chan struct{})
	l.work.Go(func() { l.pace(talking, own) })
}

// pace sends rate messages a second, whatever the node does.
func (l *load) pace(ctx context.Context, random *rand.Rand) {
	defer close(l.paced)
	defer func() {
		for _, p := range l.persons {
			if p.queue != nil {
				close(p.queue)
			}
		}
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	filling := strings.Repeat("말 ", l.bytes/4+1)
	for n := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(began).Seconds() * float64(l.rate) / slowdown); n < due; n++ {
			p := l.persons[random.IntN(len(l.persons))]
			m := client.Outgoing{Room: p.direct, ClientID: client.NewKey(), Text: fmt.Sprintf("%s says %d %s", p.name, n, filling)}
			if random.IntN(l.group) == 0 {
				m.Room = l.room
			}
			l.waiting.Add(1)
			p.owed.Add(1)
			if p.queue != nil {
				p.queue <- m
				continue
			}
			l.sends(p, m)
			p.device.Send(m, func(r client.Receipt, err error) { l.answered(p, m, r, err) })
		}
	}
}

// sends writes down that a message is about to leave.
func (l *load) sends(p *talker, m client.Outgoing) {
	by := p.name
	if l.jumbled { // each is a sender of its own, so that none is before another
		by = m.ClientID.String()
	}
	l.history.Sent(m.Room, by, m.ClientID)
}

// post sends one person's messages one after the other.
func (l *load) post(p *talker) {
	for m := range p.queue {
		l.sends(p, m)
		r, err := p.poller.SendWait(l.ctx, m)
		l.answered(p, m, r, err)
	}
}

func (l *load) answered(p *talker, m client.Outgoing, r client.Receipt, err error) {
	defer l.waiting.Add(-1)
	defer p.owed.Add(-1)
	switch {
	case err == nil:
		l.history.Acked(m.Room, m.ClientID, r.ID, r.Seq)
	case !errors.Is(err, client.ErrClosed) && l.ctx.Err() == nil:
		if l.refused.Add(1) <= 3 && !l.tolerant {
			l.t.Errorf("%.40s… was refused: %v", m.Text, err)
		}
	}
}

// delivery notes that somebody was shown something.
func (l *load) delivery() {
	now := time.Now().UnixNano()
	gap := now - l.shown.Swap(now)
	for {
		longest := l.longest.Load()
		if gap <= longest || l.longest.CompareAndSwap(longest, gap) {
			return
		}
	}
}

// talk lets the load run for a random time between least and most.
func (l *load) talk(random *rand.Rand, least, most time.Duration) {
	t := time.NewTimer(least + time.Duration(random.Int64N(int64(most-least))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.t.Context().Done():
	}
}

// end stops the load, waits for the last answers and deliveries, reads every
// room's history from a node that started once more, and judges.
func (l *load) end() *check.Report {
	l.t.Helper()
	l.stop()
	<-l.paced // it may be about to send once more
	defer func() {
		for _, p := range l.persons {
			if n := p.owed.Load(); n > 0 {
				over := "HTTP"
				if p.device != nil {
					over = "WebSocket, " + p.device.State().String()
				}
				l.t.Logf("%s waits for %d answers over %s", p.name, n, over)
			}
		}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	l.settle(tick.C)
	l.work.Wait()
	deadline := time.Now().Add(drainWithin * time.Duration(long()))
	for l.missing() > 0 && time.Now().Before(deadline) && time.Since(time.Unix(0, l.shown.Load())) < quietFor {
		<-tick.C
	}
	for _, p := range l.persons {
		if p.device != nil {
			p.device.Close()
		} else {
			p.poller.Close()
		}
	}
	l.node.Stop()
	l.node.Start()
	l.node.WaitReady()
	for i, p := range l.persons {
		if i%2 == 0 {
			l.readHistory(p, p.direct)
		}
	}
	l.readHistory(l.persons[0], l.room)
	return l.history.Check()
}

// settle waits until every send is answered, for as long as answers come: who is on HTTP
// sends one after the other, and how long hundreds take is the machine's.
func (l *load) settle(tick <-chan time.Time) {
	l.t.Helper()
	last, since := l.waiting.Load(), time.Now()
	for last > 0 {
		<-tick
		switch now := l.waiting.Load(); {
		case now != last:
			last, since = now, time.Now()
		case time.Since(since) > drainWithin*time.Duration(long()):
			l.t.Fatalf("%d sends have no answer, and for %s none came", last, time.Since(since).Round(time.Second))
		}
	}
}

// missing is what the devices have not been shown yet.
func (l *load) missing() int {
	return l.history.Missing(func(r check.Reader) bool { return r != "history" })
}

// readHistory writes a room's whole history down as one more reader.
func (l *load) readHistory(p *talker, room chat.RoomID) {
	l.t.Helper()
	l.readAs("history", p, room)
}

// readAgain is readHistory once more, by a reader of its own.
func (l *load) readAgain(p *talker, room chat.RoomID) {
	l.t.Helper()
	l.history.Member(room, "history again", 0)
	l.readAs("history again", p, room)
}

func (l *load) readAs(reader check.Reader, p *talker, room chat.RoomID) {
	l.t.Helper()
	err := l.page(p, room, 0, func(m *wire.Message) {
		l.history.Seen(room, reader, m.Seq, chat.MessageID(m.ID), chat.ClientID(m.ClientID))
	})
	if err != nil && !l.tolerant {
		l.t.Errorf("history of %s: %v", room, err)
	}
}

// page reads a room's messages after a seq, page by page.
func (l *load) page(p *talker, room chat.RoomID, after chat.Seq, each func(*wire.Message)) error {
	span := client.Span{After: after, Limit: chat.MaxPage}
	if after == 0 { // After 0 would be the newest
		span = client.Span{Before: chat.MaxPage + 1, Limit: chat.MaxPage}
	}
	for {
		ctx, cancel := context.WithTimeout(l.ctx, harness.Patience)
		page, err := p.Messages(ctx, room, span)
		cancel()
		if err != nil {
			return err
		}
		for i := range page.Messages {
			each(&page.Messages[i])
			span = client.Span{After: page.Messages[i].Seq, Limit: chat.MaxPage}
		}
		if !page.MoreAfter || len(page.Messages) == 0 {
			return nil
		}
	}
}

// repeats is how many messages came to devices that had them, and were dropped.
func (l *load) repeats() (n uint64) {
	for _, p := range l.persons {
		if p.device != nil {
			n += p.device.Repeats()
		} else {
			n += p.poller.Repeats()
		}
	}
	return n
}

// kept asserts the promise and prints the figures.
func (l *load) kept(rep *check.Report) {
	l.t.Helper()
	l.t.Logf("%s\nrepeats dropped by the devices %d, resets %d, longest time without a delivery %s",
		rep, l.repeats(), l.resets.Load(), time.Duration(l.longest.Load()).Round(time.Millisecond))
	if !rep.OK() {
		l.t.Error("the promise is broken")
	}
	if rep.Acked != rep.Sent {
		l.t.Errorf("%d of %d messages were acknowledged in the end", rep.Acked, rep.Sent)
	}
	if n := l.resets.Load(); n > 0 && !l.jumbled {
		l.t.Errorf("%d cursors were not honoured, and every one was young", n)
	}
}
