package jetstream

import (
	"context"
	"time"
)

// Pace.
//
// A round of Raft costs its processors about the same however much it carries. Three nodes
// on few processors make hundreds a second, each small, because each begins as soon as
// the one before has ended. So where processors are short, who makes rounds of a cluster
// rests after one for about as long as it took, and the next carries what has come meanwhile:
//
//	at rest     round  round  round          a few commands each
//	pressed     round ····· round ····· r    twice as many each
//
// "Short" is what the collector goes by too: less than so much of the machine's processors
// idle in the last second (Options.Pressed). Waiting to run (Go's own, or the system's) is no
// measure of it: at half load two nodes that wake together wait for each other, and then
// rounds must not wait as well.

const (
	// longestRest bounds a rest, and with it what it adds to a command's way.
	longestRest = 50 * time.Millisecond
	// restsFrom is how many commands a round must have carried: who sends little doesn't wait
	// because the machine is busy with something else.
	restsFrom = 32
)

// rest is how long who made a round rests, by how long it took and how many commands it
// carried.
func rest(pressed bool, took time.Duration, carried int) time.Duration {
	if !pressed || carried < restsFrom {
		return 0
	}
	return min(took, longestRest)
}

// pressed tells whether rounds rest.
func (s *Store) pressed() bool { return s.clustered() && s.o.Pressed != nil && s.o.Pressed() }

// rest is after a round of a cluster, until ctx ends or enough waits for the next.
func (s *Store) rest(ctx context.Context, took time.Duration, carried int, enough <-chan struct{}) {
	if d := rest(s.pressed(), took, carried); d > 0 {
		_ = waitOr(ctx, d, enough) // who called sees that ctx ended
	}
}
