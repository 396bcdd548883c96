package jetstream

import (
	"context"
	"slices"
	"time"
)

// answerLatest is how long a take whose rooms are written waits for its queues before it
// is answered: a queue's stream may be without a leader. Who is answered earlier finds
// in the queues what he did; who isn't learns of it by his devices' hints, like others.
const answerLatest = 300 * time.Millisecond

// takesAhead bounds the takes that are under way. Beyond it the log isn't read on.
const takesAhead = 4096

// finisher is who waits for a projector's takes, answers, and keeps checkpoints. It
// belongs to one goroutine.
type finisher struct {
	p     *projector
	k     *keeping
	takes []*take // under way, in order
	told  int     // of them are answered
}

// finisher waits for the takes' acks in order until one fails, which cancels.
func (p *projector) finisher(ctx context.Context, cancel context.CancelCauseFunc) {
	f := &finisher{p: p, k: newKeeping(p)}
	defer func() { <-f.k.saving }() // none is written behind the next survey
	tick := time.NewTicker(f.k.every())
	defer tick.Stop()
	for {
		more := p.finishing
		if len(f.takes) >= takesAhead {
			more = nil
		}
		done, written, late := f.next()
		var err error
		select {
		case t, open := <-more:
			if !open {
				return
			}
			f.takes = append(f.takes, t)
		case <-done:
			err = f.finish()
		case <-written:
			err = f.takes[f.told].wrong()
		case <-late:
			f.tell()
		case <-tick.C:
			f.k.save(ctx)
			p.beat()
		case asked := <-p.settling:
			asked <- f.k.settle(ctx)
		case <-ctx.Done():
			return
		}
		if err != nil {
			cancel(err)
			return
		}
	}
}

// next is what is waited for: that the oldest take is done, that the rooms of the oldest
// that isn't answered are written, and then until when the answer may wait.
func (f *finisher) next() (done, written <-chan struct{}, late <-chan time.Time) {
	if len(f.takes) == 0 {
		return nil, nil, nil
	}
	done = f.takes[0].done
	if f.told == len(f.takes) || !f.p.s.clustered() {
		return done, nil, nil
	}
	t := f.takes[f.told]
	if !t.proven {
		return done, nil, nil
	}
	if at := t.writtenAt(); !at.IsZero() {
		return done, nil, time.After(answerLatest - time.Since(at))
	}
	return done, t.written, nil
}

// tell answers the oldest take that isn't, before it is finished.
func (f *finisher) tell() {
	f.takes[f.told].answer(false)
	f.told++
	f.p.s.metrics.early.Inc()
}

// finish is done with the oldest take.
func (f *finisher) finish() error {
	t := f.takes[0]
	if err := t.wrong(); err != nil {
		return err
	}
	failpoint("project.acknowledged")
	t.answer(true)
	failpoint("project.answered")
	f.k.finished(t)
	f.takes = slices.Delete(f.takes, 0, 1)
	f.told = max(f.told-1, 0)
	return nil
}
