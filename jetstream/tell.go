package jetstream

import (
	"context"
	"time"

	"natter/chat"
)

// A teller tells those who follow a queue of SYNC-q each of its entries, in the stream's
// order, with the sequence of that user's entry before it: the sessions of its own node by a
// call, in a cluster those of the others by publishing live.<user>. Several projectors write
// to one queue, so only the stream's own order tells what "before" is; projectors hand over
// the sequences they learned (backlog.go), and what nobody hands over is read. A session whose
// place is at or beyond that sequence misses nothing; any other reads the queue.
//
//	live.<user>:  sequence (8 bytes, big endian) | before (8 bytes) | stored entry
//
// In a cluster the node that leads the stream tells. One that comes to lead begins
// at the stream's end and has every session look at its queue: what the one before
// didn't get to tell lies before that end.
//
// before is all ones when the teller doesn't know, which makes everyone read.
type teller struct {
	s       *Store
	q       int
	last    map[chat.UserID]uint64
	backlog *backlog
	payload []byte // of what is published, in a cluster
}

const (
	liveHead = 16
	unknown  = ^uint64(0)
	// tellerUsers bounds what a teller remembers, about 60 bytes a user. Over it,
	// it begins anew, which costs each user one read.
	tellerUsers = 500_000
	// tellerPause is between two beginnings, tellerTold how often they are logged while
	// none lasts: a stream without a majority lets none.
	tellerPause = 200 * time.Millisecond
	tellerTold  = 10 * time.Second
)

func newTeller(s *Store, q int) *teller {
	t := &teller{s: s, q: q, last: make(map[chat.UserID]uint64), backlog: newBacklog()}
	t.backlog.open(!s.clustered())
	return t
}

// run tells while this node leads the stream, until ctx ends.
func (t *teller) run(ctx context.Context) {
	t.s.whileLeading(ctx, numbered(streamSync, t.q), t.lead)
}

// lead tells until ctx ends; after a failure it begins again at the stream's end
// and makes everybody look at their queue.
func (t *teller) lead(ctx context.Context) {
	var told time.Time
	for times := 1; ctx.Err() == nil; times++ {
		err := t.tell(ctx)
		if ctx.Err() != nil {
			return
		}
		t.s.metrics.looks.Inc()
		if time.Since(told) > tellerTold {
			t.s.log.Warn("a teller begins again", "queue", t.q, "times", times, "error", err)
			told, times = time.Now(), 0
		}
		if wait(ctx, tellerPause) != nil {
			return
		}
	}
}

func (t *teller) tell(ctx context.Context) error {
	if t.s.clustered() {
		return t.merge(ctx)
	}
	return t.lineUp(ctx)
}

// begin has everybody look at their queue, and is the sequence after what they see.
func (t *teller) begin(ctx context.Context) (next uint64, err error) {
	_, end, err := t.s.bounds(ctx, numbered(streamSync, t.q))
	if err != nil {
		return 0, err
	}
	clear(t.last)
	look, err := encode(&lookMessage{Queue: t.q, End: end})
	if err == nil {
		err = t.s.control.Publish(subjectTellAll, look)
	}
	failpoint("tell.begun")
	return end + 1, err
}

// next has say tell of the entry that is next in the stream, with the sequence of the one
// before it in u's queue.
func (t *teller) next(u chat.UserID, sequence uint64, say func(before uint64) error) error {
	failpoint("tell.read")
	before, known := t.last[u]
	if !known {
		before = unknown
		if len(t.last) >= tellerUsers {
			clear(t.last)
		}
	}
	t.last[u] = sequence
	err := say(before)
	failpoint("tell.told")
	return err
}
