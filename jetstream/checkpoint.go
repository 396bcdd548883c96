package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// keeping is what a projector's finisher knows of its checkpoints.
type keeping struct {
	p      *projector
	kept   checkpoint
	saved  uint64         // the log sequence of the one written last
	sent   []byte         // the client_ids that came since, see windowRecord
	pieces []windowRecord // of them, those that fill a record, without what leads to them
	cut    uint64         // client_ids up to here in the log were given up; 0: none
	saving chan windowEnd // holds what came of it; empty while it is under way
}

const (
	checkpointEvery = 5 * time.Second / hasten
	// checkpointSoon is checkpointEvery in a cluster: what lies behind a checkpoint is
	// applied again whenever the lead moves.
	checkpointSoon = time.Second
)

func newKeeping(p *projector) *keeping {
	k := &keeping{p: p, kept: *p.kept.Load(), saving: make(chan windowEnd, 1)}
	k.saved = k.kept.Log
	k.saving <- windowEnd{record: k.kept.Window, log: k.kept.Log, history: k.kept.History}
	return k
}

func (k *keeping) every() time.Duration {
	if k.p.s.clustered() {
		return checkpointSoon
	}
	return checkpointEvery
}

// finished takes in a take whose every write is acknowledged.
func (k *keeping) finished(t *take) {
	p := k.p
	k.kept = t.advance(k.kept)
	if k.kept.Log >= p.rec.horizon {
		k.kept = k.kept.behind(p.rec.ends)
	}
	if k.sent = append(k.sent, t.sent...); len(k.sent) >= windowBytes {
		k.piece()
	}
	snapshot := k.kept
	snapshot.Sync = append([]uint64(nil), k.kept.Sync...)
	p.kept.Store(&snapshot)
	p.written.Store(k.kept.History)
	p.finished.Store(k.kept.Log)
	failpoint("project.finished")
	p.takesDone.Add(1)
	p.s.metrics.setLag(p.partition, p.lag())
	if k.kept.Log >= p.rec.horizon {
		p.reached()
	}
}

// piece makes a record of what was sent since the last one.
func (k *keeping) piece() {
	if len(k.pieces) == piecesMost {
		k.cut, k.pieces = k.pieces[piecesMost-1].Log, nil
	}
	k.pieces = append(k.pieces, windowRecord{Log: k.kept.Log, At: k.kept.At, Sent: k.sent})
	k.sent = nil
}

// save writes a checkpoint, unless the one before is under way. Not while replaying:
// then the state as of kept.History is not that of kept.Log, what survived stands
// behind it.
func (k *keeping) save(ctx context.Context) {
	if k.kept.Log == k.saved || k.kept.Log < k.p.rec.horizon {
		return
	}
	select {
	case before := <-k.saving:
		if k.cut > 0 {
			before = windowEnd{log: k.cut, history: k.kept.History}
		}
		k.piece()
		c, pieces := k.kept, k.pieces
		k.saved, k.pieces, k.cut = c.Log, nil, 0
		k.p.s.goes(func() { k.saving <- k.p.saveCheckpoint(ctx, c, before, pieces) })
	default:
	}
}

// settle has everything that is finished in a checkpoint. A single node writes one
// anyway, so that the newest is of where it stopped.
func (k *keeping) settle(ctx context.Context) error {
	if _, err := k.rest(ctx); err != nil {
		return err
	}
	if !k.p.s.clustered() {
		k.saved = noCheckpoint
	}
	k.save(ctx)
	end, err := k.rest(ctx)
	return errors.Join(err, end.err)
}

// noCheckpoint is no sequence of a log.
const noCheckpoint = ^uint64(0)

// rest waits for the checkpoint that is under way.
func (k *keeping) rest(ctx context.Context) (windowEnd, error) {
	select {
	case end := <-k.saving:
		k.saving <- end
		return end, nil
	case <-ctx.Done():
		return windowEnd{}, context.Cause(ctx)
	}
}

// saveCheckpoint writes c and, where the node is alone, before it the client_ids it
// speaks of, which follow those that end with before. ctx bounds the tries.
func (p *projector) saveCheckpoint(ctx context.Context, c checkpoint, before windowEnd, pieces []windowRecord) windowEnd {
	failpoint("checkpoint.due")
	var end windowEnd
	var err error
	if p.fence == nil {
		end, err = p.writeCheckpoint(ctx, c, before, pieces)
	} else {
		err = p.putCheckpoint(ctx, c)
	}
	failpoint("checkpoint.written")
	if err == nil {
		return end
	}
	if !errors.Is(err, errFenced) && ctx.Err() == nil {
		p.s.log.Warn("a checkpoint was not written", "partition", p.partition, "error", err)
	}
	// The ids may be in no record; history has them.
	return windowEnd{log: c.Log, history: c.History, err: err}
}

// putCheckpoint is of a cluster, which has no records of the window.
func (p *projector) putCheckpoint(ctx context.Context, c checkpoint) error {
	c.Window = 0
	data, err := encode(&c)
	if err != nil {
		return err
	}
	_, err = p.fence.put(ctx, streamCheckpoint, []*nats.Msg{{Subject: subjectCheckpoint(p.partition), Data: data}}, nil)
	return err
}

func (p *projector) writeCheckpoint(ctx context.Context, c checkpoint, before windowEnd, pieces []windowRecord) (windowEnd, error) {
	for _, r := range pieces {
		r.Before, r.After, r.Since = before.record, before.log, before.history
		n, err := p.writeNow(ctx, subjectWindow(p.partition), &r)
		if err != nil {
			return windowEnd{}, fmt.Errorf("the client_ids: %w", err)
		}
		// Where between the two checkpoints history was then isn't known.
		before = windowEnd{record: n, log: r.Log, history: c.History}
		failpoint("checkpoint.window")
	}
	c.Window = before.record
	_, err := p.writeNow(ctx, subjectCheckpoint(p.partition), &c)
	return before, err
}

// writeNow writes a record and waits until it is there.
func (p *projector) writeNow(ctx context.Context, subject string, record any) (uint64, error) {
	data, err := encode(record)
	if err != nil {
		return 0, err
	}
	return p.out.send(ctx, publishTimeout, nil, &nats.Msg{Subject: subject, Data: data})
}
