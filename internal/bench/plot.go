package bench

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// The plots are SVG that stands in the page by itself: colours come from the
// page's style, so that they follow light and dark.
const (
	plotWidth = 640.0
	labelSide = 190.0 // for the names on the left
	valueSide = 110.0 // for the numbers on the right
	rowHeight = 24.0
	chartTall = 220.0
	axisSide  = 64.0
	axisBelow = 26.0
)

// svg is a drawing in the making.
type svg struct{ strings.Builder }

func (s *svg) put(format string, args ...any) { fmt.Fprintf(&s.Builder, format, args...) }

func (s *svg) text(x, y float64, class, words string) {
	s.put(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(words))
}

func (s *svg) line(x1, y1, x2, y2 float64, class string) {
	s.put(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// plot is a figure with its title; draw fills in a drawing of that height.
func plot(title string, height float64, draw func(s *svg)) template.HTML {
	var s svg
	name := html.EscapeString(title)
	s.put(`<figure><figcaption>%s</figcaption><svg viewBox="0 0 %.0f %.0f" role="img"><title>%s</title>`, name, plotWidth, height, name)
	draw(&s)
	s.put(`</svg></figure>`)
	return template.HTML(s.String()) //nolint:gosec // every text in it went through html.EscapeString
}

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
	return plot(title, rowHeight*float64(len(bars)), func(s *svg) {
		room := plotWidth - labelSide - valueSide
		for i, b := range bars {
			y := rowHeight * float64(i)
			long := 0.0
			if most > 0 && b.value > 0 {
				long = max(room*b.value/most, 1)
			}
			s.text(labelSide-8, y+16, "end", b.name)
			s.put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="a"/>`, labelSide, y+4, long, rowHeight-8)
			s.text(labelSide+long+6, y+16, "number", b.text)
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
	room := plotWidth - labelSide - valueSide
	place := func(v float64) float64 { return labelSide + room*(math.Log10(max(v, least))-from)/max(to-from, 1) }
	tall := rowHeight * float64(len(shown))
	return plot(title+", milliseconds", tall+axisBelow, func(s *svg) {
		for e := from; e <= to; e++ {
			x := place(math.Pow(10, e))
			s.line(x, 0, x, tall, "grid")
			s.text(x, tall+16, "middle", short(math.Pow(10, e)))
		}
		for i, r := range shown {
			y := rowHeight*float64(i) + rowHeight/2
			s.text(labelSide-8, y+4, "end", r.name)
			s.line(place(r.P50), y, place(r.Max), y, "whisker")
			for _, m := range []struct {
				at    float64
				name  string
				class string
			}{{r.P50, "p50", "a"}, {r.P90, "p90", "b"}, {r.P99, "p99", "c"}, {r.P999, "p99.9", "d"}} {
				s.put(`<circle cx="%.1f" cy="%.1f" r="4.5" class="%s"><title>%s %s ms</title></circle>`, place(m.at), y, m.class, m.name, short(m.at))
			}
			s.text(plotWidth-valueSide+8, y+4, "number", short(r.P50)+" · "+short(r.P99))
		}
	})
}

// course is one line of linePlot.
type course struct {
	name   string
	points [][2]float64
}

// linePlot shows how values of one unit went over time, from 0.
func linePlot(title string, courses ...course) template.HTML {
	var far, high float64
	n := 0
	for _, c := range courses {
		for _, p := range c.points {
			far, high = max(far, p[0]), max(high, p[1])
			n++
		}
	}
	if n < 2 || far == 0 {
		return ""
	}
	step := niceStep(high / 4)
	high = max(step*math.Ceil(high/step), step)
	return plot(title, chartTall+axisBelow, func(s *svg) {
		x := func(v float64) float64 { return axisSide + (plotWidth-axisSide-8)*v/far }
		y := func(v float64) float64 { return 8 + (chartTall-8)*(1-v/high) }
		for v := 0.0; v <= high*1.001; v += step {
			s.line(axisSide, y(v), plotWidth-8, y(v), "grid")
			s.text(axisSide-6, y(v)+4, "end", short(v))
		}
		for i := range 5 {
			v := far * float64(i) / 4
			class := "middle"
			if i == 4 {
				class = "last"
			}
			s.text(x(v), chartTall+18, class, short(v)+" s")
		}
		for i, c := range courses {
			class := string(rune('a' + i%4))
			s.put(`<polyline class="line %s" points="`, class)
			for _, p := range c.points {
				s.put("%.1f,%.1f ", x(p[0]), y(p[1]))
			}
			s.put(`"/>`)
			if len(courses) > 1 {
				s.put(`<rect x="%.1f" y="10" width="10" height="10" class="%s"/>`, axisSide+12+float64(i)*130, class)
				s.text(axisSide+27+float64(i)*130, 19, "start", c.name)
			}
		}
	})
}

// niceStep is 1, 2 or 5 times a power of ten, at least v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*ten >= v {
			return m * ten
		}
	}
	return 10 * ten
}

// short is a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
