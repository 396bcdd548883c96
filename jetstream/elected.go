package jetstream

import (
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// A server that comes to lead a stream says so to all nodes. What was on its way to the
// leader before it is lost, so whoever waits for an answer sends again at once instead
// of when his patience ends.
const advisoryElected = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."

// elections wakes those who wait for a stream's next leader. Safe for concurrent use.
type elections struct {
	mu   sync.Mutex
	next map[string]chan struct{}
}

// after is closed when a leader of stream is heard of from now on. On a node alone none
// ever is.
func (e *elections) after(stream string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next == nil {
		e.next = make(map[string]chan struct{})
	}
	c := e.next[stream]
	if c == nil {
		c = make(chan struct{})
		e.next[stream] = c
	}
	return c
}

// handle takes the server's word that a stream has a leader.
func (e *elections) handle(msg *nats.Msg) {
	stream := strings.TrimPrefix(msg.Subject, advisoryElected)
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.next[stream]; c != nil {
		close(c)
		delete(e.next, stream)
	}
}
