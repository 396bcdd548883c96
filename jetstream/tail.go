package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Following a stream.
//
// On one node a consumer is read. In a cluster a consumer lives on any of the nodes and
// JetStream's own leader makes it: when either dies, who reads is without news until the
// cluster has elected and made another, although his stream is led next to him. So there
// a stream is followed by reading on from any replica, whenever somebody who wrote says
// how far it has grown.
//
//	committer ── LOG-p has it ──▶ grown.LOG-p: 702 ──▶ tail: get after 700 ─▶ 701, 702
//
// What a replica lacks is a suffix: then another is asked. A word that gets lost costs
// tailEvery.

// entry is one message of a stream that is followed.
type entry struct {
	subject  string
	sequence uint64
	data     []byte
	pending  uint64 // how many follow, as far as known
}

// entries are followed by one goroutine; Stop may be called by any, and ends next.
type entries interface {
	next() (entry, error)
	Stop()
}

// consumed reads a consumer.
type consumed struct{ jetstream.MessagesContext }

func (c consumed) next() (entry, error) {
	msg, err := c.Next()
	if err != nil {
		return entry{}, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return entry{}, err
	}
	return entry{msg.Subject(), meta.Sequence.Stream, msg.Data(), meta.NumPending}, nil
}

const (
	// tailEvery is how often is looked without a word.
	tailEvery = 200 * time.Millisecond
	tailMost  = 256 // messages an answer
)

// tail reads a replica.
type tail struct {
	ctx    context.Context
	cancel context.CancelFunc
	nc     *nats.Conn
	stream string
	inbox  string
	asked  uint64
	subs   []*nats.Subscription

	answers chan *nats.Msg
	grown   chan struct{} // holds one token when there is more
	known   atomic.Uint64 // the stream holds this sequence
	after   uint64        // the sequence of the last that was read
	ready   []stored
	pending uint64
}

func subjectGrown(stream string) string { return "grown." + stream }

// followBeat is how often a server that has nothing to tell says so. After two of them
// without a word the consumer is made again: now and then, at a start, a request for
// messages is never answered, and the start would wait for the library's 10 s.
const followBeat = time.Second

// follow reads a stream from a sequence on, p's own or its queue's. On one node it reads
// at most most messages ahead.
func (s *Store) follow(ctx context.Context, p int, stream string, from uint64, most int) (entries, error) {
	if s.clustered() {
		return s.tail(s.tails[p], stream, from)
	}
	consumer, err := s.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(most), jetstream.PullHeartbeat(followBeat))
	return consumed{messages}, err
}

// grew tells who follows a stream of a cluster that it holds a sequence.
func (s *Store) grew(out *publisher, stream string, sequence uint64) {
	if s.clustered() {
		_ = out.nc.Publish(subjectGrown(stream), strconv.AppendUint(nil, sequence, 10)) // they look by themselves, too
	}
}

func (s *Store) tail(nc *nats.Conn, stream string, from uint64) (*tail, error) {
	t := &tail{nc: nc, stream: stream, inbox: nc.NewInbox() + ".", after: max(from, 1) - 1,
		answers: make(chan *nats.Msg, tailMost), grown: make(chan struct{}, 1)}
	t.ctx, t.cancel = context.WithCancel(s.ctx)
	for subject, hear := range map[string]nats.MsgHandler{
		t.inbox + "*": func(msg *nats.Msg) {
			select {
			case t.answers <- msg:
			case <-t.ctx.Done():
			}
		},
		subjectGrown(stream): func(msg *nats.Msg) {
			if n, err := strconv.ParseUint(string(msg.Data), 10, 64); err == nil {
				t.known.Store(max(n, t.known.Load())) // nobody else stores
			}
			select {
			case t.grown <- struct{}{}:
			default: // it is known
			}
		},
	} {
		sub, err := nc.Subscribe(subject, hear)
		if err != nil {
			t.Stop()
			return nil, err
		}
		t.subs = append(t.subs, sub)
	}
	return t, nil
}

// Stop implements entries.
func (t *tail) Stop() {
	t.cancel()
	for _, sub := range t.subs {
		sub.Unsubscribe() //nolint:errcheck // the connection may be gone, and the subscription with it
	}
}

func (t *tail) next() (entry, error) {
	for pause := stalePause; len(t.ready) == 0; {
		if err := t.ask(t.ctx, tailMost); err != nil {
			return entry{}, err
		}
		var grown <-chan struct{}
		wait := tailEvery
		switch {
		case len(t.ready) > 0:
			continue
		case t.known.Load() > t.after: // the next replica may have it
			wait, pause = pause, min(2*pause, stalePauses)
		default:
			grown, pause = t.grown, stalePause
		}
		if err := waitOr(t.ctx, wait, grown); err != nil {
			return entry{}, err
		}
	}
	m := t.ready[0]
	t.ready = t.ready[1:]
	t.after = m.Sequence
	return entry{m.Subject, m.Sequence, m.Data, t.pending + uint64(len(t.ready))}, nil
}

// ask reads what there is after the last, at most so many messages, until somebody answers or
// ctx ends. Nothing is no error.
func (t *tail) ask(ctx context.Context, most int) error {
	body, err := json.Marshal(ask{Seq: t.after + 1, NextFor: ">", Batch: most, MaxBytes: readBytes})
	if err != nil {
		return err
	}
	for within := askedFirst; ctx.Err() == nil; within = min(2*within, askedLast) {
		t.asked++
		mine := t.inbox + strconv.FormatUint(t.asked, 36)
		if err := t.nc.PublishRequest("$JS.API.DIRECT.GET."+t.stream, mine, body); err != nil {
			return err
		}
		found, pending, err := t.answer(ctx, mine, within)
		if err == nil {
			t.ready, t.pending = found, pending
			return nil
		}
		if wait(ctx, stalePause) != nil {
			break
		}
	}
	return fmt.Errorf("follow %s: %w", t.stream, context.Cause(ctx))
}

// answer gathers the answer to one request.
func (t *tail) answer(ctx context.Context, mine string, within time.Duration) (found []stored, pending uint64, err error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		var msg *nats.Msg
		select {
		case msg = <-t.answers:
		case <-timer.C:
			return nil, 0, errUnanswered
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
		if msg.Subject != mine {
			continue // of one that was given up
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			m, err := storedOf(msg)
			if err != nil {
				return nil, 0, err
			}
			found = append(found, m)
		case "204":
			return found, numeric(msg, "Nats-Num-Pending"), nil
		case "404":
			return nil, 0, nil
		default:
			return nil, 0, fmt.Errorf("status %s %s", status, msg.Header.Get("Description"))
		}
	}
}
