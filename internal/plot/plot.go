// Package plot draws figures as SVG: what the benchmark's page and the
// gauntlet's timeline have in common.
//
// A drawing takes its colours from the page it stands in, so that they follow
// light and dark: .a to .d are the colours of data, .grid, .whisker and .band
// those of the frame, and text has a place by .start, .middle, .end and .last.
// Standalone brings a style of its own, for a file that stands alone.
package plot

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// The measures of every drawing, in SVG's units.
const (
	Width     = 640.0
	chartTall = 220.0
	axisSide  = 64.0
	axisBelow = 26.0
	markTall  = 14.0 // a row of marks' names
	markRows  = 3    // rows they may take
)

// SVG is a drawing in the making.
type SVG struct{ strings.Builder }

// Put appends elements as they stand; whoever puts text in them escapes it.
func (s *SVG) Put(format string, args ...any) { fmt.Fprintf(&s.Builder, format, args...) }

// Text appends words at a place.
func (s *SVG) Text(x, y float64, class, words string) {
	s.Put(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(words))
}

// Line appends a line.
func (s *SVG) Line(x1, y1, x2, y2 float64, class string) {
	s.Put(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// Figure is a drawing of that height with its title; draw fills it in.
func Figure(title string, height float64, draw func(s *SVG)) template.HTML {
	name := html.EscapeString(title)
	return template.HTML(fmt.Sprintf(`<figure><figcaption>%s</figcaption>%s</figure>`, name, drawing(title, "", height, draw))) //nolint:gosec // every text in it went through html.EscapeString
}

// drawing is the element alone. attributes are what a file of its own needs more.
func drawing(title, attributes string, height float64, draw func(s *SVG)) string {
	var s SVG
	s.Put(`<svg%s viewBox="0 0 %.0f %.0f" role="img"><title>%s</title>`, attributes, Width, height, html.EscapeString(title))
	draw(&s)
	s.Put(`</svg>`)
	return s.String()
}
