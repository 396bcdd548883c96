package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
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
	scrubTries  = 64               // of making a consumer; of three nodes all fail once in 10^11
	scrubUnread = 2 * time.Second  // how long the next entry may take
	scrubIdle   = 30 * time.Second // after which a consumer that was left is gone
)

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

// sumsOn reads a sum of every entry from From to To, both included, that node's replica
// of the stream has and can read.
func (s *Store) sumsOn(ctx context.Context, stream, node string, from, to uint64) (_ map[uint64][]byte, err error) {
	consumer, err := s.readerOn(ctx, stream, node, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.js.DeleteConsumer(ctx, stream, consumer.CachedInfo().Name)) }()
	found := map[uint64][]byte{}
	for {
		m, err := consumer.Next(jetstream.FetchMaxWait(scrubUnread))
		if errors.Is(err, nats.ErrTimeout) {
			if _, err := consumer.Info(ctx); err != nil {
				return nil, err // the node doesn't answer at all, which says nothing of its replica
			}
			return found, nil // what is left can't be read
		}
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if meta.Sequence.Stream <= to {
			found[meta.Sequence.Stream] = sumOf(meta.Sequence.Stream, meta.Timestamp, m.Subject(), m.Headers(), m.Data())
		}
		if meta.Sequence.Stream >= to || meta.NumPending == 0 {
			return found, nil
		}
	}
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
