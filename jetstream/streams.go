package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// createRecords makes the stream of the records, before all others.
func (s *Store) createRecords(ctx context.Context) error { return s.createStream(ctx, recordsStream()) }

func recordsStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: streamRecords, Subjects: []string{"record.>"},
		MaxMsgsPerSubject: 1, AllowRollup: true, AllowDirect: true, Duplicates: duplicateWindow}
}

// createStreams creates or updates every other stream, all at once; doing it again changes
// nothing, and the nodes of a cluster may do it at the same time.
func (s *Store) createStreams(ctx context.Context) error {
	configs := append(s.keptStreams(), s.leases.config(), s.places.config())
	made := make(chan error, len(configs))
	for _, c := range configs {
		s.goes(func() { made <- s.createStream(ctx, c) })
	}
	var failed error
	for range configs {
		if err := <-made; err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

// noLimit is a limit of messages a subject that nobody reaches. With any such limit
// nats-server keeps a stream in blocks of 4 MiB in place of 8 (stream.go,
// autoTuneFileStorageBlockSize): a block is read whole when one entry of it is, and
// the one that is written stays in memory.
const noLimit = 1 << 50

// keptStreams are all but the records and what ends with the nodes: leases and places.
func (s *Store) keptStreams() []jetstream.StreamConfig {
	checkpoints := []string{"checkpoint.*"}
	if !s.clustered() {
		checkpoints = append(checkpoints, "window.*")
	}
	configs := []jetstream.StreamConfig{
		// 128 checkpoints a partition at one each 5 s reach back over 10 minutes,
		// which must exceed reachBack. With each goes a record of the window, or more.
		s.projection(jetstream.StreamConfig{Name: streamCheckpoint, Subjects: checkpoints, MaxMsgsPerSubject: checkpointsKept}),
		s.async(jetstream.StreamConfig{Name: streamCursors, Subjects: []string{"cursor.*.*"}, MaxMsgsPerSubject: 1, MaxAge: s.o.QueueRetention}),
		s.async(jetstream.StreamConfig{Name: streamSeen, Subjects: []string{"seen.*"}, MaxMsgsPerSubject: 1, MaxAge: s.o.QueueRetention}),
	}
	for p := range s.o.Partitions {
		configs = append(configs, s.partitionStreams(p)...)
	}
	return configs
}

func (s *Store) partitionStreams(p int) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{Name: numbered(streamLog, p), Subjects: []string{subjectLog(p)}, MaxAge: logRetention, AllowDirect: true, MaxMsgsPerSubject: noLimit,
			// A batch is tried again under its id for persistFor.
			Duplicates: duplicateWindow},
		// HISTORY has no MaxAge: one node's wrong clock would delete it.
		s.projection(jetstream.StreamConfig{Name: numbered(streamHistory, p),
			Subjects:          []string{fmt.Sprintf("msg.%d.*", p), fmt.Sprintf("page.%d.*.*", p), fmt.Sprintf("room.%d.*", p)},
			MaxMsgsPerSubject: noLimit}),
		s.projection(jetstream.StreamConfig{Name: numbered(streamSync, p), Subjects: []string{fmt.Sprintf("sync.%d.*", p)},
			MaxAge: s.o.QueueRetention, MaxMsgsPerSubject: noLimit}),
		s.projection(jetstream.StreamConfig{Name: numbered(streamMarks, p),
			Subjects: []string{fmt.Sprintf("mark.%d.*.*", p), fmt.Sprintf("draft.%d.*.*", p)},
			// The newest counts. Those before it are there for a power failure, which
			// may take the newest back when the one it replaced is already deleted.
			MaxMsgsPerSubject: 4}),
	}
}

// projection is for what is made from the log. In a cluster projectors write it in
// batches behind a fence.
func (s *Store) projection(c jetstream.StreamConfig) jetstream.StreamConfig {
	if s.clustered() {
		c.AllowAtomicPublish = true
		c.Duplicates = duplicateWindow
		c.Subjects = append(c.Subjects, fencePrefix+c.Name+".*")
	}
	return s.async(c)
}

// async is for what may be lost or made again: a single node need not wait for its
// disk.
func (s *Store) async(c jetstream.StreamConfig) jetstream.StreamConfig {
	c.AllowDirect = true
	if !s.clustered() {
		c.PersistMode = jetstream.AsyncPersistMode
	}
	return c
}

// createStream makes one stream what it should be. In a cluster it waits, until ctx
// ends, for as many servers as there are replicas and for the stream's leader.
func (s *Store) createStream(ctx context.Context, c jetstream.StreamConfig) error {
	c.Replicas = s.o.Replicas
	err := s.haveStream(ctx, c)
	failpoint("start.stream")
	return err
}

func (s *Store) haveStream(ctx context.Context, c jetstream.StreamConfig) error {
	if !s.clustered() {
		if _, err := s.js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("stream %s: %w", c.Name, err)
		}
		return nil
	}
	var final error
	patience := answerSoon
	err := s.until(ctx, fmt.Sprintf("waiting for %d nodes to keep stream %s", c.Replicas, c.Name), func() error {
		err := s.makeStream(ctx, c, &patience)
		if err != nil && !comesAbout(err) {
			final = fmt.Errorf("stream %s: %w", c.Name, err)
			return nil
		}
		return err
	})
	return errors.Join(final, err)
}

// makeStreamWithin bounds one try: without a meta leader nobody answers.
const makeStreamWithin = 1500 * time.Millisecond

func (s *Store) makeStream(ctx context.Context, c jetstream.StreamConfig, patience *time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, makeStreamWithin)
	defer cancel()
	there, err := s.findStream(ctx, c.Name, patience)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if c.Name == streamRecords {
			if err := s.mayFound(ctx); err != nil {
				return err
			}
		}
		_, err := s.js.CreateStream(ctx, c)
		return err
	}
	if err != nil {
		return err
	}
	found := there.CachedInfo()
	differs := differences(found.Config, c)
	if len(differs) == 0 {
		if found.Cluster == nil || found.Cluster.Leader == "" {
			return errors.New("it has no leader")
		}
		return nil
	}
	s.log.Warn("a stream is not as this node's settings have it; it is changed", "stream", c.Name, "differs", strings.Join(differs, ", "))
	if _, err := s.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("it differs in %s: %w", strings.Join(differs, ", "), err)
	}
	return nil
}

// findStream asks for a stream, which its leader answers: while it has none nobody does.
// So it gives up when patience is over or a leader is heard of, and then there is as
// little patience as at first, or twice as much.
func (s *Store) findStream(ctx context.Context, name string, patience *time.Duration) (jetstream.Stream, error) {
	elected := s.elections.after(name)
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	answered := make(chan struct{})
	defer close(answered)
	s.goes(func() {
		select {
		case <-elected:
			cancel()
		case <-answered:
		}
	})
	there, err := s.js.Stream(ctx, name)
	select {
	case <-elected:
		*patience = answerSoon
	default:
		*patience = min(2**patience, makeStreamWithin)
	}
	return there, err
}

// differences names what of a stream is not as wanted.
func differences(have, want jetstream.StreamConfig) []string {
	var differs []string
	note := func(name string, have, want any) {
		if have != want {
			differs = append(differs, fmt.Sprintf("%s (%v, not %v)", name, have, want))
		}
	}
	sorted := func(subjects []string) string { return strings.Join(slices.Sorted(slices.Values(subjects)), " ") }
	note("replicas", have.Replicas, want.Replicas)
	note("subjects", sorted(have.Subjects), sorted(want.Subjects))
	note("max_age", have.MaxAge, want.MaxAge)
	note("messages a subject", max(have.MaxMsgsPerSubject, 0), max(want.MaxMsgsPerSubject, 0))
	if want.Duplicates != 0 {
		note("window of duplicates", have.Duplicates, want.Duplicates)
	}
	note("atomic batches", have.AllowAtomicPublish, want.AllowAtomicPublish)
	note("direct reads", have.AllowDirect, want.AllowDirect)
	note("rollup", have.AllowRollup, want.AllowRollup)
	note("persist mode", have.PersistMode, want.PersistMode)
	return differs
}

// The server's codes for what passes when more nodes are there or a leader stands.
const (
	codeUnavailable = 10008 // the system is temporarily unavailable
	codeNoPeers     = 10005 // no suitable peers for placement
	codeNoResources = 10023 // insufficient resources
	codeNotCurrent  = 10009 // not the leader
	codeOffline     = 10118 // the stream is offline
	codeInUse       = 10058 // the name is in use with another configuration: somebody just made it
)

// comesAbout tells whether waiting may help against err.
func comesAbout(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return slices.Contains([]jetstream.ErrorCode{codeUnavailable, codeNoPeers, codeNoResources, codeNotCurrent, codeOffline, codeInUse}, api.ErrorCode)
	}
	return true // nobody answered in time, or nobody is there
}
