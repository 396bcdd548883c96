package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
)

// MixedResult is a day of chat in short: messages in pairs and groups at a
// steady rate, and beside them one more thing somebody does every mixedBeat.
type MixedResult struct {
	Without MixedPhase  `json:"without_slow_readers"`
	With    *MixedPhase `json:"with_slow_readers,omitempty"`
	Growth  Growth      `json:"growth_without_slow_readers"`

	Slow int `json:"slow_readers"`
	// SlowHeapBytes is by how much less lives in the node's heap after they have
	// gone, for each, under the same load. It has the noise of the rest of the heap
	// in it: measure with many.
	SlowHeapBytes int64   `json:"heap_bytes_each_slow_reader,omitempty"`
	SlowClosed    int64   `json:"slow_readers_sent_away,omitempty"` // by the node, as too slow
	P99Ratio      float64 `json:"delivery_p99_with_to_without,omitempty"`

	Marks      int64   `json:"read_marks"`
	Typings    int64   `json:"typings"`
	Reconnects int64   `json:"reconnects"`
	Pages      Latency `json:"history_pages"`
}

// MixedPhase is one of the two halves.
type MixedPhase struct {
	Seconds            float64 `json:"seconds"`
	AckedPerSecond     float64 `json:"acked_per_second"`
	DeliveredPerSecond float64 `json:"delivered_per_second"`
	ToAck              Latency `json:"send_to_ack"`
	ToDelivery         Latency `json:"send_to_delivery"`
	ServerCores        float64 `json:"server_cores_used"`
	RSSBytes           int64   `json:"server_rss_bytes"`       // median
	LiveHeapBytes      int64   `json:"server_live_heap_bytes"` // after a collection, under load
}

const (
	mixedBeat    = 10 * time.Millisecond
	mixedWorkers = 4
	restlessEach = 10 // every 10th device comes and goes, in pairs too
	actLimit     = 10 * time.Second
)

// mixed is the workload.
func (w *world) mixed(ctx context.Context, r *Result) error {
	c := w.config
	if err := w.populate(ctx, c.Users, c.Users); err != nil {
		return err
	}
	if err := w.makeRooms(ctx, 2, true); err != nil {
		return err
	}
	if err := w.makeRooms(ctx, c.GroupSize, false); err != nil {
		return err
	}
	if err := w.connect(ctx, w.players); err != nil {
		return err
	}
	w.mayBreak = true
	for i, p := range w.players {
		p.restless = i%restlessEach == 0
	}
	c.Window = 0
	m := &MixedResult{Slow: c.Slow}
	r.Mixed = m
	stop := w.start(ctx)
	quiet := w.live(ctx, m)
	v, from, to, err := w.phases(ctx, r, m)
	quiet()
	stop()
	if err != nil {
		return err
	}
	w.drain(ctx)
	if err := w.target.ended(); err != nil {
		return err
	}
	w.close()
	w.judge(r, v, from, to)
	return nil
}

// phases measures without slow readers and, if there are to be any, with them.
func (w *world) phases(ctx context.Context, r *Result, m *MixedResult) (v *window, from, to counts, err error) {
	c := w.config
	c.say("%d devices in %d rooms; %s of load", len(w.players), len(w.rooms), c.Warmup+c.Duration)
	rest(ctx, c.Warmup)
	if v, from, to, err = w.phase(ctx, r, &m.Without); err != nil {
		return v, from, to, err
	}
	m.Growth = growthOf(r.Timeline)
	if c.Slow == 0 {
		return v, from, to, nil
	}
	c.say("%s more with %d devices that read a byte a second", c.Duration, c.Slow)
	slow, err := w.slowReaders(ctx, c.Slow)
	if err != nil {
		return v, from, to, err
	}
	rest(ctx, c.Warmup)
	m.With = new(MixedPhase)
	_, _, _, err = w.phase(ctx, r, m.With)
	slow.stop()
	if err != nil {
		return v, from, to, err
	}
	rest(ctx, settleTime) // the node sees that they have gone
	gone, err := w.target.liveHeap(ctx)
	if err != nil {
		return v, from, to, err
	}
	m.SlowHeapBytes = (m.With.LiveHeapBytes - gone) / int64(c.Slow)
	m.SlowClosed = slow.closed.Load()
	m.P99Ratio = m.With.ToDelivery.P99 / max(m.Without.ToDelivery.P99, 0.001)
	return v, from, to, nil
}

// phase measures for Duration.
func (w *world) phase(ctx context.Context, r *Result, p *MixedPhase) (v *window, from, to counts, err error) {
	stop := w.sample(ctx, w.config.Duration, true)
	v, from, to, err = w.measure(ctx)
	samples := stop()
	if err != nil {
		return v, from, to, err
	}
	rest(ctx, settleTime) // the window's last deliveries
	took := to.at.Sub(from.at).Seconds()
	*p = MixedPhase{
		Seconds: took, AckedPerSecond: float64(to.acked-from.acked) / took, DeliveredPerSecond: float64(to.delivered-from.delivered) / took,
		ToAck: v.toAck.latency(), ToDelivery: v.toDelivery.latency(), ServerCores: (to.cost.cpu - from.cost.cpu).Seconds() / took,
		RSSBytes: int64(median(samples, func(s *Sample) float64 { return float64(s.RSSBytes) })),
	}
	var offset float64
	if n := len(r.Timeline); n > 0 {
		offset = r.Timeline[n-1].Seconds
	}
	for _, s := range samples {
		s.Seconds += offset
		r.Timeline = append(r.Timeline, s)
	}
	p.LiveHeapBytes, err = w.target.liveHeap(ctx)
	return v, from, to, err
}

// live lets people do what they do beside sending, until quiet is called.
func (w *world) live(ctx context.Context, m *MixedResult) (quiet func()) {
	ctx, cancel := context.WithCancel(ctx)
	var pages histogram
	var marks, typings, reconnects atomic.Int64
	var work sync.WaitGroup
	for range mixedWorkers {
		work.Go(func() {
			tick := time.NewTicker(mixedBeat * mixedWorkers)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				p := w.players[rand.IntN(len(w.players))]
				s := p.seats[rand.IntN(len(p.seats))]
				switch dice := rand.IntN(100); {
				case dice < 40:
					p.device.Typing(s.room.id)
					typings.Add(1)
				case dice < 80:
					if p.mark(ctx, s) {
						marks.Add(1)
					}
				case dice < 97:
					p.page(ctx, s, &pages)
				default:
					w.players[rand.IntN(len(w.players))/restlessEach*restlessEach].device.Reconnect()
					reconnects.Add(1)
				}
			}
		})
	}
	return func() {
		cancel()
		work.Wait()
		m.Marks, m.Typings, m.Reconnects, m.Pages = marks.Load(), typings.Load(), reconnects.Load(), pages.latency()
	}
}

// mark moves the person's read mark to what the device has seen.
func (p *player) mark(ctx context.Context, s *seat) bool {
	last := chat.Seq(s.last.Load())
	if last == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	err := p.device.Read(ctx, s.room.id, last)
	if client.CodeOf(err) != "" { // anything else is a connection that was cut
		p.world.fail(err)
	}
	return err == nil
}

// page reads a page of the room's history, anywhere.
func (p *player) page(ctx context.Context, s *seat, h *histogram) {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	last := s.last.Load()
	span := client.Span{Limit: pageSize}
	if last > 1 {
		span.Before = chat.Seq(2 + rand.Uint64N(last))
	}
	if _, err := p.person.account.Token(ctx); err != nil { // it may be an hour later
		return
	}
	began := time.Now()
	_, err := p.person.account.Messages(ctx, s.room.id, span)
	switch {
	case err == nil:
		h.record(time.Since(began))
	case client.CodeOf(err) != "":
		p.world.fail(err)
	}
}
