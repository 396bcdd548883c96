package node

import "testing"

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
	look := func(cost float64, want int, changes bool) {
		t.Helper()
		if got, changed := r.next(r.collected + cost); got != want || changed != changes {
			t.Errorf("after a look of %v s: %d %%, changed %v", cost, got, changed)
		}
	}
	look(0.5, tightHeap, true) // what the start took is no reason
	look(0.05, tightHeap, false)
	look(0.2, wideHeap, true)
	for range cheapLooks - 1 {
		look(0.02, wideHeap, false)
	}
	look(0.05, wideHeap, false) // busy again: it begins anew
	for range cheapLooks - 1 {
		look(0.02, wideHeap, false)
	}
	look(0.02, tightHeap, true)
}
