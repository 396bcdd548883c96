package check

import (
	"fmt"
	"strings"
)

// maxFindings bounds the sentences a report keeps; the counts go on.
const maxFindings = 40

// Report is what a run came to. Every count from Lost down must be 0.
type Report struct {
	Rooms   int `json:"rooms"`
	Readers int `json:"readers"` // devices in rooms: one device in two rooms counts twice
	Sent    int `json:"sent"`
	Acked   int `json:"acked"`
	Seen    int `json:"seen"`

	Lost       int `json:"lost"`         // acknowledged, and not shown to a reader; each reader counts
	LostPrefix int `json:"lost_prefix"`  // of these, before the first the reader saw
	LostMiddle int `json:"lost_middle"`  // between
	LostTail   int `json:"lost_postfix"` // after the last
	Twice      int `json:"duplicated"`   // shown or stored more than once
	Order      int `json:"out_of_order"` // a reader saw a lower seq after a higher one, or a sender's messages changed places
	Differ     int `json:"differing"`    // one seq or one message, two meanings
	Holes      int `json:"holes"`        // seqs of the room a reader never saw
	Unexpected int `json:"unexpected"`   // shown, and nobody sent it
	Foreign    int `json:"foreign"`      // shown to someone who is no member

	Findings []string `json:"findings,omitempty"` // the first of them, one sentence each
}

// OK tells whether nothing went wrong.
func (r *Report) OK() bool {
	return r.Lost+r.Twice+r.Order+r.Differ+r.Holes+r.Unexpected+r.Foreign == 0
}

// String is the report in a few lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rooms %d, readers %d, sent %d, acked %d, seen %d: lost %d (prefix %d, middle %d, postfix %d), twice %d, order %d, differing %d, holes %d, unexpected %d, foreign %d",
		r.Rooms, r.Readers, r.Sent, r.Acked, r.Seen, r.Lost, r.LostPrefix, r.LostMiddle, r.LostTail,
		r.Twice, r.Order, r.Differ, r.Holes, r.Unexpected, r.Foreign)
	for _, f := range r.Findings {
		b.WriteString("\n  ")
		b.WriteString(f)
	}
	return b.String()
}

func (r *Report) find(count *int, format string, args ...any) {
	*count++
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
	}
}
