package node

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"natter/chat"
)

// A clock that is wrong is a problem, and one that may be is none.
func TestStatusOfClocks(t *testing.T) {
	s := &Status{Node: "a"}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.add(peer{leaseRecord: leaseRecord{Name: name, Ready: true}, lives: name != "e"})
	}
	s.addClocks(map[string]offset{
		"b": {-1500 * time.Millisecond, time.Millisecond}, "c": {600 * time.Millisecond, 300 * time.Millisecond}, "e": {time.Hour, 1},
	})
	if len(s.Problems) != 1 || !strings.HasPrefix(s.Problems[0], "b: its clock differs from a's by -1500 ms") {
		t.Errorf("%q", s.Problems)
	}
	for i, want := range []float64{0, -1500, 600, 0, 0} {
		if got := s.Nodes[i].ClockAheadMS; (got == nil) != (want == 0) || got != nil && *got != want {
			t.Errorf("%s: %v", s.Nodes[i].Name, got)
		}
	}
}

// Whatever a lease says of its start, the status can be told.
func TestStatusOfStarts(t *testing.T) {
	s := &Status{}
	for _, started := range []chat.Millis{math.MinInt64, -1, 0, 1764000000000, math.MaxInt64} {
		s.add(peer{leaseRecord: leaseRecord{Started: started}, lives: true})
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
	for i, is := range []bool{false, false, false, true, false} {
		if s.Nodes[i].Started.IsZero() == is {
			t.Errorf("%d: %v", i, s.Nodes[i].Started)
		}
	}
}
