package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
)

// stampBytes is the length of the moment at the head of every text: nanoseconds
// since world.began, in hexadecimal.
const stampBytes = 16

// drainLimit is how long after the load the last deliveries may take.
const drainLimit = 20 * time.Second

// maxFlying bounds the messages of rate mode without an answer; at the bound
// the pacer waits, and the stamps show it.
const maxFlying = 50_000

// shortestPause is how long the pacer waits at least, of a rate that is higher
// than timers are fine, or at maxFlying.
const shortestPause = 100 * time.Microsecond

// stamp is a text that begins with a moment.
func (w *world) stamp(at int64) string {
	const digits = "0123456789abcdef"
	var head [stampBytes]byte
	for i := stampBytes - 1; i >= 0; i-- {
		head[i] = digits[at&15]
		at >>= 4
	}
	return string(head[:]) + w.filler
}

// filler is the rest of every text.
func filler(bytes int) string {
	return strings.Repeat(" the quick brown fox jumps over the lazy dog", bytes/40+1)[:bytes-stampBytes]
}

// stamped reads the moment from a text; -1 if there is none.
func stamped(text []byte) int64 {
	if len(text) < stampBytes {
		return -1
	}
	var at int64
	for _, c := range text[:stampBytes] {
		switch {
		case c >= '0' && c <= '9':
			at = at<<4 | int64(c-'0')
		case c >= 'a' && c <= 'f':
			at = at<<4 | int64(c-'a'+10)
		default:
			return -1
		}
	}
	return at
}

func (w *world) now() int64 { return int64(time.Since(w.began)) }

// window is a time that is measured.
type window struct {
	opens, closes     atomic.Int64 // in nanoseconds since began; 0 is not yet
	toAck, toDelivery histogram
}

// measured tells whether what was sent at belongs to the window.
func (v *window) measured(at int64) bool {
	from, to := v.opens.Load(), v.closes.Load()
	return from != 0 && at >= from && (to == 0 || at < to)
}

// send sends a message to one of the device's rooms, whose clock starts at; again
// says whether its answer is followed by the next one.
func (p *player) send(s *seat, at int64, again bool) {
	w := p.world
	w.flying.Add(1)
	stamp := at
	if p.restless {
		stamp = 0 // before every window
	}
	p.device.Send(client.Outgoing{Room: s.room.id, Text: w.stamp(stamp)}, func(r client.Receipt, err error) {
		w.flying.Add(-1)
		switch {
		case errors.Is(err, client.ErrClosed):
			return
		case err != nil:
			w.fail(err)
		default:
			if v := w.window.Load(); v.measured(at) && !p.restless {
				v.toAck.record(time.Duration(w.now() - at))
			}
			w.acked.Add(1)
			s.room.acked.Add(1)
			s.lane.Acked(r.ID, r.Seq)
		}
		if again && !w.stopped.Load() {
			p.send(s, w.now(), true)
		}
	})
}

func (w *world) fail(err error) {
	w.errors.Add(1)
	w.firstError.CompareAndSwap(nil, &err)
}

// event is a device's callback.
func (p *player) event(e *client.Event) {
	if e.Type != chat.EventMessage {
		return
	}
	w, m := p.world, &e.Message
	for _, s := range p.seats {
		if string(s.room.id) == string(m.Room) {
			s.lane.Seen(m.ID, m.Seq, m.Person)
			s.last.Store(uint64(m.Seq))
			p.heard(m)
			return
		}
	}
	switch {
	case len(p.seats) == 0 && string(m.Sender) == p.person.id && m.Person:
		p.own.Add(1)
	case len(p.seats) > 0:
		w.fail(fmt.Errorf("a message of a room that is none of the device's: %s", m.Room))
	}
}

// heard counts a message in one of the device's rooms.
func (p *player) heard(m *client.Brief) {
	w := p.world
	if !m.Person {
		return
	}
	w.shown.Add(1)
	if string(m.Sender) == p.person.id {
		return // one's own message is no delivery
	}
	w.delivered.Add(1)
	at := stamped(m.Text)
	if v := w.window.Load(); v.measured(at) && !p.restless {
		took := time.Duration(w.now() - at)
		v.toDelivery.record(took)
		w.tick.record(took)
	}
}

// counts are what is compared at the two ends of the window.
type counts struct {
	at               time.Time
	acked, delivered int64
	cost             cost
	own              time.Duration
}

func (w *world) count(ctx context.Context) (counts, error) {
	spent, err := w.target.cost(ctx)
	return counts{at: time.Now(), acked: w.acked.Load(), delivered: w.delivered.Load(), cost: spent, own: ownCPU()}, err
}

// start puts the load on; stop ends it and waits for its goroutine.
func (w *world) start(ctx context.Context) (stop func()) {
	if w.config.Window > 0 {
		for _, p := range w.players {
			for range w.config.Window {
				p.send(p.seats[0], w.now(), true)
			}
		}
		return func() { w.stopped.Store(true) }
	}
	pacing, cancel := context.WithCancel(ctx)
	paced := make(chan struct{})
	go func() { defer close(paced); w.pace(pacing) }()
	return func() { w.stopped.Store(true); cancel(); <-paced }
}

// measure opens a window for Duration, under the load that is on, and returns
// what stood at its ends.
func (w *world) measure(ctx context.Context) (v *window, from, to counts, err error) {
	v = new(window)
	profiled := make(chan error, 1)
	if w.config.Profile != "" {
		go func() { profiled <- w.target.profile(ctx, w.config.Profile, w.config.Duration) }()
	} else {
		profiled <- nil
	}
	from, err = w.count(ctx)
	if err == nil {
		w.window.Store(v)
		v.opens.Store(max(w.now(), 1))
		rest(ctx, w.config.Duration)
		v.closes.Store(w.now())
		to, err = w.count(ctx)
	}
	return v, from, to, errors.Join(err, <-profiled, ctx.Err())
}

// pace sends Rate messages a second, from everybody in turn and into each of
// their rooms in turn, until stopped.
func (w *world) pace(ctx context.Context) {
	each := float64(time.Second) / w.config.Rate
	start, sent := w.now(), int64(0)
	dueAt := func(n int64) int64 { return start + int64(float64(n)*each) }
	all := int64(len(w.players))
	next := time.NewTimer(0)
	defer next.Stop()
	for !w.stopped.Load() {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		for ; dueAt(sent) <= w.now() && w.flying.Load() < maxFlying; sent++ {
			p := w.players[sent%all]
			p.send(p.seats[sent/all%int64(len(p.seats))], dueAt(sent), false)
		}
		next.Reset(max(time.Duration(dueAt(sent)-w.now()), shortestPause))
	}
}

// drain waits until everything acknowledged was shown to everybody, or
// drainLimit. What is missing then is lost.
func (w *world) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var due int64
		for _, r := range w.rooms {
			due += r.acked.Load() * r.size
		}
		if w.flying.Load() == 0 && w.shown.Load() >= due || w.target.ended() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
