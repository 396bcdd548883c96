package memory

import (
	"context"
	"sync"
	"time"

	"natter/chat"
)

// Log is chat.AsyncLog in memory: commands are applied one after the other by
// chat's rules, and what comes of them goes into History and Queues before the
// answer. Safe for concurrent use.
//
//	Append, Submit ─▶ apply (under mu) ─▶ History, Queues ─▶ answer ─▶ hints
type Log struct {
	history *History
	queues  *Queues

	mu     sync.Mutex
	window *chat.Window

	submitted chan submitted
	done      sync.WaitGroup
	// Fail, if set, is asked before each command: an error is the answer, and
	// the command is not taken. Set it before the Log is used.
	Fail func(*chat.Command) error
}

type submitted struct {
	c    *chat.Command
	done func(chat.Result, error)
}

// submitQueue bounds the commands that wait; beyond it Submit refuses.
const submitQueue = 4096

// NewLog is a log that writes into h and q. Close ends it.
func NewLog(h *History, q *Queues) *Log {
	l := &Log{history: h, queues: q, window: chat.NewWindow(), submitted: make(chan submitted, submitQueue)}
	l.done.Go(func() {
		for s := range l.submitted {
			s.done(l.apply(s.c))
		}
	})
	return l
}

// Close waits for what was submitted. Neither Append nor Submit may be called
// any more.
func (l *Log) Close() {
	close(l.submitted)
	l.done.Wait()
}

// Append implements chat.Log.
func (l *Log) Append(ctx context.Context, c *chat.Command) (chat.Result, error) {
	if err := ctx.Err(); err != nil {
		return chat.Result{}, chat.Unavailable("the log did not answer in time", time.Second)
	}
	return l.apply(c)
}

// Submit implements chat.AsyncLog.
func (l *Log) Submit(c *chat.Command, done func(chat.Result, error)) error {
	select {
	case l.submitted <- submitted{c, done}:
		return nil
	default:
		return chat.Unavailable("the log is busy", time.Second)
	}
}

// apply decides c and stores what comes of it: stored, then told.
func (l *Log) apply(c *chat.Command) (chat.Result, error) {
	if l.Fail != nil {
		if err := l.Fail(c); err != nil {
			return chat.Result{}, err
		}
	}
	l.mu.Lock()
	out := l.decide(c)
	tell := l.queues.add(out.Events)
	l.mu.Unlock()
	for _, t := range tell {
		t()
	}
	if out.Refusal != nil {
		return chat.Result{}, out.Refusal
	}
	return out.Result, nil
}

func (l *Log) decide(c *chat.Command) chat.Outcome {
	if c.Op == chat.OpTell {
		return chat.Tell(c)
	}
	return l.history.apply(c, l.window)
}
