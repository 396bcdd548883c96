package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"natter/internal/check"
)

// Result is what a run came to. Rates and latencies are of the measured window;
// the checks are of everything that was sent. Errors, Lost, Duplicated and
// OutOfOrder must be 0.
type Result struct {
	Workload    string  `json:"workload"`
	Title       string  `json:"title,omitempty"` // what was asked for, in a line
	When        string  `json:"when"`
	Nodes       int     `json:"nodes"`
	Users       int     `json:"users"`
	Connections int     `json:"connections,omitempty"`
	Rooms       int     `json:"rooms,omitempty"`
	RoomSize    int     `json:"room_size,omitempty"`
	Window      int     `json:"window,omitempty"`
	Rate        float64 `json:"rate,omitempty"`
	TextBytes   int     `json:"text_bytes,omitempty"`
	Durability  string  `json:"durability"`
	Seconds     float64 `json:"seconds"`
	Cores       int     `json:"cores"`
	System      string  `json:"system"`

	AckedPerSecond     float64 `json:"acked_per_second"`
	DeliveredPerSecond float64 `json:"delivered_per_second"` // to the others in the room
	ToAck              Latency `json:"send_to_ack"`
	ToDelivery         Latency `json:"send_to_delivery"`

	// What the nodes used together; 0 if it isn't known. The load's own use stands
	// beside it, because they share the machine.
	ServerCPUMicros    float64 `json:"server_cpu_us_per_message"`
	ServerCPUDelivery  float64 `json:"server_cpu_us_per_delivery"`
	ServerCores        float64 `json:"server_cores_used"`
	LoadCores          float64 `json:"load_cores_used"`
	RSSBytes           int64   `json:"server_rss_bytes"`
	BytesPerConnection int64   `json:"bytes_per_idle_connection,omitempty"`

	Idle     []IdleStep     `json:"idle,omitempty"`
	CatchUp  *CatchUpResult `json:"catch_up,omitempty"`
	Storm    []StormRound   `json:"storm,omitempty"`
	History  *HistoryResult `json:"history,omitempty"`
	Mixed    *MixedResult   `json:"mixed,omitempty"`
	Timeline []Sample       `json:"timeline,omitempty"`
	Cluster  *ClusterResult `json:"cluster,omitempty"` // with three nodes

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

// workloads are what Run can do, by name.
var workloads = map[string]func(w *world, ctx context.Context, r *Result) error{
	Pairs: (*world).talk, Group: (*world).talk, Idle: (*world).idle,
	CatchUp: (*world).catchUp, Storm: (*world).storm, History: (*world).history, Mixed: (*world).mixed,
}

// Run measures as c says. It leaves nothing behind, whatever happens; the
// people it made stay in a node that was running before.
func Run(ctx context.Context, c *Config) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Result{
		Workload: c.Workload, Nodes: c.Nodes, Users: c.Users, Durability: c.Durability, Cores: runtime.NumCPU(),
		When:   time.Now().UTC().Format(time.RFC3339),
		System: fmt.Sprintf("%s/%s, %s", runtime.GOOS, runtime.GOARCH, runtime.Version()),
	}
	if c.URL != "" {
		r.Durability = "as the node is set"
	}
	if err := c.underLoad(ctx, r); err != nil {
		return nil, err
	}
	if c.raw() {
		c.say("measuring what JetStream alone does here")
		raw, err := rawChild(ctx, c.Binary, c.Nodes, c.TextBytes, c.Raw, c.Progress)
		if err != nil {
			return nil, err
		}
		r.compare(raw)
	}
	return r, nil
}

// compare sets the rates beside what JetStream alone does.
func (r *Result) compare(raw *Raw) {
	r.Raw = raw
	r.OfRawDurable = r.AckedPerSecond / max(raw.durable(), 1)
	if raw.Async.PerSecond > 0 {
		r.OfRawAsync = r.AckedPerSecond / raw.Async.PerSecond
		r.DeliveredOfRaw = r.DeliveredPerSecond / raw.Async.PerSecond
	}
}

// underLoad is the part of Run that needs the nodes.
func (c *Config) underLoad(ctx context.Context, r *Result) error {
	t, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	w := newWorld(c, t)
	defer w.close()
	if err := t.atRest(ctx, c); err != nil {
		return errors.Join(err, t.ended())
	}
	if err = workloads[c.Workload](w, ctx, r); err == nil {
		err = w.tellCluster(ctx, r)
	}
	if ended := t.ended(); ended != nil {
		return errors.Join(err, ended)
	}
	return err
}

// talk is the workload of pairs and groups.
func (w *world) talk(ctx context.Context, r *Result) error {
	c, size := w.config, 2
	if c.Workload == Group {
		size = c.GroupSize
	}
	if err := w.populate(ctx, c.Users, c.Users); err != nil {
		return err
	}
	if err := w.makeRooms(ctx, size, c.Workload == Pairs); err != nil {
		return err
	}
	if err := w.connect(ctx, w.players); err != nil {
		return err
	}
	c.say("%d devices in %d rooms; %s of load", len(w.players), len(w.rooms), c.Warmup+c.Duration)
	stop := w.start(ctx)
	rest(ctx, c.Warmup)
	samples := w.sample(ctx, c.Duration, false)
	v, from, to, err := w.measure(ctx)
	r.Timeline = samples()
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
	r.RoomSize = size
	return nil
}

// judge fills in the result; every device has ended.
func (w *world) judge(r *Result, v *window, from, to counts) {
	c := w.config
	r.Connections, r.Rooms, r.Window, r.Rate, r.TextBytes = len(w.players), len(w.rooms), c.Window, c.Rate, c.TextBytes
	took := to.at.Sub(from.at)
	r.Seconds = took.Seconds()
	acked := float64(to.acked - from.acked)
	r.AckedPerSecond = acked / took.Seconds()
	r.DeliveredPerSecond = float64(to.delivered-from.delivered) / took.Seconds()
	r.ToAck, r.ToDelivery = v.toAck.latency(), v.toDelivery.latency()
	spent := to.cost.cpu - from.cost.cpu
	r.ServerCPUMicros = float64(spent.Microseconds()) / max(acked, 1)
	r.ServerCPUDelivery = float64(spent.Microseconds()) / max(float64(to.delivered-from.delivered), 1)
	r.ServerCores = spent.Seconds() / took.Seconds()
	r.LoadCores = (to.own - from.own).Seconds() / took.Seconds()
	r.RSSBytes = to.cost.rss
	w.target.used(from, to)
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
