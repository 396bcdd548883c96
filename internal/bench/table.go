package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteJSON writes r as one indented object.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// rows is a table in the making.
type rows struct{ *tabwriter.Writer }

func (t rows) row(name, format string, args ...any) {
	fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
}

func (t rows) latency(name string, l Latency) {
	t.row(name, "p50 %.2f ms, p99 %.2f ms, max %.1f ms (%d)", l.P50, l.P99, l.Max, l.Count)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// WriteTable writes r for a person.
func (r *Result) WriteTable(w io.Writer) error {
	t := rows{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	parts := map[string]func(rows){
		Pairs: r.writeTalk, Group: r.writeTalk, Idle: r.writeIdle, CatchUp: r.writeCatchUp,
		Storm: r.writeStorm, History: r.writeHistory, Mixed: r.writeMixed,
	}
	if write := parts[r.Workload]; write != nil {
		write(t)
	}
	r.writeCluster(t)
	if r.Check != nil {
		t.row("wrong", "errors %d, lost %d, duplicated %d, out of order %d", r.Errors, r.Lost, r.Duplicated, r.OutOfOrder)
	} else {
		t.row("wrong", "errors %d", r.Errors)
	}
	if r.FirstError != "" {
		t.row("first error", "%s", r.FirstError)
	}
	if r.Check != nil && !r.Check.OK() {
		t.row("checker", "%s", r.Check)
	}
	r.writeRaw(t)
	t.row("machine", "%d cores, %s, durability %s", r.Cores, r.System, r.Durability)
	return t.Flush()
}

func (r *Result) writeRaw(t rows) {
	raw := r.Raw
	switch {
	case raw == nil:
		return
	case r.Nodes > 1:
		t.row("raw JetStream", "%d replicas, durable: one stream %.0f/s at %.1f µs CPU; %d streams %.0f/s at %.1f µs", r.Nodes,
			raw.Replicated.PerSecond, raw.Replicated.CPUMicros, rawStreams, raw.ReplicatedStreams.PerSecond, raw.ReplicatedStreams.CPUMicros)
		t.row("of raw", "acknowledged %.2f of the better", r.OfRawDurable)
	default:
		t.row("raw JetStream", "async %.0f/s at %.1f µs CPU; durable, %d streams: %.0f/s", raw.Async.PerSecond, raw.Async.CPUMicros, rawStreams, raw.Durable.PerSecond)
		t.row("of raw", "acknowledged %.2f of async, %.2f of durable; delivered %.2f of async", r.OfRawAsync, r.OfRawDurable, r.DeliveredOfRaw)
	}
	t.row("fsync at rest", "p50 %.2f ms, p99 %.2f ms; send to delivery p50 is %.2f ms above", raw.Fsync.P50, raw.Fsync.P99, r.ToDelivery.P50-raw.Fsync.P50)
}

func (r *Result) how() string {
	if r.Rate > 0 {
		return fmt.Sprintf("%.0f messages/s", r.Rate)
	}
	return fmt.Sprintf("window %d", r.Window)
}

func (r *Result) writeTalk(t rows) {
	t.row("workload", "%s, %d users in %d rooms of %d, %s, %d bytes, %.1f s", r.Workload, r.Users, r.Rooms, r.RoomSize, r.how(), r.TextBytes, r.Seconds)
	t.row("acknowledged", "%.0f/s", r.AckedPerSecond)
	t.row("delivered", "%.0f/s", r.DeliveredPerSecond)
	t.latency("send to ack", r.ToAck)
	t.latency("send to delivery", r.ToDelivery)
	t.row("CPU", "server %.1f µs a message, %.1f µs a delivery, %.2f cores; load %.2f cores", r.ServerCPUMicros, r.ServerCPUDelivery, r.ServerCores, r.LoadCores)
	t.row("memory", "%.1f MiB", mib(r.RSSBytes))
}

func (r *Result) writeIdle(t rows) {
	t.row("workload", "idle, %d connections of %d users, %.1f s each step", r.Connections, r.Users, r.Seconds)
	for _, s := range r.Idle {
		t.row(fmt.Sprintf("%d connections", s.Connections), "%.1f KiB each, %.1f KiB of it living heap; %.1f MiB in all, %.3f cores", float64(s.BytesPerConnection)/1024, float64(s.HeapPerConnection)/1024, mib(s.RSSBytes), s.ServerCores)
	}
	t.row("load", "%.3f cores", r.LoadCores)
}

func (r *Result) writeCatchUp(t rows) {
	c := r.CatchUp
	t.row("workload", "catch-up, %d devices that missed %d messages each", r.Users, c.Missed)
	for _, s := range c.Steps {
		t.latency(fmt.Sprintf("%d of others, first", s.Others), s.First)
		t.latency(fmt.Sprintf("%d of others, warm", s.Others), s.Warm)
	}
	if c.Rate > 0 {
		t.latency(fmt.Sprintf("ack at %.0f/s alone", c.Rate), c.AckAlone)
		t.latency("ack while each comes back", c.AckInTurn)
		t.latency("ack while all come back", c.AckCrowd)
		t.row("all at once", "%.0f a second, p50 %.1f ms, p99 %.1f ms from hello to synced", float64(c.Crowd.Count)/max(c.CrowdSeconds, 0.001), c.Crowd.P50, c.Crowd.P99)
	}
}

func (r *Result) writeStorm(t rows) {
	t.row("workload", "storm, %d connections of %d users, %.0f messages/s meanwhile", r.Connections, r.Users, r.Rate)
	for i, s := range r.Storm {
		t.row(fmt.Sprintf("round %d", i+1), "all synced after %.2f s; %.0f handshakes/s; cut to synced p50 %.0f ms, p99 %.0f ms; server %.0f µs CPU each, %.1f MiB",
			s.AllSyncedSeconds, s.HandshakesPerSecond, s.Synced.P50, s.Synced.P99, s.CPUMicros, mib(s.RSSBytes))
	}
	t.latency("send to delivery", r.ToDelivery)
}

func (r *Result) writeHistory(t rows) {
	h := r.History
	t.row("workload", "history, %d messages in %d rooms, %d of them read", h.Messages, h.Rooms, h.Reads)
	t.latency("last 50, cold", h.ColdLast)
	t.latency("50 before any, cold", h.ColdBefore)
	t.latency("last 50, warm", h.WarmLast)
	t.latency("50 before any, warm", h.WarmBefore)
	t.row("ready", "%.2f s after an orderly stop, %.2f s after a crash", h.ReadySeconds, h.ReadyCrashSeconds)
	t.row("memory", "%.1f MiB after the start", mib(r.RSSBytes))
}

func (r *Result) writeMixed(t rows) {
	m := r.Mixed
	t.row("workload", "mixed, %d users in %d rooms, %s", r.Users, r.Rooms, r.how())
	phase := func(name string, p *MixedPhase) {
		t.row(name, "%.0f s, acknowledged %.0f/s, delivered %.0f/s, %.2f cores, %.1f MiB, %.1f MiB of it living heap",
			p.Seconds, p.AckedPerSecond, p.DeliveredPerSecond, p.ServerCores, mib(p.RSSBytes), mib(p.LiveHeapBytes))
		t.latency("  send to ack", p.ToAck)
		t.latency("  send to delivery", p.ToDelivery)
	}
	phase("without slow readers", &m.Without)
	t.row("growth", "memory %+.1f %%, goroutines %+.1f %%, open files %+.1f %%", 100*m.Growth.RSS, 100*m.Growth.Goroutines, 100*m.Growth.Files)
	if m.With != nil {
		phase(fmt.Sprintf("with %d slow readers", m.Slow), m.With)
		t.row("a slow reader", "%.0f KiB of heap each; others' p99 × %.2f; %d sent away", float64(m.SlowHeapBytes)/1024, m.P99Ratio, m.SlowClosed)
	}
	t.row("beside", "%d read marks, %d typings, %d reconnects", m.Marks, m.Typings, m.Reconnects)
	t.latency("history pages", m.Pages)
}
