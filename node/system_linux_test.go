package node

import (
	"math"
	"testing"
)

func TestWhatTheMachineTellsOfItsProcessors(t *testing.T) {
	for stat, want := range map[string][2]float64{
		"cpu  100 20 30 4000 50 0 7 8 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n": {40.5, 42.15},
		"cpu 100 20 30 4000 50 0 7 8":                                     {40.5, 42.15},
		"cpu 100 20 30 4000":                                              {},
		"cpu 100 20 30 4000 50 0 7 x":                                     {},
		"cpu0 100 20 30 4000 50 0 7 8":                                    {},
		"":                                                                {},
	} {
		idle, all := parseMachineSeconds([]byte(stat))
		if math.Abs(idle-want[0]) > 1e-9 || math.Abs(all-want[1]) > 1e-9 {
			t.Errorf("%q: %v idle of %v", stat, idle, all)
		}
	}
	if idle, all := machineSeconds(); all == 0 || idle > all {
		t.Errorf("this machine: %v idle of %v", idle, all)
	}
}
