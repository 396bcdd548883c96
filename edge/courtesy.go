package edge

import (
	"context"
	"sync/atomic"
	"time"

	"natter/chat"
)

// courtesy is shown by those who catch up to those who write. One who reads a long
// queue can always go on, so a node with some of them has no core at rest any more,
// and whatever a socket brings is found late: when a core has nothing else to do, or
// by the runtime's own look every 10 ms. So while somebody writes, nobody reads after a
// piece for as long as it took.
type courtesy struct {
	chat.AsyncLog
	wrote atomic.Int64 // when a command came last, in ns since 1970
}

const (
	// writesLately is how long after a command somebody is said to write.
	writesLately = 100 * time.Millisecond
	// courtesyMost bounds a rest: a piece may have waited for the disk.
	courtesyMost = 2 * time.Millisecond
)

// Append implements chat.Log.
func (c *courtesy) Append(ctx context.Context, command *chat.Command) (chat.Result, error) {
	c.wrote.Store(time.Now().UnixNano())
	return c.AsyncLog.Append(ctx, command)
}

// Submit implements chat.AsyncLog.
func (c *courtesy) Submit(command *chat.Command, done func(chat.Result, error)) error {
	c.wrote.Store(time.Now().UnixNano())
	return c.AsyncLog.Submit(command, done)
}

// rest is for how long to leave it to writers after a piece that was begun then.
func (c *courtesy) rest(begun time.Time) time.Duration {
	now := time.Now()
	if c == nil || now.UnixNano()-c.wrote.Load() > int64(writesLately) {
		return 0
	}
	return min(now.Sub(begun), courtesyMost)
}
