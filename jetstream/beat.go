package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// In a cluster each projector tells all nodes how far it is. That is how
// a node whose own projectors rest knows that its commands will be answered, and what
// its reads must show at least.

// beatLost is for how long a partition may be without a beat before a node calls itself
// not ready: a lead that is handed over makes a pause, a second is the beat's own.
const beatLost = 4 * time.Second

// partitions are what this node heard of each partition's projector.
type partitions struct {
	mu   sync.Mutex
	list []partition
}

type partition struct {
	node     string
	finished uint64
	head     uint64
	at       time.Time
}

func (p partition) lag() uint64 { return p.head - min(p.head, p.finished) }

// beat tells how far p is: after each take, and once a second. Nothing where the node
// is alone.
func (p *projector) beat() {
	if !p.s.clustered() {
		return
	}
	select {
	case <-p.current: // of a projector that still replays nobody may think it has caught up
	default:
		return
	}
	kept := p.kept.Load()
	marks, _ := p.s.floors.of(numbered(streamMarks, p.partition))
	data, err := encode(&beat{Node: p.s.o.Node, Finished: kept.Log, Head: max(p.head.Load(), kept.Log),
		Reach: reach{Partition: p.partition, History: kept.History, Marks: marks, Sync: kept.Sync}})
	if err == nil {
		err = p.s.control.Publish(subjectBeat, data)
	}
	if err != nil {
		p.s.log.Warn("a projector's beat was not sent", "partition", p.partition, "error", err)
	}
}

func (s *Store) handleBeat(msg *nats.Msg) {
	var b beat
	if err := decode(msg.Data, &b); err != nil {
		s.log.Error("a projector's beat was not understood", "error", err)
		return
	}
	s.reached(&b.Reach)
	s.partitions.heard(&b, time.Now())
}

func (l *partitions) heard(b *beat, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.Reach.Partition < 0 || b.Reach.Partition >= len(l.list) {
		return
	}
	p := &l.list[b.Reach.Partition]
	p.node, p.at = b.Node, now
	p.finished, p.head = max(p.finished, b.Finished), max(p.head, b.Head)
}

func (l *partitions) of(p int) partition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[p]
}

// ready is nil while every partition's projector is heard of and keeps up.
func (l *partitions) ready(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range l.list {
		if now.Sub(p.at) > beatLost {
			return fmt.Errorf("partition %d has no projector: its streams may be without a leader", i)
		}
		if p.lag() > lagUnready {
			return fmt.Errorf("partition %d is %d batches behind its log", i, p.lag())
		}
	}
	return nil
}

// heardAll waits until each partition's projector, wherever it runs, has applied
// what the log holds now.
func (s *Store) heardAll(ctx context.Context) error {
	for p := range s.o.Partitions {
		var last uint64
		err := s.until(ctx, fmt.Sprintf("the log of partition %d has no leader yet", p), func() (err error) {
			_, last, err = s.bounds(ctx, numbered(streamLog, p))
			return err
		})
		if err != nil {
			return err
		}
		err = s.until(ctx, fmt.Sprintf("partition %d has no projector yet that has caught up with its log", p), func() error {
			if known := s.partitions.of(p); known.at.IsZero() || known.finished < last {
				return fmt.Errorf("%d of %d batches are projected", known.finished, last)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	untilEvery    = 20 * time.Millisecond
	progressEvery = time.Second
)

// until tries again until try succeeds or ctx ends, and tells Progress what it waits
// for.
func (s *Store) until(ctx context.Context, waits string, try func() error) error {
	begun := time.Now()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Since(begun) > progressEvery {
			what := fmt.Sprintf("%s (%v)", waits, err)
			if own := (unfounded{}); errors.As(err, &own) {
				what = own.Error()
			}
			s.progress.tell(s.o.Progress, what)
		}
		if wait(ctx, untilEvery) != nil {
			return fmt.Errorf("%s: %w", waits, err)
		}
	}
}

// progress lets one of several that wait speak at a time.
type progress struct {
	mu   sync.Mutex
	last time.Time
}

func (p *progress) tell(to func(string), waits string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); to != nil && now.Sub(p.last) > progressEvery {
		p.last = now
		to(waits)
	}
}
