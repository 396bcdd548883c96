package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// keeping is what a projector's finisher knows of its checkpoints.
type keeping struct {
	p      *projector
	kept   checkpoint
	saved  uint64     // the log sequence of the one written last
	saving chan error // holds what came of it; empty while it is under way
}

const (
	checkpointEvery = 5 * time.Second
	// checkpointSoon is checkpointEvery in a cluster: what lies behind a checkpoint is
	// applied again whenever the lead moves.
	checkpointSoon = time.Second
)

func newKeeping(p *projector) *keeping {
	k := &keeping{p: p, kept: *p.kept.Load(), saving: make(chan error, 1)}
	k.saved = k.kept.Log
	k.saving <- nil
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
	k.kept = p.rec.passed(t.advance(k.kept))
	snapshot := k.kept
	snapshot.Sync = append([]uint64(nil), k.kept.Sync...)
	p.kept.Store(&snapshot)
	p.written.Store(k.kept.History)
	p.finished.Store(k.kept.Log)
	p.takesDone.Add(1)
	p.s.metrics.setLag(p.partition, p.lag())
	if k.kept.Log >= p.rec.horizon {
		p.reached()
	}
}

// save writes a checkpoint, unless the one before is under way. Not while replaying:
// then the state as of kept.History is not that of kept.Log, what survived stands
// behind it.
func (k *keeping) save(ctx context.Context) {
	if k.kept.Log == k.saved || k.kept.Log < k.p.rec.horizon {
		return
	}
	select {
	case <-k.saving:
		k.saved = k.kept.Log
		k.p.saveCheckpoint(ctx, k.kept, k.saving)
	default:
	}
}

// settle has everything that is finished in a checkpoint.
func (k *keeping) settle(ctx context.Context) {
	for range 2 { // the one under way, then its own
		select {
		case err := <-k.saving:
			k.saving <- err
		case <-ctx.Done():
			return
		}
		k.save(ctx)
	}
}

// saveCheckpoint writes c; acked, which has room, is told what came of it. ctx bounds
// the tries in a cluster.
func (p *projector) saveCheckpoint(ctx context.Context, c checkpoint, acked chan<- error) {
	done := func(_ uint64, err error) {
		if err != nil && !errors.Is(err, errFenced) {
			p.s.log.Warn("a checkpoint was not written", "partition", p.partition, "error", err)
		}
		acked <- err
	}
	data, err := encode(&c)
	if err != nil {
		done(0, err)
		return
	}
	fence := p.fence
	if fence == nil {
		p.out.publish(subjectCheckpoint(p.partition), "", data, done)
		return
	}
	p.s.goes(func() {
		done(fence.put(ctx, streamCheckpoint, []*nats.Msg{{Subject: subjectCheckpoint(p.partition), Data: data}}))
	})
}
