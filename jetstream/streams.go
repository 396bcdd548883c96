package jetstream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// createStreams creates or updates every stream; doing it again changes nothing.
func (s *Store) createStreams(ctx context.Context) error {
	for p := range s.o.Partitions {
		for _, c := range s.partitionStreams(p) {
			if err := s.createStream(ctx, c); err != nil {
				return err
			}
		}
	}
	for _, c := range []jetstream.StreamConfig{
		// 128 checkpoints a partition at one each 5 s reach back over 10 minutes,
		// which must exceed reachBack.
		s.projection(jetstream.StreamConfig{Name: streamCheckpoint, Subjects: []string{"checkpoint.*"}, MaxMsgsPerSubject: checkpointsKept}),
		s.projection(jetstream.StreamConfig{Name: streamCursors, Subjects: []string{"cursor.*.*"}, MaxMsgsPerSubject: 1, MaxAge: s.o.QueueRetention}),
		{Name: streamRecords, Subjects: []string{"record.>"}, MaxMsgsPerSubject: 1, AllowRollup: true, AllowDirect: true},
	} {
		if err := s.createStream(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) partitionStreams(p int) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{Name: numbered(streamLog, p), Subjects: []string{subjectLog(p)}, MaxAge: logRetention, AllowDirect: true,
			// A batch is tried again under its id for commitPatience.
			Duplicates: 2 * time.Minute},
		// HISTORY has no MaxAge: one node's wrong clock would delete it.
		s.projection(jetstream.StreamConfig{Name: numbered(streamHistory, p),
			Subjects: []string{fmt.Sprintf("msg.%d.*", p), fmt.Sprintf("page.%d.*.*", p), fmt.Sprintf("room.%d.*", p)}}),
		s.projection(jetstream.StreamConfig{Name: numbered(streamSync, p), Subjects: []string{fmt.Sprintf("sync.%d.*", p)},
			MaxAge: s.o.QueueRetention}),
		s.projection(jetstream.StreamConfig{Name: numbered(streamMarks, p),
			Subjects: []string{fmt.Sprintf("mark.%d.*.*", p), fmt.Sprintf("draft.%d.*.*", p)},
			// The newest counts. Those before it are there for a power failure, which
			// may take the newest back when the one it replaced is already deleted.
			MaxMsgsPerSubject: 4}),
	}
}

// projection is for what can be made again from the log: a single node need not
// wait for its disk.
func (s *Store) projection(c jetstream.StreamConfig) jetstream.StreamConfig {
	c.AllowDirect = true
	if s.o.Replicas == 1 {
		c.PersistMode = jetstream.AsyncPersistMode
	}
	return c
}

func (s *Store) createStream(ctx context.Context, c jetstream.StreamConfig) error {
	c.Storage = jetstream.FileStorage
	c.Replicas = s.o.Replicas
	if _, err := s.js.CreateOrUpdateStream(ctx, c); err != nil {
		return fmt.Errorf("stream %s: %w", c.Name, err)
	}
	failpoint("start.stream")
	return nil
}
