package jetstream

import (
	"context"
	"errors"
	"time"
)

// Who works where. In a cluster each node has a Store over the same streams, and the
// one whose server leads a stream does that stream's work: the projector of LOG-p, the
// teller of SYNC-q. Two may think so for a moment. Two tellers tell twice, which
// harms nobody; two projectors are kept apart by a claim (fence.go).

// leadsEvery is how often a node asks its own server what it leads: a look at
// memory.
const leadsEvery = 50 * time.Millisecond

// errLeadMoved ends the work for a stream that another node leads now.
var errLeadMoved = errors.New("another node leads the stream now")

// clustered tells whether other nodes work on the same streams.
func (s *Store) clustered() bool { return s.o.Replicas > 1 }

// leads tells whether this node leads a stream; alone it always does.
func (s *Store) leads(stream string) bool { return s.o.Leads == nil || s.o.Leads(stream) }

// whileLeading calls work each time this node comes to lead stream, until ctx ends.
// work's context ends, with errLeadMoved, when it no longer does.
func (s *Store) whileLeading(ctx context.Context, stream string, work func(context.Context)) {
	if s.o.Leads == nil {
		work(ctx)
		return
	}
	tick := time.NewTicker(leadsEvery)
	defer tick.Stop()
	for {
		for !s.leads(stream) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		leading, moved := context.WithCancelCause(ctx)
		ended := make(chan struct{})
		s.goes(func() {
			defer close(ended)
			work(leading)
		})
		for over := false; !over; {
			select {
			case <-ended:
				over = true
			case <-tick.C:
				if !s.leads(stream) {
					moved(errLeadMoved)
					<-ended
					over = true
				}
			}
		}
		moved(nil)
		if ctx.Err() != nil {
			return
		}
	}
}
