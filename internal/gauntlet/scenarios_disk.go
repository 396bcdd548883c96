//go:build linux

package gauntlet

import (
	"fmt"
	"time"

	"natter/internal/lossfs"
)

// power: the power fails for all nodes at once, and of what was not fsynced nothing
// is left, or some of it.
func power(r *Run) error {
	for i := range r.times(2) {
		if err := r.calm(3*time.Second, 8*time.Second); err != nil {
			return err
		}
		if err := r.powerAll(fmt.Sprintf("%d power", i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) powerAll(name string) error {
	return r.blackout(name, func() error {
		for _, n := range r.cluster.nodes {
			if err := r.cut(n); err != nil {
				return err
			}
		}
		return nil
	})
}

// cut takes from a node's disk what was not synced.
func (r *Run) cut(n *node) error {
	survival := lossfs.Survival(r.random.IntN(2))
	loss, err := n.disk.Cut(survival, r.random)
	if err != nil {
		return err
	}
	r.say("%s lost %s (%s unsynced survives)", n.name, loss, survival)
	return nil
}

// powerOne: one node is down, and while the other two go on the power fails for one
// of them, with what it hadn't synced gone. The first comes back to the two: what
// was acknowledged without it must be what it learns.
func powerOne(r *Run) error {
	for i := range r.times(2) {
		if err := r.calm(2*time.Second, 4*time.Second); err != nil {
			return err
		}
		order := r.random.Perm(len(r.cluster.nodes))
		down, unlucky := r.cluster.nodes[order[0]], r.cluster.nodes[order[1]]
		from := r.crowd.record.now()
		end := r.crowd.record.mark(fmt.Sprintf("%d %s down", i+1, down.name))
		if err := down.kill(); err != nil {
			return err
		}
		if err := r.resumes(from); err != nil { // the two go on by themselves
			return err
		}
		r.figure("sending resumes after the first is down", r.crowd.record.gap(from, nil), failover)
		if err := r.calm(2*time.Second, 4*time.Second); err != nil {
			return err
		}
		failed := r.crowd.record.now()
		lit := r.crowd.record.mark("power of " + unlucky.name)
		if err := unlucky.kill(); err != nil {
			return err
		}
		if err := r.cut(unlucky); err != nil {
			return err
		}
		if err := r.cluster.startAll(r.ctx); err != nil {
			return err
		}
		lit()
		end()
		if err := r.resumes(failed); err != nil {
			return err
		}
		r.figure("sending resumes after the power failure", r.crowd.record.gap(failed, nil), backFromZero)
	}
	return nil
}

// full: the disk of one node runs full, slowly, and then at once; after a while
// there is room again, and nobody touches the node.
func full(r *Run) error {
	for range r.times(1) {
		for _, free := range []int64{16 << 20, r.random.Int64N(128 << 10)} {
			if err := r.calm(2*time.Second, 4*time.Second); err != nil {
				return err
			}
			victim := r.pick()
			from := r.crowd.record.now()
			end := r.crowd.record.mark(fmt.Sprintf("%s full", victim.name))
			victim.disk.SetFree(free)
			if !sleep(r.ctx, fullFor) {
				return r.ctx.Err()
			}
			if len(r.cluster.nodes) > 1 {
				r.figure("disk full: longest wait for an answer", r.crowd.record.gap(from, nil), failover)
			}
			victim.disk.SetFree(-1)
			room := r.crowd.record.now()
			end()
			if err := victim.ready(r.ctx); err != nil {
				return err
			}
			r.figure("ready after there is room again", r.crowd.record.now()-room, spaceBack)
			if err := r.resumes(from); err != nil {
				return err
			}
			r.say("%s full: longest wait %.1f s", victim.name, r.crowd.record.gap(from, nil).Seconds())
		}
	}
	return nil
}

const fullFor = 15 * time.Second
