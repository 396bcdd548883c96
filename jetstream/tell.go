package jetstream

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// A teller reads SYNC-q in its order and publishes each entry as live.<user>,
// with the sequence of that user's entry before it. Several projectors write to
// one queue, so only the stream's own order tells what "before" is: the reader
// of the stream knows it, a writer doesn't. A session whose place is at or
// beyond that sequence misses nothing; any other reads the queue.
//
//	live.<user>:  sequence (8 bytes, big endian) | before (8 bytes) | stored entry
//
// before is all ones when the teller doesn't know, which makes everyone read.
type teller struct {
	s    *Store
	q    int
	last map[chat.UserID]uint64
}

const (
	liveHead = 16
	unknown  = ^uint64(0)
	// tellerUsers bounds what a teller remembers, about 60 bytes a user. Over it,
	// it begins anew, which costs each user one read.
	tellerUsers = 500_000
)

func newTeller(s *Store, q int) (*teller, error) {
	return &teller{s: s, q: q, last: make(map[chat.UserID]uint64)}, nil
}

// run tells until ctx ends; after a failure it begins again at the stream's end
// and makes everybody look at their queue.
func (t *teller) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := t.tell(ctx)
		if ctx.Err() != nil {
			return
		}
		t.s.log.Warn("a teller begins again", "queue", t.q, "error", err)
		again := time.NewTimer(200 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-again.C:
		}
		again.Stop()
	}
}

func (t *teller) tell(ctx context.Context) error {
	_, end, err := t.s.bounds(ctx, numbered(streamSync, t.q))
	if err != nil {
		return err
	}
	consumer, err := t.s.js.OrderedConsumer(ctx, numbered(streamSync, t.q), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: end + 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow the queues: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2048))
	if err != nil {
		return fmt.Errorf("follow the queues: %w", err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	clear(t.last)
	if err := t.s.control.Publish(subjectTellAll, nil); err != nil {
		return err
	}
	failpoint("tell.begun")
	skip := len(subjectSync(t.q, ""))
	var payload []byte
	for {
		msg, err := messages.Next()
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		failpoint("tell.read")
		u := chat.UserID(msg.Subject()[skip:])
		sequence := meta.Sequence.Stream
		before, known := t.last[u]
		if !known {
			before = unknown
			if len(t.last) >= tellerUsers {
				clear(t.last)
			}
		}
		t.last[u] = sequence
		payload = binary.BigEndian.AppendUint64(payload[:0], sequence)
		payload = binary.BigEndian.AppendUint64(payload, before)
		payload = append(payload, msg.Data()...)
		if err := t.s.control.Publish(subjectLive(u), payload); err != nil {
			return err
		}
		failpoint("tell.told")
	}
}
