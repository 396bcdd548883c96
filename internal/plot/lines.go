package plot

import (
	"fmt"
	"html/template"
	"math"
)

// Course is one line of Lines: points of x in seconds and a value, by x.
type Course struct {
	Name   string
	Points [][2]float64
}

// Mark is something that happened meanwhile: at From, or from From to To, in
// seconds.
type Mark struct {
	Name     string
	From, To float64
}

// Lines shows how values of one unit went over time, from 0. It is empty when
// there are not two points.
func Lines(title string, courses ...Course) template.HTML {
	c, ok := newChart(courses, nil)
	if !ok {
		return ""
	}
	return Figure(title, c.height(), c.draw)
}

// Standalone is Lines with marks, as a file of its own. Without two points there
// are only the axes.
func Standalone(title string, marks []Mark, courses ...Course) []byte {
	c, _ := newChart(courses, marks)
	return []byte(drawing(title, ` xmlns="http://www.w3.org/2000/svg"`, c.height(), func(s *SVG) {
		s.Put("<style>%s</style><rect width=\"100%%\" height=\"100%%\" class=\"paper\"/>", style)
		s.Text(axisSide, 14, "title", title)
		c.draw(s)
	}))
}

// style is that of the benchmark's page, in short.
const style = `
svg{--paper:#fff;--ink:#1c1e21;--faint:#5c6470;--grid:#d9dde3;--a:#0b6bcb;--b:#12805c;--c:#b35900;--d:#b3261e}
@media(prefers-color-scheme:dark){svg{--paper:#15171a;--ink:#e8eaed;--faint:#a3abb6;--grid:#363b42;--a:#6cb2ff;--b:#4fcb9d;--c:#ffab5c;--d:#ff8a80}}
.paper{fill:var(--paper)} text{font:11px system-ui,sans-serif;fill:var(--ink)} .title{font-weight:600;font-size:12px}
.end,.last{text-anchor:end} .middle{text-anchor:middle} .last,.middle{fill:var(--faint)}
.mark{font-size:8px;fill:var(--d)} .grid{stroke:var(--grid)} .band{fill:var(--d);opacity:.12} .edge{stroke:var(--d);stroke-width:1;stroke-dasharray:2 2}
.a{fill:var(--a)} .b{fill:var(--b)} .c{fill:var(--c)} .d{fill:var(--d)}
.line{fill:none;stroke-width:1.2;stroke-linejoin:round} .line.a{stroke:var(--a)} .line.b{stroke:var(--b)} .line.c{stroke:var(--c)} .line.d{stroke:var(--d)}
`

// chart is a plot of courses and marks, and its scales.
type chart struct {
	courses         []Course
	marks           []Mark
	far, high, step float64
	top             float64 // where the plot begins, below the title and the marks
}

func newChart(courses []Course, marks []Mark) (*chart, bool) {
	c := &chart{courses: courses, marks: marks, top: 8}
	if len(marks) > 0 {
		c.top = 22 + markTall*markRows
	}
	n := 0
	for _, course := range courses {
		for _, p := range course.Points {
			c.far, c.high = max(c.far, p[0]), max(c.high, p[1])
			n++
		}
	}
	known := n >= 2 && c.far > 0
	if c.far == 0 {
		c.far = 1
	}
	c.step = niceStep(c.high / 4)
	c.high = max(c.step*math.Ceil(c.high/c.step), c.step)
	return c, known
}

func (c *chart) height() float64 { return c.top - 8 + chartTall + axisBelow }

func (c *chart) bottom() float64 { return c.top - 8 + chartTall }

func (c *chart) x(v float64) float64 {
	return axisSide + (Width-axisSide-8)*min(max(v, 0), c.far)/c.far
}

func (c *chart) y(v float64) float64 { return c.top + (chartTall-8)*(1-v/c.high) }

func (c *chart) draw(s *SVG) {
	for v := 0.0; v <= c.high*1.001; v += c.step {
		s.Line(axisSide, c.y(v), Width-8, c.y(v), "grid")
		s.Text(axisSide-6, c.y(v)+4, "end", Short(v))
	}
	for i := range 5 {
		v := c.far * float64(i) / 4
		class := "middle"
		if i == 4 {
			class = "last"
		}
		s.Text(c.x(v), c.bottom()+18, class, Short(v)+" s")
	}
	c.drawMarks(s)
	for i, course := range c.courses {
		class := string(rune('a' + i%4))
		s.Put(`<polyline class="line %s" points="`, class)
		for _, p := range course.Points {
			s.Put("%.1f,%.1f ", c.x(p[0]), c.y(p[1]))
		}
		s.Put(`"/>`)
		if len(c.courses) > 1 {
			left := axisSide + 12 + float64(i)*130
			s.Put(`<rect x="%.1f" y="%.1f" width="10" height="10" class="%s"/>`, left, c.top+2, class)
			s.Text(left+15, c.top+11, "start", course.Name)
		}
	}
}

// drawMarks puts the names in rows, so that neighbours don't cover each other.
func (c *chart) drawMarks(s *SVG) {
	for i, m := range c.marks {
		from, to := c.x(m.From), c.x(max(m.To, m.From))
		row := c.top - markTall*float64(i%markRows) - 4
		if to > from {
			s.Put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="band"/>`, from, c.top, to-from, c.bottom()-c.top)
		}
		s.Line(from, row, from, c.bottom(), "edge")
		s.Text(from+2, row, "mark", m.Name)
	}
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

// Short is a number with three digits that count.
func Short(v float64) string {
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
