package jetstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

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
	rec     *recovery // nil: the streams have to be surveyed
	fence   *fence    // of a cluster
	rooms   map[chat.RoomID]*projected
	window  *chat.Window
	takes   uint64
	holding []*projected // rooms with pages in memory
	history uint64       // HISTORY-p's sequence as of the last finished take
	under   *take        // the take whose writes were sent last

	lanes     *lanes          // of a cluster
	finishing chan *take      // in order
	settling  chan chan error // asks for a checkpoint now
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

// fencedPause is for how long, at least, who was fenced off lets the other work. Two
// that fence each other off again and again leave each other up to fencedPauses.
const (
	fencedPause  = 200 * time.Millisecond
	fencedPauses = time.Second
)

var errStopped = errors.New("the projector has stopped")

// errClaimAged has a claim made anew before the queues drop it.
var errClaimAged = errors.New("the claim is old")

const (
	takeCommands = 1024
	takeBytes    = 256 << 10
	// roomsCached bounds the states kept: about 1 KB each and 0.4 KB a message of
	// the tail, so 100 to 500 MB at the very most. Over it, idle rooms are dropped
	// and loaded again on their next command.
	roomsCached = 20_000
	// lagUnready is how far behind (batches) a node calls itself not ready.
	lagUnready = 5_000
)

func newProjector(s *Store, p int, out *publisher, rec *recovery) *projector {
	return &projector{s: s, partition: p, out: out, rec: rec, current: make(chan struct{}), stopped: make(chan struct{}),
		settling: make(chan chan error)}
}

// run projects while this node leads the log, until ctx ends.
func (p *projector) run(ctx context.Context) {
	defer close(p.stopped)
	p.s.whileLeading(ctx, numbered(streamLog, p.partition), p.lead)
}

// lead projects until ctx ends.
func (p *projector) lead(ctx context.Context) {
	p.s.metrics.setLeads(p.partition, true)
	defer p.s.metrics.setLeads(p.partition, false)
	defer func() { p.rooms, p.holding, p.window, p.rec, p.fence = nil, nil, nil, nil, nil }()
	pause, apart := firstPause, fencedPause
	for {
		before, begun := p.takesDone.Load(), time.Now()
		err := p.begin(ctx)
		if err == nil {
			err = p.project(ctx)
		}
		// What is under way must land before anybody surveys the streams; in a cluster
		// the claim sees to that.
		if t := p.under; t != nil && !p.s.clustered() {
			select {
			case <-t.done:
			case <-ctx.Done():
			}
		}
		p.rec = nil
		if ctx.Err() != nil {
			return
		}
		if pause = min(2*pause, longestPause); p.takesDone.Load() > before {
			pause = firstPause
		}
		if errors.Is(err, errFenced) { // somebody works: let them, and find out who leads
			if time.Since(begun) > 2*fencedPauses {
				apart = fencedPause
			}
			pause = apart + rand.N(apart)
			apart = min(2*apart, fencedPauses)
		}
		p.s.metrics.restarts.Inc()
		p.s.log.Warn("a projector begins again", "partition", p.partition, "log", p.applied.Load(), "error", err)
		if wait(ctx, pause) != nil {
			return
		}
	}
}

// begin finds out where to begin, unless that is known from the start.
func (p *projector) begin(ctx context.Context) (err error) {
	if p.rec != nil {
		return nil
	}
	if p.s.clustered() {
		if p.fence, err = p.claim(ctx); err != nil {
			return err
		}
	}
	recovered, err := p.s.survey(ctx, false, p.partition)
	if err != nil {
		return fmt.Errorf("survey the streams: %w", err)
	}
	p.rec = recovered[p.partition]
	return nil
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
	if p.fence != nil {
		aged := time.AfterFunc(p.s.claimLasts(), func() { cancel(errClaimAged) })
		defer aged.Stop()
	}
	p.rooms, p.holding = make(map[chat.RoomID]*projected), nil
	p.takes = p.takesDone.Load() // none is under way
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
	p.under, p.lanes = nil, nil
	if p.fence != nil {
		p.lanes = p.newLanes(ctx)
	}
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
	expected := p.rec.base.Log + 1
	messages, err := p.s.follow(ctx, p.partition, numbered(streamLog, p.partition), expected, 256)
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
		for {
			msg, err := messages.next()
			if err != nil {
				cancel(fmt.Errorf("follow the log: %w", err))
				return
			}
			l := logged{sequence: msg.sequence, size: len(msg.data)}
			if l.sequence < expected {
				continue
			}
			if err := decode(msg.data, &l.batch); err != nil {
				cancel(fmt.Errorf("log %d: %w", l.sequence, err))
				return
			}
			failpoint("project.read")
			expected = l.sequence + 1
			p.head.Store(l.sequence + msg.pending)
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

// landed waits for the take before, in a cluster but for its queues, which have lanes.
// Only then may the next one be written: were one of its writes refused and a later entry
// of the same subject taken, that entry would say that all before it is there. Applying
// goes on meanwhile, and the next take grows, so little is lost.
func (p *projector) landed(ctx context.Context) error {
	if p.under == nil {
		return nil
	}
	select {
	case <-p.under.written:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := p.under.failure(); err != nil {
		return err
	}
	if p.lanes != nil {
		if err := p.lanes.room(ctx); err != nil {
			return err
		}
	}
	for _, t := range p.s.tellers {
		if err := t.backlog.room(ctx); err != nil {
			return err
		}
	}
	return nil
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

func (p *projector) reached() {
	if !p.caught {
		p.caught = true
		close(p.current)
		failpoint("replay.caught")
	}
	p.beat()
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
			return errStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	failpoint("close.finished")
	if err := p.settle(ctx); err != nil {
		return err
	}
	failpoint("close.kept")
	return nil
}
