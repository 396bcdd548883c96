//go:build linux

package gauntlet

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"natter/internal/check"
)

// Result is what a scenario came to.
type Result struct {
	Scenario string  `json:"scenario"`
	Title    string  `json:"title"`
	Seed     uint64  `json:"seed"`
	When     string  `json:"when"`
	Nodes    int     `json:"nodes"`
	Rate     float64 `json:"messages_per_second"`
	People   int     `json:"people"`
	Long     bool    `json:"long"`
	Lossy    bool    `json:"lossy"` // it may lose messages, and shows how many
	Seconds  float64 `json:"seconds"`
	Old      string  `json:"began_with,omitempty"` // what its nodes began with, if not with this natter

	Messages *check.Report `json:"messages,omitempty"` // nil: it didn't come to a judgement
	Wreck    *Wreck        `json:"wreck,omitempty"`    // nil: the nodes came back
	Replicas *Replicas     `json:"replicas,omitempty"` // nil: there is one node, or it didn't come to it
	Figures  []Figure      `json:"figures,omitempty"`
	Repeats  uint64        `json:"repeats_dropped_by_devices"`
	Resets   int64         `json:"resets"`
	Looked   int           `json:"outsiders_looks_refused"`
	Error    string        `json:"error,omitempty"`
	Dir      string        `json:"dir"` // of history, timeline and logs
}

// Figure is one measurement. With a limit, more is a target missed.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"` // "s", or "" for a count
	Value float64 `json:"value"`
	Limit float64 `json:"limit,omitempty"`
	Bound bool    `json:"bound"` // there is a limit
}

// Missed tells whether the figure is beyond its limit.
func (f *Figure) Missed() bool { return f.Bound && f.Value > f.Limit }

// String is the figure with its limit.
func (f *Figure) String() string {
	text := fmt.Sprintf("%s %.3g", f.Name, f.Value)
	if f.Unit != "" {
		text += " " + f.Unit
	}
	if f.Bound {
		text += fmt.Sprintf(" (≤ %g)", f.Limit)
	}
	if f.Missed() {
		text += " MISSED"
	}
	return text
}

// OK tells whether the promise was kept: everything about messages, whatever the
// times. Where nothing is promised there need only be a judgement.
func (r *Result) OK() bool {
	if r.Lossy {
		return r.Error == "" && (r.Messages != nil || r.Wreck != nil)
	}
	return r.Error == "" && r.Messages != nil && r.Messages.OK() && (r.Replicas == nil || r.Replicas.OK())
}

// Missed tells whether a figure is beyond its target.
func (r *Result) Missed() bool {
	for i := range r.Figures {
		if r.Figures[i].Missed() {
			return true
		}
	}
	return false
}

// WriteJSON writes results as one array.
func WriteJSON(w io.Writer, results []*Result) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(results)
}

// WriteMarkdown writes a table with a row for each.
func WriteMarkdown(w io.Writer, results []*Result) error {
	var b strings.Builder
	b.WriteString("| scenario | what was run | lost | twice | order, `seq`, holes | seen by non-members | replicas | figures | repeat with |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		b.WriteString(r.row())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) row() string {
	lost, twice, order, foreign, replicas := "?", "?", "?", "?", "–"
	if m := r.Messages; m != nil {
		lost, twice = fmt.Sprintf("%d of %d", m.Lost, m.Acked), fmt.Sprint(m.Twice)
		order, foreign = fmt.Sprint(m.Order+m.Differ+m.Holes+m.Unexpected), fmt.Sprint(m.Foreign)
	}
	if r.Replicas != nil {
		replicas = r.Replicas.String()
	}
	var figures []string
	for i := range r.Figures {
		figures = append(figures, r.Figures[i].String())
	}
	if w := r.Wreck; w != nil {
		lost = fmt.Sprintf("%d of %d, the rest out of reach", w.Lost, w.Acked)
		figures = append(figures, w.String())
	}
	if r.Error != "" {
		first, _, _ := strings.Cut(r.Error, "\n")
		figures = append(figures, "**failed**: "+first)
	}
	return fmt.Sprintf("| **%s** | %s; %d nodes, %d people, %g/s, %.0f s | %s | %s | %s | %s | %s | %s | `make gauntlet ARGS='--scenario %s --seed %d%s'` |\n",
		r.Scenario, r.Title, r.Nodes, r.People, r.Rate, r.Seconds, lost, twice, order, foreign, replicas,
		strings.Join(figures, "; "), r.Scenario, r.Seed, map[bool]string{true: " --long"}[r.Long])
}

// String is the result in a few lines.
func (r *Result) String() string {
	var b strings.Builder
	verdict := "kept"
	switch {
	case !r.OK():
		verdict = "BROKEN"
	case r.Lossy:
		verdict = "not made"
	}
	fmt.Fprintf(&b, "%s: the promise is %s (seed %d, %.0f s; %s)\n", r.Scenario, verdict, r.Seed, r.Seconds, r.Dir)
	if r.Messages != nil {
		fmt.Fprintf(&b, "  %s\n", r.Messages)
	}
	if r.Wreck != nil {
		fmt.Fprintf(&b, "  %s\n", r.Wreck)
	}
	if r.Replicas != nil {
		fmt.Fprintf(&b, "  replicas: %s\n", r.Replicas)
	}
	fmt.Fprintf(&b, "  repeats dropped by devices %d, resets %d, outsiders sent away %d times\n", r.Repeats, r.Resets, r.Looked)
	for i := range r.Figures {
		fmt.Fprintf(&b, "  %s\n", &r.Figures[i])
	}
	if r.Old != "" {
		fmt.Fprintf(&b, "  began with %s\n", r.Old)
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "  error: %s\n", r.Error)
	}
	return b.String()
}
