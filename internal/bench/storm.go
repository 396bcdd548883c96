package bench

import (
	"context"
	"fmt"
	"time"
)

// StormRound is one time that every connection was cut at once, under a load
// that went on, and all came back with their cursors.
type StormRound struct {
	Connections         int     `json:"connections"`
	Synced              Latency `json:"cut_to_synced"`
	AllSyncedSeconds    float64 `json:"all_synced_seconds"`
	HandshakesPerSecond float64 `json:"handshakes_per_second"`
	CPUMicros           float64 `json:"server_cpu_us_per_connection"` // the load's too
	RSSBytes            int64   `json:"server_rss_bytes"`
}

const (
	stormLimit = 2 * time.Minute
	stormCalm  = 2 * time.Second // between two rounds
)

// storm is the workload.
func (w *world) storm(ctx context.Context, r *Result) error {
	c := w.config
	if err := w.populate(ctx, c.Users, c.devices()); err != nil {
		return err
	}
	if err := w.makeRooms(ctx, 2, true); err != nil {
		return err
	}
	c.say("connecting %d devices of %d people", len(w.players), len(w.people))
	if err := w.connect(ctx, w.players); err != nil {
		return err
	}
	w.mayBreak = true
	c.Window = 0
	stop := w.start(ctx)
	rest(ctx, c.Warmup)
	v := new(window)
	w.window.Store(v)
	v.opens.Store(max(w.now(), 1))
	began := time.Now()
	from, err := w.count(ctx)
	for range c.Rounds {
		if err != nil {
			break
		}
		var round StormRound
		round, err = w.cutAll(ctx)
		r.Storm = append(r.Storm, round)
		rest(ctx, stormCalm)
	}
	v.closes.Store(w.now())
	stop()
	if err != nil {
		return err
	}
	to, err := w.count(ctx)
	if err != nil {
		return err
	}
	w.drain(ctx)
	if err := w.target.ended(); err != nil {
		return err
	}
	w.close()
	c.say("the load went on for %s", time.Since(began).Round(time.Second))
	w.judge(r, v, from, to)
	return nil
}

// cutAll cuts every connection and waits until all are back.
func (w *world) cutAll(ctx context.Context) (StormRound, error) {
	ctx, cancel := context.WithTimeout(ctx, stormLimit)
	defer cancel()
	n := len(w.players)
	w.config.say("cutting %d connections", n)
	_ = w.back.take() // what was before
	w.away.Store(int64(n))
	before, err := w.target.cost(ctx)
	if err != nil {
		return StormRound{}, err
	}
	began := time.Now()
	for _, p := range w.players {
		p.cut.Store(max(w.now(), 1))
		p.device.Reconnect()
	}
	select {
	case <-w.allBack:
	case <-ctx.Done():
		return StormRound{}, fmt.Errorf("%d of %d devices are not back after %s", w.away.Load(), n, time.Since(began).Round(time.Second))
	}
	took := time.Since(began).Seconds()
	after, err := w.target.cost(ctx)
	return StormRound{
		Connections: n, Synced: w.back.latency(), AllSyncedSeconds: took, HandshakesPerSecond: float64(n) / took,
		CPUMicros: float64((after.cpu - before.cpu).Microseconds()) / float64(n), RSSBytes: after.rss,
	}, err
}

// backAgain is called by a device that was cut and is live again.
func (w *world) backAgain(after time.Duration) {
	w.back.record(after)
	if w.away.Add(-1) == 0 {
		w.allBack <- struct{}{}
	}
}
