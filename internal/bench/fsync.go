package bench

import (
	"context"
	"os"
	"time"
)

// fsyncEvery is the pause between two fsyncs that are timed: a disk at rest, as
// it is with 200 messages a second.
const fsyncEvery = 5 * time.Millisecond

// measureFsync times, for about d, what a durable message costs on a disk at
// rest and can't do without: payload bytes appended to a file, and an fsync.
func measureFsync(ctx context.Context, payload int, d time.Duration) (Latency, error) {
	file, err := os.CreateTemp("", "natter-fsync-*")
	if err != nil {
		return Latency{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var took histogram
	text := make([]byte, payload)
	tick := time.NewTicker(fsyncEvery)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; <-tick.C {
		begun := time.Now()
		if _, err := file.Write(text); err != nil {
			return Latency{}, err
		}
		if err := file.Sync(); err != nil {
			return Latency{}, err
		}
		took.record(time.Since(begun))
	}
	return took.latency(), ctx.Err()
}
