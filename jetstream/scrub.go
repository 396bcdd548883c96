package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Scrub. NATS heals neither a flipped bit nor a block cut short: what a replica can't
// read it passes over. So the replicas are held against each other, an entry at a
// time: an entry never changes under its sequence, it can only be deleted. Hashes of
// whole ranges would differ whenever one node has deleted what another is about to.
//
// A Direct Get doesn't say which replica it asks (the server picks one of the cluster),
// but a consumer of one replica reads the store of the node it runs on. The server
// places it at random, so it is made again until it stands where it should.

const (
	scrubTries = 64               // of making a consumer; of three nodes all fail once in 10^11
	scrubBatch = 64               // entries that are asked for at once
	scrubTurns = 6                // in which nothing comes though something should
	scrubTurn  = time.Second      // each of these
	scrubIdle  = 10 * time.Minute // after which a consumer that was left is gone
)

// entry is what is known of an entry of a replica.
type entry struct {
	seq   uint64
	at    time.Time
	bytes int
	sum   []byte
}

// replica reads the copy of a stream that one node has, in the order of its sequences.
// It belongs to one goroutine, and is to be closed.
type replica struct {
	s            *Store
	stream, node string
	consumer     jetstream.Consumer // nil: there is none now
	ahead        []entry            // read already, and not asked for yet
	ended        bool               // nothing follows ahead
}

// readerOn makes a consumer that reads node's replica of stream, from a sequence on.
// Who calls it deletes it.
func (s *Store) readerOn(ctx context.Context, stream, node string, from uint64) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
		AckPolicy: jetstream.AckNonePolicy, Replicas: 1, MemoryStorage: true, InactiveThreshold: scrubIdle}
	for range scrubTries {
		consumer, err := s.js.CreateConsumer(ctx, stream, config)
		if err != nil {
			return nil, err
		}
		info := consumer.CachedInfo()
		if info.Cluster != nil && info.Cluster.Leader == node {
			return consumer, nil
		}
		if err := s.js.DeleteConsumer(ctx, stream, info.Name); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no consumer of %s came to stand on %s", stream, node)
}

// upTo reads what the replica has, and can read, from From to To, both included; a call
// goes on where the last one ended. read is told of what came from the disk.
func (r *replica) upTo(ctx context.Context, from, to uint64, read func(bytes int) error) (map[uint64]entry, error) {
	found := map[uint64]entry{}
	for {
		for len(r.ahead) > 0 && r.ahead[0].seq <= to {
			e := r.ahead[0]
			found[e.seq] = e
			from = e.seq + 1
			r.ahead = r.ahead[1:]
		}
		if len(r.ahead) > 0 || r.ended || from > to {
			return found, nil
		}
		if err := r.fetch(ctx, from); err != nil {
			return nil, err
		}
		bytes := 0
		for _, e := range r.ahead {
			bytes += e.bytes
		}
		if err := read(bytes); err != nil {
			return nil, err
		}
		if len(r.ahead) == 0 && !r.ended { // what is left up to To can't be read
			r.close(ctx)
			return found, nil
		}
	}
}

// open has a consumer read from a sequence on, if there is none.
func (r *replica) open(ctx context.Context, from uint64) (err error) {
	if r.consumer == nil {
		r.consumer, err = r.s.readerOn(ctx, r.stream, r.node, from)
	}
	return err
}

// fetch reads on. That nothing comes though something should is no error.
func (r *replica) fetch(ctx context.Context, from uint64) error {
	if err := r.open(ctx, from); err != nil {
		return err
	}
	for range scrubTurns {
		batch, err := r.consumer.FetchNoWait(scrubBatch)
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			seq := meta.Sequence.Stream
			r.ahead = append(r.ahead, entry{seq, meta.Timestamp, len(m.Subject()) + len(m.Data()),
				sumOf(seq, meta.Timestamp, m.Subject(), m.Headers(), m.Data())})
			r.ended = meta.NumPending == 0
		}
		if len(r.ahead) > 0 {
			return nil
		}
		info, err := r.consumer.Info(ctx)
		if err != nil {
			return err // the node doesn't answer at all, which says nothing of its replica
		}
		if r.ended = info.NumPending == 0; r.ended {
			return nil
		}
		if err := wait(ctx, scrubTurn); err != nil {
			return err
		}
	}
	return nil
}

// next is the sequence of what is read next, as far as that is known.
func (r *replica) next(otherwise uint64) uint64 {
	switch {
	case len(r.ahead) > 0:
		return r.ahead[0].seq
	case r.ended:
		return math.MaxUint64
	}
	return otherwise
}

// close gives the consumer back; one that can't be goes after scrubIdle. The replica may
// be read on.
func (r *replica) close(ctx context.Context) {
	if r.consumer == nil {
		return
	}
	name := r.consumer.CachedInfo().Name
	r.consumer = nil
	if err := r.s.js.DeleteConsumer(ctx, r.stream, name); err != nil {
		r.s.log.Debug("a scrub's consumer is left", "stream", r.stream, "error", err)
	}
}

// entriesOn reads the entries from From to To, both included, that node's replica of
// the stream has and can read.
func (s *Store) entriesOn(ctx context.Context, stream, node string, from, to uint64, read func(bytes int) error) (map[uint64]entry, error) {
	r := &replica{s: s, stream: stream, node: node}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scrubLeave)
		defer cancel()
		r.close(ctx)
	}()
	return r.upTo(ctx, from, to, read)
}

// sumOf is a sum of all of an entry, each part with its length.
func sumOf(seq uint64, at time.Time, subject string, headers nats.Header, data []byte) []byte {
	h := sha256.New()
	part := func(b []byte) {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(b)))) // a hash takes all
		_, _ = h.Write(b)
	}
	part(binary.AppendUvarint(nil, seq))
	part(binary.AppendVarint(nil, at.UnixNano()))
	part([]byte(subject))
	part(binary.AppendUvarint(nil, uint64(len(headers))))
	for _, k := range slices.Sorted(maps.Keys(headers)) {
		part([]byte(k))
		part(binary.AppendUvarint(nil, uint64(len(headers[k]))))
		for _, v := range headers[k] {
			part([]byte(v))
		}
	}
	part(data)
	return h.Sum(nil)[:16]
}

// verdict is what the replicas of one entry say of each other: the names of those that
// are wrong. Of three or more the majority is right; without one nobody is.
func verdict(sums map[string][]byte) (wrong []string, decided bool) {
	votes := map[string]int{}
	for _, sum := range sums {
		votes[string(sum)]++
	}
	for sum, n := range votes {
		if 2*n <= len(sums) {
			continue
		}
		for _, node := range slices.Sorted(maps.Keys(sums)) {
			if string(sums[node]) != sum {
				wrong = append(wrong, node)
			}
		}
		return wrong, true
	}
	return nil, false
}
