package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestStandalone: the drawing is XML, shows every course and mark, and what they
// are called can't break out of its place.
func TestStandalone(t *testing.T) {
	marks := []Mark{{Name: "kill <a>", From: 1, To: 3}, {Name: "start", From: 3}, {Name: "beyond the end", From: 99, To: 100}}
	courses := []Course{{Name: "acked & stored", Points: [][2]float64{{0, 10}, {5, 1e6}}}, {Name: "shown", Points: [][2]float64{{0, 0}, {5, 3}}}}
	for _, tt := range []struct {
		name    string
		courses []Course
		lines   int
	}{{"two", courses, 2}, {"none", nil, 0}, {"one without points", []Course{{Name: "x"}}, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			raw := string(Standalone("a & b", marks, tt.courses...))
			d := xml.NewDecoder(strings.NewReader(raw))
			elements := map[string]int{}
			for {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%v in\n%s", err, raw)
				}
				if e, ok := token.(xml.StartElement); ok {
					elements[e.Name.Local]++
				}
			}
			if elements["polyline"] != tt.lines {
				t.Errorf("%d lines, want %d", elements["polyline"], tt.lines)
			}
			for _, want := range []string{"kill &lt;a&gt;", "beyond the end", "a &amp; b"} {
				if !strings.Contains(raw, want) {
					t.Errorf("no %q in\n%s", want, raw)
				}
			}
			if strings.Contains(raw, "NaN") || strings.Contains(raw, "Inf") {
				t.Error("a place that is no number")
			}
		})
	}
}

// TestLines: what has no two points is left out of a page.
func TestLines(t *testing.T) {
	if got := Lines("x", Course{Name: "one", Points: [][2]float64{{0, 1}}}); got != "" {
		t.Errorf("one point: %s", got)
	}
	if got := string(Lines("x", Course{Name: "one", Points: [][2]float64{{0, 1}, {2, 0}}})); !strings.HasPrefix(got, "<figure>") || strings.Contains(got, "class=\"start\"") {
		t.Errorf("two points: %s", got)
	}
}
