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

// WriteTable writes r for a person.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	latency := func(name string, l Latency) {
		row(name, "p50 %.2f ms, p99 %.2f ms, max %.1f ms (%d)", l.P50, l.P99, l.Max, l.Count)
	}
	how := fmt.Sprintf("window %d", r.Window)
	if r.Rate > 0 {
		how = fmt.Sprintf("%.0f messages/s", r.Rate)
	}
	if r.Workload == Idle {
		row("workload", "idle, %d connections for %.1f s", r.Users, r.Seconds)
		row("memory", "%.1f KiB a connection, %.1f MiB in all", float64(r.BytesPerConnection)/1024, float64(r.RSSBytes)/(1<<20))
		row("CPU", "server %.3f cores, load %.3f", r.ServerCores, r.LoadCores)
		row("errors", "%d", r.Errors)
	} else {
		row("workload", "%s, %d users in %d rooms of %d, %s, %d bytes, %.1f s", r.Workload, r.Users, r.Rooms, r.RoomSize, how, r.TextBytes, r.Seconds)
		row("acknowledged", "%.0f/s", r.AckedPerSecond)
		row("delivered", "%.0f/s", r.DeliveredPerSecond)
		latency("send to ack", r.ToAck)
		latency("send to delivery", r.ToDelivery)
		row("CPU", "server %.1f µs a message, %.2f cores; load %.2f cores", r.ServerCPUMicros, r.ServerCores, r.LoadCores)
		row("memory", "%.1f MiB", float64(r.RSSBytes)/(1<<20))
		row("wrong", "errors %d, lost %d, duplicated %d, out of order %d", r.Errors, r.Lost, r.Duplicated, r.OutOfOrder)
	}
	if r.FirstError != "" {
		row("first error", "%s", r.FirstError)
	}
	if r.Check != nil && !r.Check.OK() {
		row("checker", "%s", r.Check)
	}
	if raw := r.Raw; raw != nil {
		row("raw JetStream", "async %.0f/s at %.1f µs CPU; durable, %d streams: %.0f/s", raw.Async.PerSecond, raw.Async.CPUMicros, rawStreams, raw.Durable.PerSecond)
		row("of raw", "acknowledged %.2f of async, %.2f of durable; delivered %.2f of async", r.OfRawAsync, r.OfRawDurable, r.DeliveredOfRaw)
	}
	row("machine", "%d cores, %s, durability %s", r.Cores, r.System, r.Durability)
	return t.Flush()
}
