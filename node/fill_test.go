package node

import (
	"testing"
	"time"
)

// A start waits for each copy once, goes on where there is progress, and for no longer than
// it may without.
func TestFilling(t *testing.T) {
	began := time.Now()
	f := newFilling(began)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for seconds, look := range []struct {
		all   []copyState
		waits string
		since int
	}{
		{[]copyState{{"A", true, 70}, {"B", false, 500}, {"C", false, 9}, {"D", false, 0}, {"E", false, 5}}, "B, C, D, 1 more", 0},
		{[]copyState{{"A", false, 71}, {"B", false, 500}, {"C", false, 9}, {"D", false, 0}, {"E", true, 5}}, "B, C, D", 1},
		{[]copyState{{"A", false, 72}, {"B", false, 500}, {"C", false, 9}, {"D", false, 0}, {"E", false, 6}}, "B, C, D", 1}, // A and E were filled
		{[]copyState{{"B", false, 500}, {"C", false, 10}, {"D", false, 0}}, "B, C, D", 3},
		{[]copyState{{"B", false, 500}, {"C", true, 10}, {"D", true, 0}}, "B", 4},
	} {
		f.look(look.all, at(seconds))
		if s := f.String(); s != look.waits || f.since != at(look.since) || f.over(at(seconds)) {
			t.Errorf("second %d: it waits for %q since %v, over %v", seconds, s, f.since.Sub(began), f.over(at(seconds)))
		}
	}
	if late := at(4).Add(fillStill + 1); !f.over(late) {
		t.Error("it waits though nothing gets on")
	}
	f.since = began.Add(fillMost)
	if late := began.Add(fillMost + 1); !f.over(late) {
		t.Error("it waits for ever, as long as it gets on")
	}
	f.look([]copyState{{"B", true, 500}}, at(5))
	if len(f.lacking) != 0 || !f.over(at(5)) {
		t.Errorf("it waits for %v", f.lacking)
	}
}
