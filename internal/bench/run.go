package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"natter/internal/check"
)

// Result is what a run came to. Rates and latencies are of the measured window;
// the checks are of everything that was sent. Errors, Lost, Duplicated and
// OutOfOrder must be 0.
type Result struct {
	Workload   string  `json:"workload"`
	Users      int     `json:"users"`
	Rooms      int     `json:"rooms,omitempty"`
	RoomSize   int     `json:"room_size,omitempty"`
	Window     int     `json:"window,omitempty"`
	Rate       float64 `json:"rate,omitempty"`
	TextBytes  int     `json:"text_bytes,omitempty"`
	Durability string  `json:"durability"`
	Seconds    float64 `json:"seconds"`
	Cores      int     `json:"cores"`
	System     string  `json:"system"`

	AckedPerSecond     float64 `json:"acked_per_second"`
	DeliveredPerSecond float64 `json:"delivered_per_second"` // to the others in the room
	ToAck              Latency `json:"send_to_ack"`
	ToDelivery         Latency `json:"send_to_delivery"`

	// What the node used; 0 if it isn't known. The load's own use stands beside
	// it, because both share the machine.
	ServerCPUMicros    float64 `json:"server_cpu_us_per_message"`
	ServerCores        float64 `json:"server_cores_used"`
	LoadCores          float64 `json:"load_cores_used"`
	RSSBytes           int64   `json:"server_rss_bytes"`
	BytesPerConnection int64   `json:"bytes_per_idle_connection,omitempty"`

	Errors     int64         `json:"errors"`
	FirstError string        `json:"first_error,omitempty"`
	Lost       int           `json:"lost"`
	Duplicated int           `json:"duplicated"`
	OutOfOrder int           `json:"out_of_order"`
	Check      *check.Report `json:"check,omitempty"`

	Raw            *Raw    `json:"raw_jetstream,omitempty"`
	OfRawAsync     float64 `json:"acked_of_raw_async,omitempty"`
	OfRawDurable   float64 `json:"acked_of_raw_durable,omitempty"`
	DeliveredOfRaw float64 `json:"delivered_of_raw_async,omitempty"`
}

// OK tells whether nothing went wrong.
func (r *Result) OK() bool {
	return r.Errors == 0 && (r.Check == nil || r.Check.OK())
}

// Run measures as c says. It leaves nothing behind, whatever happens; the
// people it made stay in a node that was running before.
func Run(ctx context.Context, c *Config) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Result{
		Workload: c.Workload, Users: c.Users, Durability: c.Durability, Cores: runtime.NumCPU(),
		System: fmt.Sprintf("%s/%s, %s", runtime.GOOS, runtime.GOARCH, runtime.Version()),
	}
	if c.URL != "" {
		r.Durability = "as the node is set"
	}
	if err := c.underLoad(ctx, r); err != nil {
		return nil, err
	}
	if c.Raw > 0 && c.Workload != Idle {
		c.say("measuring what JetStream alone does here")
		raw, err := rawChild(ctx, c.Binary, c.TextBytes, c.Raw, c.Progress)
		if err != nil {
			return nil, err
		}
		r.Raw = raw
		r.OfRawAsync = r.AckedPerSecond / max(raw.Async.PerSecond, 1)
		r.OfRawDurable = r.AckedPerSecond / max(raw.Durable.PerSecond, 1)
		r.DeliveredOfRaw = r.DeliveredPerSecond / max(raw.Async.PerSecond, 1)
	}
	return r, nil
}

// underLoad is the part of Run that needs the node.
func (c *Config) underLoad(ctx context.Context, r *Result) error {
	t, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	w := newWorld(c, t)
	defer w.close()
	c.say("signing up %d people", c.Users)
	if err := w.signUp(ctx); err != nil {
		return fmt.Errorf("signing up: %w", err)
	}
	if c.Workload == Idle {
		return w.idle(ctx, r)
	}
	if err := w.makeRooms(ctx); err != nil {
		return fmt.Errorf("making rooms: %w", err)
	}
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	c.say("%d devices in %d rooms; %s of load", len(w.players), len(w.rooms), c.Warmup+c.Duration)
	from, to, err := w.drive(ctx)
	if err != nil {
		return err
	}
	w.drain(ctx)
	if err := t.ended(); err != nil {
		return err
	}
	w.close()
	w.judge(r, from, to)
	return nil
}

// judge fills in the result; every device has ended.
func (w *world) judge(r *Result, from, to counts) {
	c := w.config
	r.Rooms, r.RoomSize, r.Window, r.Rate, r.TextBytes = len(w.rooms), c.size(), c.Window, c.Rate, c.TextBytes
	took := to.at.Sub(from.at)
	r.Seconds = took.Seconds()
	acked := float64(to.acked - from.acked)
	r.AckedPerSecond = acked / took.Seconds()
	r.DeliveredPerSecond = float64(to.delivered-from.delivered) / took.Seconds()
	r.ToAck, r.ToDelivery = w.toAck.latency(), w.toDelivery.latency()
	spent := to.cost.cpu - from.cost.cpu
	r.ServerCPUMicros = float64(spent.Microseconds()) / max(acked, 1)
	r.ServerCores = spent.Seconds() / took.Seconds()
	r.LoadCores = (to.own - from.own).Seconds() / took.Seconds()
	r.RSSBytes = to.cost.rss
	r.Check = &check.Report{}
	for _, room := range w.rooms {
		room.tally.Check(r.Check)
	}
	r.Lost, r.Duplicated = r.Check.Lost, r.Check.Twice
	r.OutOfOrder = r.Check.Order + r.Check.Holes + r.Check.Differ + r.Check.Unexpected + r.Check.Foreign
	w.tellErrors(r)
}

func (w *world) tellErrors(r *Result) {
	r.Errors = w.errors.Load()
	if err := w.firstError.Load(); err != nil {
		r.FirstError = (*err).Error()
	}
}

// idle connects everybody and measures what a silent connection costs.
func (w *world) idle(ctx context.Context, r *Result) error {
	rest(ctx, settle) // what signing up left behind goes to the system
	before, err := w.target.cost(ctx)
	if err != nil {
		return err
	}
	w.config.say("connecting %d devices", len(w.players))
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	rest(ctx, w.config.Warmup)
	from, err := w.count(ctx)
	if err != nil {
		return err
	}
	rest(ctx, w.config.Duration)
	to, err := w.count(ctx)
	if err != nil {
		return err
	}
	took := to.at.Sub(from.at).Seconds()
	r.Seconds = took
	r.ServerCores = (to.cost.cpu - from.cost.cpu).Seconds() / took
	r.LoadCores = (to.own - from.own).Seconds() / took
	r.RSSBytes = to.cost.rss
	r.BytesPerConnection = (to.cost.rss - before.rss) / int64(len(w.players))
	w.tellErrors(r)
	return ctx.Err()
}

const settle = 2 * time.Second
