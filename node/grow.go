package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"natter/chat"
	"natter/config"
	"natter/jetstream"
)

// GrowReport is what a growth came to.
type GrowReport struct {
	Already bool   // it was done before; nothing was copied now
	Streams int    // copied
	Bytes   uint64 // in them
}

// Grow makes the cluster that c is a member's settings of, out of the store that a
// single node has left in the directory old: every message keeps its sequence, and so
// do ids, cursors, accounts and sessions. All other members must be starting, with
// empty data directories as this one's; they serve when it is through. The old store
// isn't changed, but marked at the end: a start there is refused from then on.
//
// Until then it may be cut short at any moment: the old node can be started again, or
// the growth, which begins anew. progress is told what it is about, a line at a time;
// it must not block. Besides *DataError and *config.Error, errors are of the machine
// or of ctx.
func Grow(ctx context.Context, c *config.Config, old string, log *slog.Logger, progress func(text string)) (_ *GrowReport, err error) {
	g := &growing{config: c, log: log, tell: progress}
	g.ctx, g.fail = context.WithCancelCause(ctx)
	defer func() {
		if cause := context.Cause(g.ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		err = errors.Join(err, g.close())
		g.fail(nil)
	}()
	already, err := g.open(old)
	if err != nil || already {
		return &GrowReport{Already: already}, err
	}
	if err := g.meet(); err != nil {
		return nil, err
	}
	return g.grow()
}

// growing is a growth as the member that does it sees it.
type growing struct {
	config *config.Config
	log    *slog.Logger
	tell   func(string)
	ctx    context.Context
	fail   context.CancelCauseFunc

	member     *member
	old, data  *directory
	marked     bool // "running" was left in data
	words      *words
	from, nats *natsServer
	growth     *jetstream.Growth
	told       string
}

// progress says what it is about, unless it has just said so.
func (g *growing) progress(text string) {
	if text != g.told {
		g.told = text
		g.tell(text)
	}
}

// meet starts this member's server and waits for all the others.
func (g *growing) meet() (err error) {
	if err := g.data.started(); err != nil {
		return err
	}
	g.marked = true
	if g.nats, err = startServer(g.data, g.config.Name, g.config.Durability == config.Safe, g.member, g.log, func(err error) { g.fail(err) }); err != nil {
		return err
	}
	own := word{Node: g.config.Name, Grows: true, Partitions: g.config.Partitions, Format: dataFormat}
	if g.words, err = g.nats.speak(func() word { return own }, g.data.settleAll); err != nil {
		return err
	}
	tick := time.NewTicker(joinLook)
	defer tick.Stop()
	for {
		peers := g.nats.peers()
		switch {
		case len(peers) < len(g.member.others):
			g.progress(fmt.Sprintf("waiting for all other members: have %s; need %s", strings.Join(append([]string{g.config.Name}, peers...), ", "), strings.Join(g.member.missing(peers), ", ")))
		case !g.nats.led():
			g.progress("waiting for a JetStream leader")
		default:
			return nil
		}
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			return context.Cause(g.ctx)
		}
	}
}

// grow copies the store, when the others have said that they are as they should be.
func (g *growing) grow() (_ *GrowReport, err error) {
	if g.from, err = startServer(g.old, g.old.made.Name, true, nil, g.log, func(err error) { g.fail(err) }); err != nil {
		return nil, err
	}
	g.growth, err = jetstream.NewGrowth(jetstream.GrowOptions{
		Old: g.from.connect, New: g.nats.connect, System: g.nats.connectSystem, Node: g.config.Name,
		Partitions: g.config.Partitions, QueueRetention: g.config.QueueRetention,
		Replicas: replicas, Members: len(g.config.Cluster), Log: g.log.With("part", "store"), Progress: g.progress,
	})
	if err != nil {
		return nil, err
	}
	if done, err := g.isFounded(); err != nil || done {
		return &GrowReport{Already: done}, err
	}
	if err := g.hear(); err != nil {
		return nil, err
	}
	r := &GrowReport{}
	if r.Streams, r.Bytes, err = g.growth.Size(g.ctx); err != nil {
		return nil, err
	}
	if err := g.growth.Clear(g.ctx); err != nil {
		return nil, err
	}
	if err := g.growth.Copy(g.ctx); err != nil {
		return nil, err
	}
	if err := g.growth.Settled(g.ctx); err != nil {
		return nil, err
	}
	if err := g.settle(); err != nil {
		return nil, err
	}
	return r, g.found()
}

// isFounded looks whether the cluster has its record: then an earlier growth of this
// store has got that far, or it is refused.
func (g *growing) isFounded() (done bool, err error) {
	marked := g.old.made.Grown.ClusterID != ""
	b, err := g.growth.Founded(g.ctx, clusterBucket, clusterKey, marked)
	if chat.KindOf(err) == chat.KindNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the cluster's record: %w", err)
	}
	record, err := parseClusterRecord(b)
	if err != nil {
		return false, err
	}
	if !marked {
		return false, g.founded(" on " + record.Created.Time().UTC().Format(time.DateOnly))
	}
	return true, g.data.join(record.Partitions)
}

// hear asks the others what they are, before anything is written.
func (g *growing) hear() error {
	said, err := g.others(subjectWord, wordWithin)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		one := said[name]
		switch {
		case one.Grows:
			return fmt.Errorf("%s is growing the cluster too: only one member may", name)
		case one.Format != dataFormat:
			return fmt.Errorf("%s is of format %d, this natter makes format %d: run the same version everywhere", name, one.Format, dataFormat)
		case one.Partitions != g.config.Partitions:
			return &config.Error{Field: "partitions", Detail: fmt.Sprintf("must be %d for every member, as the old store was made with; %s was started with %d", g.config.Partitions, name, one.Partitions)}
		}
		if err := g.room(name, one.Free); err != nil {
			return err
		}
	}
	return nil
}

// others asks until each of the other members has answered.
func (g *growing) others(subject string, within time.Duration) (map[string]word, error) {
	for {
		said, err := g.words.ask(g.ctx, subject, len(g.member.others), within)
		if err != nil || len(said) == len(g.member.others) {
			return said, err
		}
		g.progress("waiting for the word of " + strings.Join(g.member.missing(slices.Collect(maps.Keys(said))), ", "))
		select {
		case <-time.After(wordEvery):
		case <-g.ctx.Done():
			return nil, context.Cause(g.ctx)
		}
	}
}

// settle has every member put its copies on its disk: what is restored isn't synced.
func (g *growing) settle() error {
	g.progress("waiting for the members' disks")
	if err := g.data.settleAll(); err != nil {
		return &DataError{g.data.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	said, err := g.others(subjectSettle, settleWithin)
	if err != nil {
		return err
	}
	for name, one := range said {
		if one.Failed != "" {
			return fmt.Errorf("%s can't put its copy on its disk: %s", name, one.Failed)
		}
	}
	return nil
}

// found marks the old store, then makes the cluster: in this order, or there could be
// a moment in which both may be started.
func (g *growing) found() error {
	now := time.Now()
	made := g.old.made
	made.Grown = grown{ClusterName: g.config.ClusterName, ClusterID: g.member.certs.ClusterID, At: now.UTC().Truncate(time.Second)}
	if err := g.old.make(made); err != nil {
		return &DataError{g.old.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	record, err := json.Marshal(g.member.record(g.config, now))
	if err != nil {
		return err
	}
	if err := g.growth.Found(g.ctx, clusterBucket, clusterKey, record); err != nil {
		return fmt.Errorf("the cluster's record: %w", err)
	}
	return g.data.join(g.config.Partitions)
}

// close lets go of everything, the disks last.
func (g *growing) close() (err error) {
	if g.growth != nil {
		g.growth.Close()
	}
	g.words.close()
	for _, server := range []*natsServer{g.from, g.nats} {
		if server != nil {
			server.shutdown()
		}
	}
	if g.marked && (g.nats == nil || !g.nats.log.broken.Load()) {
		err = g.data.stopped()
	}
	for _, d := range []*directory{g.data, g.old} {
		if d != nil {
			err = errors.Join(err, d.close())
		}
	}
	return err
}
