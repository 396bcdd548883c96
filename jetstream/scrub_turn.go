package jetstream

import (
	"context"
	"encoding/json"
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
	scrubGather = 10 * time.Second // for which damage is gathered, so that a node starts again once
	// scrubYoung is when streams that never were are compared, after a node came to do
	// it: a cluster that was just made has other things to do.
	scrubYoung = 10 * time.Minute
	// scrubFills is how often the same replica is filled without coming out right.
	// After that it is for a person: a disk that damages what it is given isn't
	// mended by writing to it.
	scrubFills = 3
)

const (
	scrubBucket = "scrub"
	scrubKey    = "state"
	scrubFormat = 1
)

// Scrubbed is what is known of the streams' replicas.
type Scrubbed struct {
	Version int `json:"version"`
	// Compared is when each stream last was, whatever came of it; 0: it is to be next.
	Compared map[string]chat.Millis `json:"compared,omitempty"`
	Damaged  []Damage               `json:"damaged,omitempty"`
}

// Damage is a replica that differs from the others.
type Damage struct {
	Stream string      `json:"stream"`
	Node   string      `json:"node"` // empty: no majority agrees which one is right
	Seq    uint64      `json:"seq"`  // the first that differs
	Since  chat.Millis `json:"since"`
	Fills  int         `json:"fills,omitempty"` // how often it was filled anew
}

// String is one line for the operator.
func (d Damage) String() string {
	if d.Node == "" {
		return fmt.Sprintf("%s differs on all nodes, from sequence %d on: nobody can tell which is right", d.Stream, d.Seq)
	}
	text := fmt.Sprintf("%s: its copy of %s differs from the others', from sequence %d on", d.Node, d.Stream, d.Seq)
	if d.Fills >= scrubFills {
		text += fmt.Sprintf("; it was made anew %d times and still does: look at its disk", d.Fills)
	}
	return text
}

func parseScrubbed(b []byte) (*Scrubbed, error) {
	k := &Scrubbed{}
	if err := json.Unmarshal(b, k); err != nil || k.Version != scrubFormat {
		return nil, fmt.Errorf("the scrub's record can't be read: %.100q", b)
	}
	if k.Compared == nil {
		k.Compared = map[string]chat.Millis{}
	}
	return k, nil
}

// damage is what is known of a replica; nil if nothing is wrong with it.
func (k *Scrubbed) damage(stream, node string) *Damage {
	for i := range k.Damaged {
		if d := &k.Damaged[i]; d.Stream == stream && d.Node == node {
			return d
		}
	}
	return nil
}

// Well tells whether a stream is equal on all nodes, as far as node is concerned.
func (k *Scrubbed) Well(stream, node string) bool {
	return k.Compared[stream] != 0 && k.damage(stream, node) == nil
}

// toFill are the replicas that are to be filled, by node: not those that were and are
// yet to be compared.
func (k *Scrubbed) toFill() map[string][]string {
	of := map[string][]string{}
	for _, d := range k.Damaged {
		if d.Node != "" && d.Fills < scrubFills && k.Compared[d.Stream] != 0 {
			of[d.Node] = append(of[d.Node], d.Stream)
		}
	}
	return of
}

// found notes what a comparison came to.
func (k *Scrubbed) found(stream string, wrong wrongs, now chat.Millis) {
	k.Compared[stream] = now
	k.Damaged = slices.DeleteFunc(k.Damaged, func(d Damage) bool { return d.Stream == stream && wrong[d.Node] == nil })
	for _, node := range slices.Sorted(maps.Keys(wrong)) {
		if k.damage(stream, node) == nil {
			from, _ := wrongs{node: wrong[node]}.span()
			k.Damaged = append(k.Damaged, Damage{Stream: stream, Node: node, Seq: from, Since: now})
		}
	}
}

// Oldest is when the one of the streams was compared that was compared longest ago; 0 if
// one is to be compared next.
func (k *Scrubbed) Oldest(streams []string) chat.Millis {
	oldest := k.Compared[streams[0]]
	for _, name := range streams {
		oldest = min(oldest, k.Compared[name])
	}
	return oldest
}

// Scrubbed tells what is known of the streams' replicas, to any node.
func (s *Store) Scrubbed(ctx context.Context) (*Scrubbed, error) {
	k, _, err := s.scrubbed(ctx)
	return k, err
}

func (s *Store) scrubbed(ctx context.Context) (*Scrubbed, uint64, error) {
	b, revision, err := s.Records(scrubBucket).Get(ctx, scrubKey)
	if chat.KindOf(err) == chat.KindNotFound {
		return &Scrubbed{Version: scrubFormat, Compared: map[string]chat.Millis{}}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	k, err := parseScrubbed(b)
	return k, revision, err
}

// ScrubFirst has streams compared before all others: there is reason to look.
func (s *Store) ScrubFirst(ctx context.Context, streams ...string) error {
	_, err := s.noteScrub(ctx, func(k *Scrubbed) {
		for _, name := range streams {
			k.Compared[name] = 0
		}
	})
	return err
}

// noteScrub changes the record.
func (s *Store) noteScrub(ctx context.Context, change func(*Scrubbed)) (*Scrubbed, error) {
	for {
		k, revision, err := s.scrubbed(ctx)
		if err != nil {
			return nil, err
		}
		change(k)
		b, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		_, err = s.Records(scrubBucket).Put(ctx, scrubKey, b, revision)
		if chat.KindOf(err) == chat.KindConflict {
			continue
		}
		return k, err
	}
}

// ScrubbedStreams are the streams whose replicas are compared: all that are on disk.
func (s *Store) ScrubbedStreams() []string { return append(s.streams(), streamSeen) }

// scrubber compares while this node leads CHECKPOINTS. It belongs to one goroutine.
type scrubber struct {
	s       *Store
	began   time.Time
	resting map[string]time.Time // streams that are left alone until then
	since   time.Time            // when it saw damage that isn't dealt with; zero: there is none
	paced   time.Time            // until when what was read is as much as may be
}

// scrub runs until ctx ends.
func (s *Store) scrub(ctx context.Context) {
	if s.o.Scrub.Interval == 0 || !s.clustered() {
		return
	}
	s.whileLeading(ctx, streamCheckpoint, func(ctx context.Context) {
		(&scrubber{s: s, began: time.Now(), resting: map[string]time.Time{}}).run(ctx)
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
		return fmt.Errorf("compare %s: %w", name, err)
	}
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
