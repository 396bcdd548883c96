package edge

import (
	"context"
	"sync/atomic"
	"time"

	"natter/chat"
)

// returns are the turns of devices that come back and read what they missed: half of the
// cores' at once. A node with many of them has no core at rest any more, and whatever a
// socket brings waits for one. So while somebody writes a turn is short, and where others wait
// for theirs, the turn of a device that has more to read rests for some time. Who comes
// back alone never rests, nor does a crowd that has missed little: a storm of 5,000 is
// over in a second or two.
//
// 100 devices coming back at once to 1,000 messages each, again and again, took the p99 of
// others' acknowledgements from 3 ms to 120 without turns, to 14 to 22 with turns, to 12
// with rests and to 7 to 10 with turns that are short; 20 a second come back then, and 80
// where nobody writes (2 cores, clients on them, half of it all idle).
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
	restParts = 2
	restMost  = 6 * time.Millisecond
	// pieceEntries is how much of a queue a turn reads while somebody writes: what reading,
	// decoding and sending take of a core at a stretch, a command may have to wait for at each
	// of its steps.
	pieceEntries = 20
)

// piece is how many entries of a queue a turn reads that begins now, of limit at the most.
func (r *returns) piece(limit int, now time.Time) int {
	if r.quiet(now) {
		return limit
	}
	return min(limit, pieceEntries)
}

// quiet tells whether nobody has written lately.
func (r *returns) quiet(now time.Time) bool {
	return now.UnixNano()-r.wrote.Load() > int64(writesLately)
}

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
	if r.waiting.Load() == 0 || r.quiet(now) {
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
