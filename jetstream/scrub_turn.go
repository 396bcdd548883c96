package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"natter/chat"
)

// The scrub's turns. The node that leads CHECKPOINTS compares the streams one after
// the other, the one first that was compared longest ago, each once in an interval.
// What it knows stands in a record, so that whoever leads next goes on, and every node
// can tell.

// ScrubOptions say how replicas are compared, and what is done about one that differs.
type ScrubOptions struct {
	Interval time.Duration // each stream's; 0: nothing is compared
	Rate     int64         // bytes a second that are read, of all replicas together
	// Refill has a node drop its replicas of some streams, so that the others fill
	// them, and returns when it is back. An error says that it can't be now.
	Refill func(ctx context.Context, node string, streams []string) error
}

const (
	scrubLook   = 5 * time.Second  // how often is looked whether something is due
	scrubRetry  = 30 * time.Second // after which a node is asked again that couldn't fill
	scrubSoon   = 3 * time.Second  // after which a stream is tried again that couldn't be compared
	scrubTold   = time.Minute      // how often is told of a stream that can't be compared
	scrubGather = 10 * time.Second // for which damage is gathered, so that a node starts again once
	// scrubYoung is when streams that never were are compared, after a node came to do
	// it: a cluster that was just made has other things to do.
	scrubYoung = 10 * time.Minute
	// scrubFills is how often the same replica is filled without coming out right.
	// After that it is for a person: a disk that damages what it is given isn't
	// mended by writing to it.
	scrubFills = 3
)

// ScrubbedStreams are the streams whose replicas are compared: all that are on disk.
func (s *Store) ScrubbedStreams() []string { return append(s.streams(), streamSeen) }

// scrubber compares while this node leads CHECKPOINTS. It belongs to one goroutine.
type scrubber struct {
	s       *Store
	began   time.Time
	resting map[string]time.Time // streams that are left alone until then
	failing map[string]time.Time // streams that can't be compared: since then, or told of then
	since   time.Time            // when it saw damage that isn't dealt with; zero: there is none
	paced   time.Time            // until when what was read is as much as may be
}

// scrub runs until ctx ends.
func (s *Store) scrub(ctx context.Context) {
	if s.o.Scrub.Interval == 0 || !s.clustered() {
		return
	}
	s.whileLeading(ctx, streamCheckpoint, func(ctx context.Context) {
		(&scrubber{s: s, began: time.Now(), resting: map[string]time.Time{}, failing: map[string]time.Time{}}).run(ctx)
	})
}

func (k *scrubber) run(ctx context.Context) {
	for ctx.Err() == nil {
		did, err := k.step(ctx)
		if err != nil && ctx.Err() == nil {
			k.s.log.Debug("the scrub comes to nothing now", "error", err)
		}
		if did && err == nil {
			continue
		}
		if wait(ctx, max(min(scrubLook, k.s.o.Scrub.Interval), time.Second)) != nil {
			return
		}
	}
}

// step does one thing, if there is one: fill what was found damaged, or compare what
// is due.
func (k *scrubber) step(ctx context.Context) (did bool, err error) {
	known, err := k.s.Scrubbed(ctx)
	if err != nil {
		return false, err
	}
	k.s.metrics.setScrub(known, k.s.ScrubbedStreams())
	name, damaged := k.due(known, time.Now()), known.toFill()
	switch {
	case len(damaged) == 0:
		k.since = time.Time{}
	case k.since.IsZero():
		k.since = time.Now()
	}
	if len(damaged) > 0 && (name == "" || time.Since(k.since) > scrubGather) {
		return true, k.refill(ctx, damaged)
	}
	if name == "" {
		return false, nil
	}
	return true, k.compare(ctx, name)
}

// due is the stream to compare next, empty if none is due.
func (k *scrubber) due(known *Scrubbed, now time.Time) (name string) {
	oldest := chat.MillisOf(now.Add(-k.s.o.Scrub.Interval))
	young := now.Sub(k.began) < min(k.s.o.Scrub.Interval, scrubYoung)
	for _, one := range k.s.ScrubbedStreams() {
		at, compared := known.Compared[one]
		if at > oldest || !compared && young || now.Before(k.resting[one]) {
			continue
		}
		if name == "" || at < known.Compared[name] {
			name = one
		}
	}
	return name
}

func (k *scrubber) compare(ctx context.Context, name string) error {
	wrong, err := k.s.compare(ctx, name, func(bytes int) error { return k.pace(ctx, bytes) })
	if err != nil {
		k.resting[name] = time.Now().Add(scrubSoon)
		if since, known := k.failing[name]; !known {
			k.failing[name] = time.Now()
		} else if time.Since(since) > scrubTold && ctx.Err() == nil {
			k.failing[name] = time.Now()
			k.s.log.Warn("a stream's replicas can't be compared", "stream", name, "error", err)
		}
		return fmt.Errorf("compare %s: %w", name, err)
	}
	delete(k.failing, name)
	known, err := k.s.noteScrub(ctx, func(known *Scrubbed) {
		for _, d := range known.Damaged {
			if d.Stream == name && len(wrong) == 0 {
				k.s.log.Info("a stream's replicas are equal again", "stream", name, "node", d.Node)
			}
		}
		known.found(name, wrong, chat.MillisOf(time.Now()))
	})
	if err != nil {
		return err
	}
	for node, seqs := range wrong {
		k.s.log.Error("a stream's replica differs from the others", "stream", name, "node", node, "entries_seen", len(seqs), "seq", known.damage(name, node).Seq)
		k.s.metrics.scrubDamage.Inc()
	}
	return nil
}

// pace waits as long as what was read may take.
func (k *scrubber) pace(ctx context.Context, bytes int) error {
	k.s.metrics.scrubBytes.Add(float64(bytes))
	now := time.Now()
	if k.paced.Before(now) {
		k.paced = now
	}
	k.paced = k.paced.Add(time.Duration(float64(bytes) / float64(k.s.o.Scrub.Rate) * float64(time.Second)))
	return wait(ctx, k.paced.Sub(now))
}

// refill has nodes with damaged replicas, one after the other, have them filled. Before
// a node is told it stands in the record that what it has is to be compared next,
// whoever leads then.
func (k *scrubber) refill(ctx context.Context, damaged map[string][]string) error {
	if k.s.o.Scrub.Refill == nil {
		return nil
	}
	for _, node := range slices.Sorted(maps.Keys(damaged)) {
		streams := damaged[node]
		if err := k.fill(ctx, node, streams, 1); err != nil {
			return err
		}
		k.s.log.Warn("a node has damaged replicas made anew", "node", node, "streams", streams)
		if err := k.s.o.Scrub.Refill(ctx, node, streams); err != nil {
			for _, name := range streams {
				k.resting[name] = time.Now().Add(scrubRetry)
			}
			return errors.Join(fmt.Errorf("the replicas on %s are not made anew: %w", node, err), k.fill(ctx, node, streams, -1))
		}
		k.s.metrics.scrubFills.Add(float64(len(streams)))
	}
	return nil
}

// fill counts how often replicas were filled, and has them compared next.
func (k *scrubber) fill(ctx context.Context, node string, streams []string, times int) error {
	_, err := k.s.noteScrub(ctx, func(known *Scrubbed) {
		for _, name := range streams {
			known.Compared[name] = 0
			if d := known.damage(name, node); d != nil {
				d.Fills += times
			}
		}
	})
	return err
}
