package edge

import (
	"context"
	"sync/atomic"
	"time"

	"natter/chat"
)

// returns are the turns of devices that come back and read what they missed: half of the
// cores' at once. A node with many of them has no core at rest any more, and whatever a
// socket brings waits for one. So while somebody writes and others wait for their turn,
// the turn of a device that has more to read rests for some time. Who comes back alone never
// waits, nor does a crowd that has missed little: a storm of 5,000 is over in a second or two.
//
// 100 devices coming back at once to 1,000 messages each, again and again, took the p99 of
// others' acknowledgements from 3 ms to 120 without turns, to 14 to 22 with turns, and
// to 10 with rests, where it was 5 without them; 50 a second come back in place of 80
// (2 cores, clients on them).
type returns struct {
	tokens  chan struct{}
	waiting atomic.Int64
	wrote   atomic.Int64 // when a command came last, in ns since 1970
}

const (
	// writesLately is how long after a command somebody is said to write.
	writesLately = 100 * time.Millisecond
	// restParts is how long a turn rests, of the time it took; restMost bounds it: a
	// turn may have waited for the disk.
	restParts = 3
	restMost  = 6 * time.Millisecond
)

// turn waits for a turn; false when ctx ends.
func (r *returns) turn(ctx context.Context) bool {
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	select {
	case r.tokens <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// over gives back a turn that was begun then, of a device that has more to read or not.
func (r *returns) over(begun time.Time, more bool) {
	if rest := r.rest(begun, time.Now()); more && rest > 0 {
		time.AfterFunc(rest, func() { <-r.tokens })
		return
	}
	<-r.tokens
}

func (r *returns) rest(begun, now time.Time) time.Duration {
	if r.waiting.Load() == 0 || now.UnixNano()-r.wrote.Load() > int64(writesLately) {
		return 0
	}
	return min(restParts*now.Sub(begun), restMost)
}

// writing is a log that notes when a command came last.
type writing struct {
	chat.AsyncLog
	at *atomic.Int64
}

// Append implements chat.Log.
func (w *writing) Append(ctx context.Context, command *chat.Command) (chat.Result, error) {
	w.at.Store(time.Now().UnixNano())
	return w.AsyncLog.Append(ctx, command)
}

// Submit implements chat.AsyncLog.
func (w *writing) Submit(command *chat.Command, done func(chat.Result, error)) error {
	w.at.Store(time.Now().UnixNano())
	return w.AsyncLog.Submit(command, done)
}
