package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
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
	scrubTries = 32               // of making consumers until each stands where it should
	scrubBatch = 64               // entries that are asked for at once
	scrubTurns = 6                // in which nothing comes though something should
	scrubTurn  = time.Second      // each of these
	scrubIdle  = 10 * time.Minute // after which a consumer that was left is gone
)

// replicated is what is known of an entry of a replica.
type replicated struct {
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
	ahead        []replicated       // read already, and not asked for yet
	ended        bool               // nothing follows ahead
}

// readersOn makes consumers that read a stream's replicas on nodes, one on each, from a
// sequence on. Each is a proposal to JetStream's leader, so more than are needed are made
// at the same time, and those that don't fit are given back.
func (s *Store) readersOn(ctx context.Context, stream string, from uint64, nodes ...string) (map[string]jetstream.Consumer, error) {
	found := map[string]jetstream.Consumer{}
	for range scrubTries {
		made, err := s.makeReaders(ctx, stream, from, 2*(len(nodes)-len(found)))
		for _, consumer := range made {
			cluster := consumer.CachedInfo().Cluster
			if cluster != nil && slices.Contains(nodes, cluster.Leader) && found[cluster.Leader] == nil {
				found[cluster.Leader] = consumer
			} else {
				s.giveBack(ctx, stream, consumer)
			}
		}
		if len(found) == len(nodes) {
			return found, nil
		}
		if err != nil {
			for _, consumer := range found {
				s.giveBack(ctx, stream, consumer)
			}
			return nil, err
		}
	}
	return nil, fmt.Errorf("no consumers of %s came to stand on each of %v", stream, nodes)
}

// makeReaders makes n consumers, wherever the server places them; those that it could
// beside an error.
func (s *Store) makeReaders(ctx context.Context, stream string, from uint64, n int) (made []jetstream.Consumer, _ error) {
	config := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
		AckPolicy: jetstream.AckNonePolicy, Replicas: 1, MemoryStorage: true, InactiveThreshold: scrubIdle}
	// Whoever is asked while there is no leader of JetStream's own group never answers.
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	all, errs := make([]jetstream.Consumer, n), make([]error, n)
	var making sync.WaitGroup
	for i := range n {
		making.Go(func() { all[i], errs[i] = s.js.CreateConsumer(ctx, stream, config) })
	}
	making.Wait()
	for i, consumer := range all {
		if errs[i] == nil {
			made = append(made, consumer)
		}
	}
	return made, errors.Join(errs...)
}

// giveBack deletes a consumer, without waiting for it; one that can't be deleted is gone
// after scrubIdle.
func (s *Store) giveBack(ctx context.Context, stream string, consumer jetstream.Consumer) {
	name := consumer.CachedInfo().Name
	s.goes(func() {
		if err := s.js.DeleteConsumer(ctx, stream, name); err != nil {
			s.log.Debug("a scrub's consumer is left", "stream", stream, "error", err)
		}
	})
}

// upTo reads what the replica has, and can read, from From to To, both included; a call
// goes on where the last one ended. read is told of what came from the disk.
func (r *replica) upTo(ctx context.Context, from, to uint64, read func(bytes int) error) (map[uint64]replicated, error) {
	found := map[uint64]replicated{}
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

// fetch reads on. That nothing comes though something should is no error.
func (r *replica) fetch(ctx context.Context, from uint64) error {
	if r.consumer == nil {
		made, err := r.s.readersOn(ctx, r.stream, from, r.node)
		if err != nil {
			return err
		}
		r.consumer = made[r.node]
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
			r.ahead = append(r.ahead, replicated{seq, meta.Timestamp, len(m.Subject()) + len(m.Data()),
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

// close gives the consumer back. The replica may be read on.
func (r *replica) close(ctx context.Context) {
	if r.consumer != nil {
		r.s.giveBack(ctx, r.stream, r.consumer)
		r.consumer = nil
	}
}

// readers are for a stream's replicas on nodes, from a sequence on. They are to be closed.
func (s *Store) readers(ctx context.Context, stream string, from uint64, nodes ...string) (all []*replica, _ error) {
	made, err := s.readersOn(ctx, stream, from, nodes...)
	if err != nil {
		return nil, err
	}
	for _, node := range nodes {
		all = append(all, &replica{s: s, stream: stream, node: node, consumer: made[node]})
	}
	return all, nil
}

// entriesOn reads the entries from From to To, both included, that nodes' replicas of the
// stream have and can read.
func (s *Store) entriesOn(ctx context.Context, stream string, from, to uint64, read func(bytes int) error, nodes ...string) (map[string]map[uint64]replicated, error) {
	readers, err := s.readers(ctx, stream, from, nodes...)
	if err != nil {
		return nil, err
	}
	found := map[string]map[uint64]replicated{}
	for _, r := range readers {
		defer r.close(ctx)
		if found[r.node], err = r.upTo(ctx, from, to, read); err != nil {
			return nil, fmt.Errorf("read the replica on %s: %w", r.node, err)
		}
	}
	return found, nil
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
