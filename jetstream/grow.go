package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Growing: the streams of a node alone become a cluster's, message by message with
// their sequences and times, because those are what cursors, revisions and epochs are
// made of.
//
//	Clear     what a growth that was cut short has left is deleted, RECORDS last
//	Copy      RECORDS first, to every member, then the other streams: the old server's snapshot is
//	          restored under a member's configuration, with 3 replicas
//	Settled   until every member has all of every stream
//	Found     the cluster's record: from here on it is a cluster like any other
//
// RECORDS comes first, because a cluster whose records aren't empty can't be founded
// by any of its members (found.go): from then on nobody makes an empty cluster of it.
// Leases and places end with the nodes and aren't copied.

// GrowOptions are what a Growth needs; all are required.
type GrowOptions struct {
	// Old and New open connections to the server of the node alone and to that of a
	// member; System opens one to the member's system account.
	Old, New, System Connect
	// Node is the member's name.
	Node string
	// Partitions and QueueRetention are the cluster's.
	Partitions     int
	QueueRetention time.Duration
	// Replicas are how many members keep a stream, Members how many there are.
	Replicas, Members int
	Log               *slog.Logger
	// Progress is told, in a line each, what it is about; it must not block.
	Progress func(text string)
}

// Growth is a cluster that is being made of a node's store. It is for one goroutine.
type Growth struct {
	o      GrowOptions
	s      *Store // of the cluster; it isn't open
	old    *nats.Conn
	oldJS  jetstream.JetStream
	system *nats.Conn
	copies map[string]copied
}

// copied is a stream as it was restored.
type copied struct {
	state jetstream.StreamState // of the snapshot
	ages  bool                  // it forgets what is old
}

// NewGrowth connects to both sides. It must be closed.
func NewGrowth(o GrowOptions) (_ *Growth, err error) {
	s := &Store{o: Options{Connect: o.New, Partitions: o.Partitions, Node: o.Node, Replicas: o.Replicas,
		QueueRetention: o.QueueRetention, Log: o.Log}, log: o.Log, answers: newAnswers()}
	if s.origin, err = origin(o.Node); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	g := &Growth{o: o, s: s, copies: map[string]copied{}}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	if s.control, err = s.connect("grow"); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.control); err != nil {
		return nil, err
	}
	if s.keeper, err = newPublisher(s.control); err != nil {
		return nil, err
	}
	s.publishers = append(s.publishers, s.keeper)
	if g.system, err = o.System("grow"); err != nil {
		return nil, fmt.Errorf("connect to the system: %w", err)
	}
	if g.old, err = o.Old("grow"); err != nil {
		return nil, fmt.Errorf("connect to the old store: %w", err)
	}
	if g.oldJS, err = jetstream.New(g.old); err != nil {
		return nil, err
	}
	return g, nil
}

// Close lets go of both sides.
func (g *Growth) Close() {
	g.s.abandon()
	for _, nc := range []*nats.Conn{g.system, g.old} {
		if nc != nil {
			nc.Close()
		}
	}
}

// Founded reads the first record of a cluster that was founded: KindNotFound if this
// one wasn't. sure says that it must be known: an earlier growth got to its end, or
// nearly. Otherwise records that can't be read for a while are taken for what a
// restore that was cut short leaves, unless the cluster has been in service.
func (g *Growth) Founded(ctx context.Context, bucket, key string, sure bool) ([]byte, error) {
	for began := time.Now(); ; {
		names, err := g.s.left(ctx)
		if err == nil && !slices.Contains(names, streamRecords) {
			return nil, chat.NotFound("record")
		}
		sure = sure || slices.Contains(names, streamLeases)
		if err == nil {
			var b []byte
			if b, _, err = g.s.Records(bucket).Get(ctx, key); chat.KindOf(err) != chat.KindUnavailable {
				return b, err
			}
		}
		if !sure && time.Since(began) > unreadable {
			return nil, chat.NotFound("record")
		}
		g.o.Progress("waiting for the cluster's records")
		if err := wait(ctx, againSoon); err != nil {
			return nil, err
		}
	}
}

// unreadable is longer than an election takes.
const unreadable = 15 * time.Second

// Clear deletes what an earlier growth has left. The cluster mustn't be founded;
// KindConflict if it is being founded at this moment.
func (g *Growth) Clear(ctx context.Context) error {
	names, err := g.s.left(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	if slices.Contains(names, streamLeases) { // which only who has joined makes
		return errors.New("the cluster has been in service and its records are lost: a growth would delete what is left of it")
	}
	if slices.Contains(names, streamRecords) {
		if info, err := g.s.js.Stream(ctx, streamRecords); err == nil && info.CachedInfo().State.LastSeq == 0 {
			// Whoever wants to found it now is too late, or can't write either.
			if err := g.s.found(ctx, "store", "growing", []byte(g.o.Node)); chat.KindOf(err) == chat.KindConflict {
				return err
			}
		}
		names = append(slices.DeleteFunc(names, func(n string) bool { return n == streamRecords }), streamRecords)
	}
	for _, name := range names {
		g.o.Progress("deleting what an earlier growth left of " + name)
		if err := g.remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a stream of the cluster, whatever state it is in, and waits until it
// is gone.
func (g *Growth) remove(ctx context.Context, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	for {
		err := g.s.js.DeleteStream(ctx, stream)
		names, listed := g.s.left(ctx)
		if listed == nil && !slices.Contains(names, stream) {
			failpoint("grow.removed")
			return nil
		}
		if wait(ctx, againSoon) != nil {
			return fmt.Errorf("delete what is left of %s: %w", stream, errors.Join(err, listed, ctx.Err()))
		}
	}
}

const removeWithin = 30 * time.Second

// streams are the configurations to copy, RECORDS first.
func (g *Growth) streams() []jetstream.StreamConfig {
	return append([]jetstream.StreamConfig{recordsStream()}, g.s.keptStreams()...)
}

// Size looks whether the old store has every stream, and tells how many there are and
// how many bytes they hold.
func (g *Growth) Size(ctx context.Context) (streams int, size uint64, err error) {
	for _, c := range g.streams() {
		there, err := g.oldJS.Stream(ctx, c.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return 0, 0, fmt.Errorf("the old store has no stream %s: start its node once more with this version, alone, and stop it in order", c.Name)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("look at the old store's %s: %w", c.Name, err)
		}
		streams++
		size += there.CachedInfo().State.Bytes
	}
	return streams, size, nil
}

// Copy restores every stream in the cluster.
func (g *Growth) Copy(ctx context.Context) error {
	all := g.streams()
	for i, c := range all {
		c.Replicas = g.s.o.Replicas
		place := fmt.Sprintf("%s (%d of %d)", c.Name, i+1, len(all))
		if err := g.copyPatiently(ctx, c, place); err != nil {
			return err
		}
		state := g.copies[c.Name].state
		g.o.Progress(fmt.Sprintf("copied %s: %d messages, %s", place, state.Msgs, size(state.Bytes)))
		if i == 0 { // they mustn't be lost with the one member that has them
			if err := g.Settled(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyTries is how often a stream is begun anew, when a member dies under it.
const copyTries = 5

func (g *Growth) copyPatiently(ctx context.Context, c jetstream.StreamConfig, place string) error {
	for try := 1; ; try++ {
		err := g.copy(ctx, c, place)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		var api *refusedRestore
		if try == copyTries || errors.As(err, &api) && api.name() {
			return fmt.Errorf("copy %s: %w", c.Name, err)
		}
		g.o.Progress(fmt.Sprintf("copying %s again: %v", place, err))
		if err := g.remove(ctx, c.Name); err != nil {
			return err
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
}

// Found writes the cluster's first record of its own, which the members wait for. The
// records of the node alone stay before it.
func (g *Growth) Found(ctx context.Context, bucket, key string, value []byte) error {
	failpoint("grow.marked")
	_, err := g.s.Records(bucket).Put(ctx, key, value, 0)
	failpoint("grow.founded")
	return err
}

// size is bytes for people.
func size(bytes uint64) string {
	if bytes < 10<<20 {
		return fmt.Sprintf("%d KiB", (bytes+1<<10-1)>>10)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
