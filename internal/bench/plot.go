package bench

import (
	"html/template"
	"math"

	"natter/internal/plot"
)

const (
	labelSide = 190.0 // for the names on the left
	valueSide = 110.0 // for the numbers on the right
	rowHeight = 24.0
	axisBelow = 26.0
)

// bar is one row of barPlot.
type bar struct {
	name  string
	value float64
	text  string // the value as it is to be read
}

// barPlot compares values that have one unit.
func barPlot(title string, bars ...bar) template.HTML {
	most := 0.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	return plot.Figure(title, rowHeight*float64(len(bars)), func(s *plot.SVG) {
		room := plot.Width - labelSide - valueSide
		for i, b := range bars {
			y := rowHeight * float64(i)
			long := 0.0
			if most > 0 && b.value > 0 {
				long = max(room*b.value/most, 1)
			}
			s.Text(labelSide-8, y+16, "end", b.name)
			s.Put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="a"/>`, labelSide, y+4, long, rowHeight-8)
			s.Text(labelSide+long+6, y+16, "number", b.text)
		}
	})
}

// spread is one row of latencyPlot.
type spread struct {
	name string
	Latency
}

// latencyPlot shows percentiles on a logarithmic axis: a line from p50 to the
// greatest, and marks at p50, p90, p99 and p99.9.
func latencyPlot(title string, rows ...spread) template.HTML {
	least, most := math.Inf(1), 0.0
	var shown []spread
	for _, r := range rows {
		if r.Count > 0 {
			shown = append(shown, r)
			least, most = min(least, max(r.P50, 0.001)), max(most, r.Max)
		}
	}
	if len(shown) == 0 {
		return ""
	}
	from, to := math.Floor(math.Log10(least)), math.Ceil(math.Log10(max(most, least*1.01)))
	room := plot.Width - labelSide - valueSide
	place := func(v float64) float64 { return labelSide + room*(math.Log10(max(v, least))-from)/max(to-from, 1) }
	tall := rowHeight * float64(len(shown))
	return plot.Figure(title+", milliseconds", tall+axisBelow, func(s *plot.SVG) {
		for e := from; e <= to; e++ {
			x := place(math.Pow(10, e))
			s.Line(x, 0, x, tall, "grid")
			s.Text(x, tall+16, "middle", plot.Short(math.Pow(10, e)))
		}
		for i, r := range shown {
			y := rowHeight*float64(i) + rowHeight/2
			s.Text(labelSide-8, y+4, "end", r.name)
			s.Line(place(r.P50), y, place(r.Max), y, "whisker")
			for _, m := range []struct {
				at    float64
				name  string
				class string
			}{{r.P50, "p50", "a"}, {r.P90, "p90", "b"}, {r.P99, "p99", "c"}, {r.P999, "p99.9", "d"}} {
				s.Put(`<circle cx="%.1f" cy="%.1f" r="4.5" class="%s"><title>%s %s ms</title></circle>`, place(m.at), y, m.class, m.name, plot.Short(m.at))
			}
			s.Text(plot.Width-valueSide+8, y+4, "number", plot.Short(r.P50)+" · "+plot.Short(r.P99))
		}
	})
}
