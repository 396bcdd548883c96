package node

import (
	"testing"
	"time"
)

// A start waits for each copy once, goes on where there is progress, and knows since when
// there is none.
func TestFilling(t *testing.T) {
	began := time.Now()
	f := newFilling()
	f.since = began
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	f.look([]copyState{{"A", true, 0}, {"B", false, 500}, {"C", false, 9}, {"D", false, 0}, {"E", false, 0}}, at(1))
	if s := f.String(); s != "B, C, D, 1 more" || f.since != at(1) {
		t.Errorf("it waits for %q since %v", s, f.since.Sub(began))
	}
	f.look([]copyState{{"A", false, 3}, {"B", false, 400}, {"C", false, 9}, {"D", false, 0}, {"E", true, 0}}, at(2))
	if s := f.String(); s != "B, C, D" || f.since != at(2) {
		t.Errorf("it waits for %q since %v", s, f.since.Sub(began))
	}
	f.look([]copyState{{"B", false, 420}, {"C", false, 9}, {"D", false, 0}}, at(3))
	if f.since != at(2) {
		t.Error("what falls behind counts as progress")
	}
	f.look([]copyState{{"B", false, 405}, {"C", false, 9}, {"D", false, 0}}, at(3))
	if f.since != at(2) {
		t.Error("what only makes up for falling behind counts as progress")
	}
	f.look([]copyState{{"A", false, 3}, {"B", false, 410}, {"C", true, 0}, {"D", true, 0}}, at(4))
	if s := f.String(); s != "B" || f.since != at(4) {
		t.Errorf("it waits for %q since %v", s, f.since.Sub(began))
	}
	if f.over(at(5)) {
		t.Error("it doesn't wait though it got on a second ago")
	}
	if still := at(4).Add(fillStill + 1); !f.over(still) {
		t.Error("it waits though nothing gets on")
	}
	f.look([]copyState{{"B", true, 0}}, at(5))
	if len(f.lacking) != 0 || !f.over(at(5)) {
		t.Errorf("it waits for %v", f.lacking)
	}
}
