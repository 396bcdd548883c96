package node

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackWhenABusyTimeIsOver(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct {
		looks []uint64 // MB ever allocated
		live  uint64   // MB
		turns []bool
	}{
		"a crowd comes, then silence":        {[]uint64{1, 100, 200, 201, 202}, 10, []bool{false, false, false, true, false}},
		"little was left":                    {[]uint64{1, 20, 21, 22}, 10, []bool{false, false, false, false}},
		"little beside what lives":           {[]uint64{1, 200, 201, 202}, 1000, []bool{false, false, false, false}},
		"much beside what lives":             {[]uint64{1, 300, 301, 302}, 1000, []bool{false, false, true, false}},
		"a steady load is never interrupted": {[]uint64{10, 20, 30, 40, 50, 60}, 10, []bool{false, false, false, false, false, false}},
		"a trickle counts too, in the end":   {[]uint64{1, 2, 3, 33, 34}, 10, []bool{false, false, false, false, true}},
	} {
		var tide tide
		for i, allocated := range c.looks {
			if got := tide.turned(allocated*mb, c.live*mb); got != c.turns[i] {
				t.Errorf("%s: look %d: %v", name, i, got)
			}
		}
	}
}

func TestTheHeapIsTightWhileCollectingIsCheap(t *testing.T) {
	var r headroom
	pressed, ran := false, uint64(0)
	look := func(cost float64, want int, changes bool) {
		t.Helper()
		if got, changed := r.next(r.collected+cost, r.cycles+ran, pressed); got != want || changed != changes {
			t.Errorf("after a look of %v s: %d %%, changed %v", cost, got, changed)
		}
	}
	cheaply := func(cost float64, from, to int) {
		t.Helper()
		for range cheapLooks - 1 {
			look(cost, from, false)
		}
		look(cost, to, true)
	}
	look(0.5, 25, true) // what the start took is no reason
	look(0.05, 25, false)
	look(0.2, 50, true)
	look(0.1, 50, false)
	look(0.31, 100, true)
	look(3, 100, false)
	for range cheapLooks - 1 {
		look(0.02, 100, false)
	}
	look(0.05, 100, false) // busy again: it begins anew
	cheaply(0.02, 100, 50)
	cheaply(0.02, 50, 25)
	for range 3 * cheapLooks {
		look(0.03, 25, false) // 0.075 at the next lower one
	}
	cheaply(0.02, 25, 10)
	for range 3 * cheapLooks {
		look(0.02, 10, false)
	}
	look(0.8, 100, true) // at once to where it is bearable, as far as there is
	for range 3 {
		cheaply(0.001, heapSteps[r.step], heapSteps[r.step-1])
	}
	look(0.1, 10, false)
	pressed = true
	look(0.014, 10, false)
	look(0.03, 25, true)
	look(0.06, 100, true)
	for range 3 * cheapLooks {
		look(0.003, 100, false) // 0.006 at the next lower one
	}
	cheaply(0.002, 100, 50)
	pressed = false
	cheaply(0.02, 50, 25)
	ran = 2
	look(0, 25, false)
	ran = 3
	look(0, 50, true)
	ran = 5
	look(0, 100, true) // 2.5 at 100 % are too many, but there is no more
	ran = 2
	for range 3 * cheapLooks {
		look(0, 100, false) // 4 at the next lower one
	}
	ran = 1
	cheaply(0, 100, 50)
}

func TestAMachineIsPressedWhenLittleIsIdle(t *testing.T) {
	var m machine
	for i, look := range []struct {
		idle, all float64
		pressed   bool
	}{
		{0, 0, false},      // it doesn't tell
		{100, 1000, false}, // since it started
		{101, 1002, false}, // half was idle
		{101.2, 1004, true},
		{101.2, 1004, false}, // no time has passed
		{101.6, 1006, false},
		{101.6, 1008, true},
		{0, 0, false}, // it tells no longer
	} {
		if got := m.pressed(look.idle, look.all); got != look.pressed {
			t.Errorf("look %d: %v", i, got)
		}
	}
}

func TestCollectingCountsWhatTheSystemGave(t *testing.T) {
	var c collecting
	for _, look := range []struct{ marked, busy, given, want float64 }{
		{1, 10, 10, 1},
		{1, 10, 11, 1},    // no news
		{2, 12, 12, 2},    // the processors were its own
		{3, 16, 13, 2.25}, // others had three quarters of them
		{4, 17, 20, 3.25}, // never more than it was at it
		{4, 17, 20, 3.25},
	} {
		if c.look(look.marked, look.busy, look.given); c.seconds != look.want {
			t.Errorf("after %v: %v", look, c.seconds)
		}
	}
}

func TestBlocksThatWereReadAreShed(t *testing.T) {
	cheap, dear := headroom{}, headroom{step: len(heapSteps) - 1}
	var s shedding
	for i, look := range []struct {
		reads, cycles uint64
		room          headroom
		due           bool
	}{
		{3, 7, cheap, false},  // collections that others brought about
		{5, 7, cheap, false},  // few
		{6, 7, cheap, true},   // with those before, three
		{6, 8, cheap, false},  // it was made
		{99, 9, cheap, false}, // another came by itself
		{200, 9, dear, false}, // the processors are needed
		{202, 9, cheap, false},
		{203, 9, cheap, true},
	} {
		if got := s.due(time.Time{}, look.reads, look.cycles, look.room); got != look.due {
			t.Errorf("look %d: %v", i, got)
		}
	}
	now := time.Now()
	s.made(now, now.Add(time.Second))
	if s.due(now.Add(10*time.Second), 300, 10, cheap) {
		t.Error("it doesn't rest after a long collection")
	}
	if !s.due(now.Add(12*time.Second), 300, 10, cheap) {
		t.Error("what was read while it rested isn't shed")
	}
}
