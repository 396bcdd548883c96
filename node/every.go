package node

import (
	"context"
	"time"
)

// every calls do at once and then each time d has passed, one call after the other,
// until ctx ends. Ticks that come while do is at work count as one.
func every(ctx context.Context, d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
