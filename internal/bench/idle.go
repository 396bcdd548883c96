package bench

import (
	"context"
	"time"
)

// IdleStep is what so many silent connections cost.
type IdleStep struct {
	Connections        int     `json:"connections"`
	RSSBytes           int64   `json:"server_rss_bytes"`
	BytesPerConnection int64   `json:"bytes_per_connection"`      // above a node that just started
	HeapPerConnection  int64   `json:"heap_bytes_per_connection"` // what of it lives after a collection
	ServerCores        float64 `json:"server_cores_used"`
}

// settleTime lets the last of what was, be over.
const settleTime = 2 * time.Second

// idle is the workload.
func (w *world) idle(ctx context.Context, r *Result) error {
	c := w.config
	if err := w.populate(ctx, c.Users, c.devices()); err != nil {
		return err
	}
	rest(ctx, settleTime)
	before, err := w.target.cost(ctx)
	if err != nil {
		return err
	}
	heap, err := w.target.liveHeap(ctx)
	if err != nil {
		return err
	}
	steps := c.Steps
	if len(steps) == 0 {
		steps = []int{len(w.players)}
	}
	connected := 0
	for _, n := range steps {
		c.say("connecting up to %d devices of %d people", n, len(w.people))
		if err := w.connect(ctx, w.players[connected:n]); err != nil {
			return err
		}
		connected = n
		rest(ctx, c.Warmup)
		from, err := w.count(ctx)
		if err != nil {
			return err
		}
		rest(ctx, c.Duration)
		to, err := w.count(ctx)
		if err != nil {
			return err
		}
		took := to.at.Sub(from.at).Seconds()
		w.target.used(from, to)
		r.Seconds = took
		r.ServerCores = (to.cost.cpu - from.cost.cpu).Seconds() / took
		r.LoadCores = (to.own - from.own).Seconds() / took
		r.RSSBytes = to.cost.rss
		r.BytesPerConnection = (to.cost.rss - before.rss) / int64(n)
		lives, err := w.target.liveHeap(ctx)
		if err != nil {
			return err
		}
		r.Idle = append(r.Idle, IdleStep{n, r.RSSBytes, r.BytesPerConnection, (lives - heap) / int64(n), r.ServerCores})
	}
	r.Connections = connected
	w.tellErrors(r)
	return ctx.Err()
}
