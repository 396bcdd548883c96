package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"natter/internal/plot"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Parse(reportPage))

// section is one run on the page.
type section struct {
	Name, Title, When, Machine, Table string
	OK                                bool
	Plots                             []template.HTML
}

// WriteHTML writes one page of the results: plots and numbers, in one file that
// needs no other.
func WriteHTML(w io.Writer, results ...*Result) error {
	sections := make([]section, len(results))
	for i, r := range results {
		var table strings.Builder
		if err := r.WriteTable(&table); err != nil {
			return err
		}
		s := section{
			Name: r.Workload, Title: r.Title, When: r.When, Table: table.String(), OK: r.OK(),
			Machine: fmt.Sprintf("%d cores, %s, durability %s", r.Cores, r.System, r.Durability),
		}
		for _, p := range r.plots() {
			if p != "" {
				s.Plots = append(s.Plots, p)
			}
		}
		sections[i] = s
	}
	return reportTemplate.Execute(w, sections)
}

// plots are those that the result has something for; empty ones are left out.
func (r *Result) plots() []template.HTML {
	var all []template.HTML
	switch r.Workload {
	case Pairs, Group:
		all = append(all, r.rates(), r.ratios(), latencyPlot("Latency", spread{"send to ack", r.ToAck}, spread{"send to delivery", r.ToDelivery}), r.cores())
	case Idle:
		all = r.idlePlots()
	case CatchUp:
		all = r.catchUpPlots()
	case Storm:
		all = r.stormPlots()
	case History:
		h := r.History
		all = append(all, latencyPlot("A page of 50", spread{"last, cold", h.ColdLast}, spread{"before any, cold", h.ColdBefore}, spread{"last, warm", h.WarmLast}, spread{"before any, warm", h.WarmBefore}),
			barPlot("Start to ready", seconds("after a stop", h.ReadySeconds), seconds("after a crash", h.ReadyCrashSeconds)))
	case Mixed:
		all = r.mixedPlots()
	}
	all = append(all, r.clusterPlots()...)
	return append(all, r.timelines()...)
}

func seconds(name string, s float64) bar { return bar{name, s, fmt.Sprintf("%.2f s", s)} }

func perSecond(name string, n float64) bar { return bar{name, n, plot.Short(n) + "/s"} }

func (r *Result) rates() template.HTML {
	bars := []bar{perSecond("acknowledged", r.AckedPerSecond), perSecond("delivered", r.DeliveredPerSecond)}
	switch raw := r.Raw; {
	case raw == nil:
	case r.Nodes > 1:
		bars = append(bars, perSecond("raw JetStream, replicated", raw.Replicated.PerSecond), perSecond("the same, four streams", raw.ReplicatedStreams.PerSecond))
	default:
		bars = append(bars, perSecond("raw JetStream, async", raw.Async.PerSecond), perSecond("raw JetStream, durable", raw.Durable.PerSecond))
	}
	return barPlot("Messages a second", bars...)
}

func (r *Result) ratios() template.HTML {
	ratio := func(name string, v float64) bar { return bar{name, v, fmt.Sprintf("%.2f", v)} }
	var bars []bar
	switch {
	case r.Raw == nil:
		return ""
	case r.Nodes > 1:
		bars = []bar{ratio("acknowledged, of durable", r.OfRawDurable)}
	default:
		bars = []bar{ratio("acknowledged, of async", r.OfRawAsync), ratio("acknowledged, of durable", r.OfRawDurable), ratio("delivered, of async", r.DeliveredOfRaw)}
	}
	return barPlot("Of JetStream alone in the same run", bars...)
}

func (r *Result) cores() template.HTML {
	use := func(name string, v float64) bar { return bar{name, v, fmt.Sprintf("%.2f of %d", v, r.Cores)} }
	return barPlot("Cores in use", use("server", r.ServerCores), use("clients", r.LoadCores))
}

func (r *Result) idlePlots() []template.HTML {
	var each, whole []bar
	for _, s := range r.Idle {
		name := plot.Short(float64(s.Connections)) + " connections"
		each = append(each, bar{name, float64(s.BytesPerConnection), fmt.Sprintf("%.1f KiB", float64(s.BytesPerConnection)/1024)})
		whole = append(whole, bar{name, float64(s.RSSBytes), fmt.Sprintf("%.0f MiB", mib(s.RSSBytes))})
	}
	return []template.HTML{barPlot("Server memory for each idle connection", each...), barPlot("Server memory in all", whole...)}
}

func (r *Result) catchUpPlots() []template.HTML {
	c := r.CatchUp
	var back []spread
	for _, s := range c.Steps {
		name := plot.Short(float64(s.Others)) + " of others"
		back = append(back, spread{name + ", first", s.First}, spread{name + ", warm", s.Warm})
	}
	return []template.HTML{
		latencyPlot(fmt.Sprintf("From hello to synced, %d missed", c.Missed), back...),
		latencyPlot("Others' send to ack", spread{"alone", c.AckAlone}, spread{"while each comes back", c.AckInTurn}, spread{"while all come back", c.AckCrowd}),
	}
}

func (r *Result) stormPlots() []template.HTML {
	var synced []spread
	var all, shakes []bar
	for i, s := range r.Storm {
		name := fmt.Sprintf("round %d", i+1)
		synced = append(synced, spread{name, s.Synced})
		all = append(all, seconds(name, s.AllSyncedSeconds))
		shakes = append(shakes, perSecond(name, s.HandshakesPerSecond))
	}
	return []template.HTML{latencyPlot("From the cut to synced", synced...), barPlot("All synced after", all...), barPlot("Handshakes", shakes...)}
}

func (r *Result) mixedPlots() []template.HTML {
	m := r.Mixed
	rows := []spread{{"send to ack", m.Without.ToAck}, {"send to delivery", m.Without.ToDelivery}, {"history pages", m.Pages}}
	if m.With != nil {
		rows = append(rows, spread{"ack, slow readers", m.With.ToAck}, spread{"delivery, slow readers", m.With.ToDelivery})
	}
	return []template.HTML{latencyPlot("Latency", rows...)}
}

func (r *Result) timelines() []template.HTML {
	over := func(name string, of func(*Sample) float64) plot.Course {
		c := plot.Course{Name: name}
		for i := range r.Timeline {
			c.Points = append(c.Points, [2]float64{r.Timeline[i].Seconds, of(&r.Timeline[i])})
		}
		return c
	}
	known := func(cs ...plot.Course) (some []plot.Course) {
		for _, c := range cs {
			for _, p := range c.Points {
				if p[1] > 0 {
					some = append(some, c)
					break
				}
			}
		}
		return some
	}
	return []template.HTML{
		plot.Lines("Messages a second over time", over("acknowledged", func(s *Sample) float64 { return s.Acked }), over("delivered", func(s *Sample) float64 { return s.Delivered })),
		plot.Lines("Send to delivery over time, milliseconds", over("p50", func(s *Sample) float64 { return s.P50 }), over("p99", func(s *Sample) float64 { return s.P99 })),
		plot.Lines("Server memory over time, MiB", known(over("RSS", func(s *Sample) float64 { return mib(s.RSSBytes) }), over("heap in use", func(s *Sample) float64 { return mib(s.HeapBytes) }))...),
		plot.Lines("Goroutines and open files over time", known(over("goroutines", func(s *Sample) float64 { return float64(s.Goroutines) }), over("open files", func(s *Sample) float64 { return float64(s.Files) }))...),
	}
}
