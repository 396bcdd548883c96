package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// A projector applies one partition's log, in order, to the rooms' states and
// publishes what comes of it. It is deterministic: time and ids come from the
// commands. After a failed write it begins again as after a crash (recovery.go):
// there is one way back, and it is tried every day.
type projector struct {
	s         *Store
	partition int
	out       *publisher

	// Owned by the projecting goroutine.
	rec     *recovery
	rooms   map[chat.RoomID]*projected
	window  *chat.Window
	takes   uint64
	holding []*projected // rooms with pages in memory
	history uint64       // HISTORY-p's sequence as of the last finished take
	under   *take        // the take whose writes were sent last

	finishing chan *take // in order
	current   chan struct{}
	caught    bool
	applied   atomic.Uint64 // log sequence applied
	finished  atomic.Uint64 // log sequence whose every write is acknowledged
	written   atomic.Uint64 // HISTORY-p's sequence of finished takes
	takesDone atomic.Uint64
	head      atomic.Uint64 // newest log sequence known
	kept      atomic.Pointer[checkpoint]
	stopped   chan struct{} // run has returned
}

const (
	takeCommands    = 1024
	takeBytes       = 256 << 10
	firstPause      = 50 * time.Millisecond
	longestPause    = 5 * time.Second
	checkpointEvery = 5 * time.Second / hasten
	// roomsCached bounds the states kept: about 1 KB each and 0.4 KB a message of
	// the tail, so 100 to 500 MB at the very most. Over it, idle rooms are dropped
	// and loaded again on their next command.
	roomsCached = 20_000
	// lagUnready is how far behind (batches) a node calls itself not ready.
	lagUnready = 5_000
)

func newProjector(s *Store, p int, out *publisher, rec *recovery) *projector {
	return &projector{s: s, partition: p, out: out, rec: rec, current: make(chan struct{}), stopped: make(chan struct{})}
}

// run projects until ctx ends.
func (p *projector) run(ctx context.Context) {
	defer close(p.stopped)
	pause := firstPause
	for {
		before := p.finished.Load()
		err := p.project(ctx)
		// What is under way must land before anybody surveys the streams.
		if t := p.under; t != nil {
			select {
			case <-t.done:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		if pause = min(2*pause, longestPause); p.finished.Load() > before {
			pause = firstPause
		}
		p.s.metrics.restarts.Inc()
		p.s.log.Error("a projector begins again", "partition", p.partition, "log", p.applied.Load(), "error", err)
		again := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-again.C:
		}
		recovered, err := p.s.survey(ctx, false, p.partition)
		if err != nil {
			p.s.log.Error("a projector can't survey its streams", "partition", p.partition, "error", err)
			continue
		}
		p.rec = recovered[p.partition]
	}
}

// logged is one batch as it comes from the log.
type logged struct {
	sequence uint64
	batch    batch
	size     int
}

// project runs from the recovery's base until something fails.
func (p *projector) project(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.rooms, p.holding = make(map[chat.RoomID]*projected), nil
	window, err := p.s.windowAt(ctx, p.partition, p.rec.base)
	if err != nil {
		return err
	}
	failpoint("window.read")
	p.window = window
	p.history = p.rec.base.History
	p.applied.Store(p.rec.base.Log)
	p.finished.Store(p.rec.base.Log)
	p.written.Store(p.rec.base.History)
	p.head.Store(p.rec.horizon)
	p.finishing = make(chan *take, 1)
	p.under = nil
	base := p.rec.base
	p.kept.Store(&base)
	if p.rec.horizon <= base.Log {
		p.reached()
	}
	batches, err := p.follow(ctx, cancel)
	if err != nil {
		return err
	}
	finisher := make(chan struct{})
	p.s.goes(func() {
		defer close(finisher)
		p.finisher(ctx, cancel)
	})
	defer func() { <-finisher }()
	defer close(p.finishing)
	for {
		gathered, err := p.gather(ctx, batches)
		if err != nil {
			return err
		}
		failpoint("project.gathered")
		t, err := p.apply(ctx, gathered)
		if err != nil {
			return err
		}
		select {
		case p.finishing <- t:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		p.applied.Store(t.upto)
	}
}

// follow reads the log into a channel.
func (p *projector) follow(ctx context.Context, cancel context.CancelCauseFunc) (<-chan logged, error) {
	consumer, err := p.s.js.OrderedConsumer(ctx, numbered(streamLog, p.partition), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: p.rec.base.Log + 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("follow the log: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return nil, fmt.Errorf("follow the log: %w", err)
	}
	batches := make(chan logged, 256)
	p.s.goes(func() {
		<-ctx.Done()
		messages.Stop()
	})
	p.s.goes(func() {
		defer close(batches)
		expected := p.rec.base.Log + 1
		for {
			msg, err := messages.Next()
			if err != nil {
				cancel(fmt.Errorf("follow the log: %w", err))
				return
			}
			meta, err := msg.Metadata()
			if err != nil {
				cancel(fmt.Errorf("follow the log: %w", err))
				return
			}
			l := logged{sequence: meta.Sequence.Stream, size: len(msg.Data())}
			if l.sequence < expected {
				continue
			}
			if err := decode(msg.Data(), &l.batch); err != nil {
				cancel(fmt.Errorf("log %d: %w", l.sequence, err))
				return
			}
			failpoint("project.read")
			expected = l.sequence + 1
			p.head.Store(l.sequence + meta.NumPending)
			select {
			case batches <- l:
			case <-ctx.Done():
				return
			}
		}
	})
	return batches, nil
}

// gather waits for a batch and takes with it what has come meanwhile: a busy
// partition writes an entry a room and a user for many messages at once.
func (p *projector) gather(ctx context.Context, batches <-chan logged) ([]logged, error) {
	var gathered []logged
	commands, size := 0, 0
	for {
		if len(gathered) == 0 {
			select {
			case l, ok := <-batches:
				if !ok {
					return nil, context.Cause(ctx)
				}
				gathered = append(gathered, l)
				commands, size = len(l.batch.Commands), l.size
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			continue
		}
		if commands >= takeCommands || size >= takeBytes {
			return gathered, nil
		}
		select {
		case l, ok := <-batches:
			if !ok {
				return nil, context.Cause(ctx)
			}
			gathered = append(gathered, l)
			commands += len(l.batch.Commands)
			size += l.size
		default:
			return gathered, nil
		}
	}
}

// apply makes a take of the gathered batches and publishes its writes.
func (p *projector) apply(ctx context.Context, gathered []logged) (*take, error) {
	if err := p.load(ctx, gathered); err != nil {
		return nil, err
	}
	failpoint("project.loaded")
	if !p.rec.replaying(gathered[0].sequence) {
		p.rec.history, p.rec.queues = nil, nil
	}
	p.takes++
	// While replaying, entries that survived stand before what is written now, so
	// a page sealed again must lead back to where the replay began.
	p.history = p.rec.base.History
	if !p.rec.replaying(gathered[0].sequence) {
		p.history = p.written.Load()
	}
	t := newTake(p, gathered[len(gathered)-1].sequence)
	for _, l := range gathered {
		for i := range l.batch.Commands {
			c := &l.batch.Commands[i]
			out, err := p.decide(ctx, c)
			if err != nil {
				return nil, err
			}
			if err := t.add(l.sequence, l.batch.Origin, c, &out); err != nil {
				return nil, err
			}
		}
	}
	failpoint("project.applied")
	if err := p.landed(ctx); err != nil {
		return nil, err
	}
	failpoint("project.landed")
	if err := t.publish(ctx); err != nil {
		return nil, err
	}
	failpoint("project.published")
	p.under = t
	p.letGo()
	p.evict()
	return t, nil
}

// landed waits for the take before. Only then may the next one be written: were
// one of its writes refused and a later entry of the same subject taken, that
// entry would say that all before it is there. Applying goes on meanwhile, and
// the next take grows, so little is lost.
func (p *projector) landed(ctx context.Context) error {
	if p.under == nil {
		return nil
	}
	select {
	case <-p.under.done:
		return p.under.failure()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// decide applies one command.
func (p *projector) decide(ctx context.Context, c *chat.Command) (chat.Outcome, error) {
	if c.Op == chat.OpTell {
		return chat.Tell(c), nil
	}
	room := p.rooms[c.Room]
	if chat.Amends(c) {
		if err := p.reach(ctx, room, c.Seq); err != nil {
			return chat.Outcome{}, err
		}
	}
	return room.Apply(c, p.window), nil
}

// finisher waits for the takes' acks in order, answers, and keeps checkpoints.
func (p *projector) finisher(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	kept := *p.kept.Load()
	saved := kept.Log
	for {
		select {
		case t, open := <-p.finishing:
			if !open {
				return
			}
			select {
			case <-t.done:
			case <-ctx.Done():
				return
			}
			if err := t.failure(); err != nil {
				cancel(fmt.Errorf("log %d: %w", t.upto, err))
				return
			}
			failpoint("project.acknowledged")
			t.answer()
			failpoint("project.answered")
			kept = t.advance(kept)
			if kept.Log >= p.rec.horizon {
				kept = kept.behind(p.rec.ends)
			}
			snapshot := kept
			snapshot.Sync = append([]uint64(nil), kept.Sync...)
			p.kept.Store(&snapshot)
			p.written.Store(kept.History)
			p.finished.Store(kept.Log)
			failpoint("project.finished")
			p.takesDone.Add(1)
			p.s.metrics.setLag(p.partition, p.lag())
			if kept.Log >= p.rec.horizon {
				p.reached()
			}
		case <-tick.C:
			if kept.Log != saved && kept.Log >= p.rec.horizon {
				saved = kept.Log
				p.saveCheckpoint(kept, nil)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (p *projector) reached() {
	if !p.caught {
		p.caught = true
		close(p.current)
		failpoint("replay.caught")
	}
}

func (p *projector) saveCheckpoint(c checkpoint, acked chan<- error) {
	data, err := encode(&c)
	failpoint("checkpoint.due")
	if err == nil {
		p.out.publish(subjectCheckpoint(p.partition), "", data, func(_ uint64, err error) {
			if err != nil {
				p.s.log.Warn("a checkpoint was not written", "partition", p.partition, "error", err)
			}
			failpoint("checkpoint.written")
			if acked != nil {
				acked <- err
			}
		})
		failpoint("checkpoint.published")
		return
	}
	p.s.log.Error("a checkpoint was not encoded", "error", err)
	if acked != nil {
		acked <- err
	}
}

// lag is how many batches are committed and not finished.
func (p *projector) lag() uint64 {
	head, finished := p.head.Load(), p.finished.Load()
	if head <= finished {
		return 0
	}
	return head - finished
}

func (p *projector) ready() error {
	select {
	case <-p.current:
	default:
		return fmt.Errorf("partition %d has not caught up with its log: %d batches to go", p.partition, p.lag())
	}
	if lag := p.lag(); lag > lagUnready {
		return fmt.Errorf("partition %d is %d batches behind its log", p.partition, lag)
	}
	return nil
}

// finish waits until everything the log holds is projected, then keeps a last
// checkpoint. No more may be committed meanwhile.
func (p *projector) finish(ctx context.Context) error {
	_, last, err := p.s.bounds(ctx, numbered(streamLog, p.partition))
	if err != nil {
		return err
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for p.finished.Load() < last {
		select {
		case <-poll.C:
		case <-p.stopped:
			return errors.New("the projector has stopped")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	failpoint("close.finished")
	acked := make(chan error, 1)
	p.saveCheckpoint(*p.kept.Load(), acked)
	select {
	case err := <-acked:
		failpoint("close.kept")
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
