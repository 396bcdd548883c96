package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// The fence.
//
// A projector that has lost its lead may not know it yet, or have writes on their way
// that land a minute later. So whoever begins claims the partition first: a message
// to a subject of the fence in each stream it will write to. Every write after that
// names the sequence of its claim, and a stream refuses it when that is not the
// newest one:
//
//	A claims       HISTORY-0 at 700
//	A writes       entries, if the fence is at 700        ✓ 701, 702
//	B claims       HISTORY-0 at 703
//	A writes       entries, if the fence is at 700        refused: A stops
//	B surveys      everything up to 703: nothing of A's comes any more
//
// The guard is looked at before the proposal, and one that is under way bars the
// next; so what a take writes to a stream goes as atomic batches, one after the other,
// and the guard is the first message's. That a batch lands as a whole or not at all,
// once (its first message has an id), lets it be sent again when its answer is lost.
//
// A fence's subject always has a message, the claim. Reads use that as their witness:
// see fresh.go.
type fence struct {
	p      *projector
	claims map[string]uint64 // by stream
	chunks atomic.Uint64
}

// errFenced says that another projector has claimed the partition since.
var errFenced = errors.New("another projector has claimed the partition")

// A chunk is one batch. The server takes 1,000 messages in one.
const (
	chunkMessages = 400
	chunkBytes    = 1 << 20
	// claimsIn is into how many parts the time is divided that a queue keeps a claim
	// for: after the first of them it is made anew.
	claimsIn = 3
)

const (
	headerGuard        = "Nats-Expected-Last-Subject-Sequence"
	headerGuardSubject = "Nats-Expected-Last-Subject-Sequence-Subject"
	headerBatch        = "Nats-Batch-Id"
	headerBatchPlace   = "Nats-Batch-Sequence"
	headerBatchCommit  = "Nats-Batch-Commit"
)

// fencePrefix begins the subjects of fences: fence.<stream>.<p>.
const fencePrefix = "fence."

func subjectFence(stream string, p int) string {
	return fencePrefix + stream + "." + strconv.Itoa(p)
}

func isFence(subject string) bool { return strings.HasPrefix(subject, fencePrefix) }

// fenced are the streams a partition's projector writes to.
func (s *Store) fenced(p int) []string {
	streams := []string{streamCheckpoint, numbered(streamHistory, p), numbered(streamMarks, p)}
	for q := range s.o.Partitions {
		streams = append(streams, numbered(streamSync, q))
	}
	return streams
}

// claim makes p the only one who can write its partition.
func (p *projector) claim(ctx context.Context) (*fence, error) {
	type claimed struct {
		stream   string
		sequence uint64
		err      error
	}
	streams := p.s.fenced(p.partition)
	made := make(chan claimed, len(streams))
	id := fmt.Sprintf("%s.%d.%d", p.s.origin, p.partition, p.s.claims.Add(1))
	for _, stream := range streams {
		p.s.goes(func() {
			n, err := p.s.persist(ctx, p.out, stream, func() []*nats.Msg {
				return []*nats.Msg{{Subject: subjectFence(stream, p.partition), Data: []byte(p.s.origin),
					Header: nats.Header{headerID: {id}}}}
			})
			made <- claimed{stream, n, err}
		})
	}
	f := &fence{p: p, claims: make(map[string]uint64, len(streams))}
	var failed error
	for range streams {
		c := <-made
		if c.err != nil && failed == nil {
			failed = fmt.Errorf("claim %s: %w", c.stream, c.err)
		}
		f.claims[c.stream] = c.sequence
		p.s.raise(c.stream, c.sequence)
	}
	return f, failed
}

// put writes messages to one stream, in their order and once, and returns the
// sequence of the last, or one beyond it. errFenced: it is not ours any more.
//
// stored, where it isn't nil, is told of each part of the messages that the stream has taken,
// one right behind the other, and the sequence of its last; not where that isn't known.
func (f *fence) put(ctx context.Context, stream string, messages []*nats.Msg, stored func(from, to int, last uint64)) (last uint64, err error) {
	for done := 0; len(messages) > 0; {
		n, size := 0, 0
		for n < len(messages) && n < chunkMessages && (n == 0 || size < chunkBytes) {
			size += len(messages[n].Data)
			n++
		}
		var known bool
		if last, known, err = f.chunk(ctx, stream, messages[:n]); err != nil {
			return last, err
		}
		if known && stored != nil {
			stored(done, done+n, last)
		}
		messages, done = messages[n:], done+n
	}
	f.p.s.raise(stream, last)
	return last, nil
}

// chunk writes one batch. last is the sequence of its last message if it is known, and one
// beyond it if it isn't: then the stream had the batch by an answer that was lost.
func (f *fence) chunk(ctx context.Context, stream string, messages []*nats.Msg) (last uint64, known bool, err error) {
	guard := strconv.FormatUint(f.claims[stream], 10)
	id := fmt.Sprintf("%d.%s.%d", f.p.partition, guard, f.chunks.Add(1))
	try := 0
	last, err = f.p.s.persist(ctx, f.p.out, stream, func() []*nats.Msg {
		try++
		sent := make([]*nats.Msg, len(messages))
		for i, m := range messages {
			sent[i] = &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
			if len(messages) > 1 {
				sent[i].Header[headerBatch] = []string{id + "." + strconv.Itoa(try)}
				sent[i].Header[headerBatchPlace] = []string{strconv.Itoa(i + 1)}
			}
		}
		if len(messages) > 1 {
			sent[len(sent)-1].Header[headerBatchCommit] = []string{"1"}
		}
		sent[0].Header[headerID] = []string{id}
		sent[0].Header[headerGuard] = []string{guard}
		sent[0].Header[headerGuardSubject] = []string{subjectFence(stream, f.p.partition)}
		return sent
	})
	switch {
	case refusedWith(err, errWrongRevision):
		return 0, false, errFenced
	case refusedWith(err, errBatchDuplicate): // the try before was taken
		_, last, err = f.p.s.bounds(ctx, stream)
		return last, false, err
	case err != nil:
		return 0, false, fmt.Errorf("write to %s: %w", stream, err)
	}
	return last, true, nil
}

// publishFenced sends the writes of a take, to each stream in their order; those to
// queues behind what is on its way there.
func (t *take) publishFenced(ctx context.Context, writes []write) error {
	parcels := map[string]*parcel{}
	var scratch bytes.Buffer
	for _, w := range writes {
		scratch.Reset()
		if err := appendRecord(&scratch, w.record); err != nil {
			return err
		}
		data := bytes.Clone(scratch.Bytes()) // it stays until it has landed
		in := parcels[w.stream]
		if in == nil {
			in = &parcel{take: t, note: w.note}
			parcels[w.stream] = in
		}
		in.messages = append(in.messages, &nats.Msg{Subject: w.subject, Data: data})
		in.bytes += len(data)
		if w.queued != nil {
			w.queued.data, w.queued.bytes = data, len(data)
			in.entries = append(in.entries, *w.queued)
		}
	}
	rooms := 0
	for stream := range parcels {
		if t.p.lanes.each[stream] == nil {
			rooms++
		}
	}
	// What nothing is written for is answered after those before it, as ever; what is
	// applied again is made of states of before the claim.
	t.proven = rooms > 0 || !t.asked || len(parcels) == 0 || t.p.rec.replaying(t.upto)
	t.expects(len(parcels), rooms)
	fence := t.p.fence // the projector's may be another before this is through
	for stream, in := range parcels {
		if l := t.p.lanes.each[stream]; l != nil {
			l.add(*in)
			continue
		}
		t.p.s.goes(func() {
			sequence, err := fence.put(ctx, stream, in.messages, nil)
			t.wrote(in.note, sequence, err)
		})
	}
	return nil
}

// claimLasts is how long a claim is good: the queues drop it with their entries.
func (s *Store) claimLasts() time.Duration { return s.o.QueueRetention / claimsIn }
