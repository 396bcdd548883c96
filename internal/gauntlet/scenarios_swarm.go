//go:build linux

package gauntlet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"natter/client"
	"natter/internal/check"
)

const (
	swarmPeople  = 100
	swarmSockets = 30 // each
	swarmConnect = 2 * time.Minute
	swarmLimit   = 2 * time.Minute
	swarmAtOnce  = 16
)

// swarm: many clients of one node, which dies for good. All find another one, and
// those who were on the others aren't slowed down.
func swarm(r *Run) error {
	victim := r.pick()
	s := &flock{}
	defer s.close()
	if err := s.gather(r, victim); err != nil {
		return err
	}
	for _, p := range r.crowd.people {
		for _, d := range p.devices {
			d.touched = d.kind != overSocket || d.node() == victim.name // HTTP asks the dead node too
		}
	}
	if err := r.calm(3*time.Second, 4*time.Second); err != nil {
		return err
	}
	from, leads := r.crowd.record.now(), r.leads()
	r.count("p99 of delivery before", r.crowd.record.delivery(0.99, 0, from, nil))
	end := r.crowd.record.mark("kill " + victim.name)
	s.away.Store(int64(len(s.devices)))
	if err := victim.kill(); err != nil {
		return err
	}
	if !r.crowd.until(swarmLimit, func() bool { return s.away.Load() <= 0 }) {
		return fmt.Errorf("%d of %d clients are not back after %s", s.away.Load(), len(s.devices), swarmLimit)
	}
	to := r.crowd.record.now()
	r.figure(fmt.Sprintf("%d clients synced elsewhere after", len(s.devices)), to-from, swarmBack)
	// The rooms led by the dead node have their election; 12 s later it is over.
	if err := r.resumes(from); err != nil {
		return err
	}
	r.figure("sending resumes after", r.crowd.record.gap(from, nil), failover)
	r.count("survivors' p99 of delivery meanwhile, elections included", r.crowd.record.delivery(0.99, from, to, nil))
	if leads != nil {
		queues := r.readersQueues()
		r.figure("survivors' p99 of delivery meanwhile, where the leaders of room and queue live", r.crowd.record.delivery(0.99, from, to, func(s *shown) bool {
			return !leads.room(s.room, victim.name) && !leads.queue(queues[s.reader], victim.name)
		}), swarmDelivery)
	}
	r.untouched("killed", from, victim.name, leads)
	r.say("%d clients back after %.1f s", len(s.devices), (to - from).Seconds())
	end()
	if err := victim.start(); err != nil {
		return err
	}
	return victim.ready(r.ctx)
}

// readersQueues are the queues' partitions of everybody's devices: of their users' ids.
func (r *Run) readersQueues() map[check.Reader]int {
	queues := map[check.Reader]int{}
	for _, p := range r.crowd.people {
		for _, d := range p.devices {
			queues[d.reader] = partitionOf(string(p.account.User().ID), partitions)
		}
	}
	return queues
}

// flock is clients that only listen.
type flock struct {
	devices []*client.Device
	away    atomic.Int64
}

// gather connects them all to one node.
func (s *flock) gather(r *Run, to *node) error {
	w := r.crowd
	accounts := make([]*client.Account, swarmPeople)
	tag := r.random.Uint32()
	for i := range accounts {
		accounts[i] = w.account(w.hopper(r.random))
		if err := w.signUp(accounts[i], fmt.Sprintf("swarm%d_%08x", i, tag)); err != nil {
			return err
		}
	}
	r.say("connecting %d clients to %s", swarmPeople*swarmSockets, to.name)
	urls := []string{to.url()}
	for _, n := range r.random.Perm(len(w.cluster.nodes)) {
		if other := w.cluster.nodes[n]; other != to {
			urls = append(urls, other.url())
		}
	}
	for i := range swarmPeople * swarmSockets {
		mine := urls
		if i%2 == 1 && len(urls) > 2 { // half of them know the others in another order
			mine = []string{urls[0], urls[2], urls[1]}
		}
		s.devices = append(s.devices, client.Dial(w.ctx, client.Options{
			URLs: mine, Token: accounts[i%swarmPeople].Token, NetDial: w.cluster.dial, Name: "swarm",
			State: func(state client.State, _ error) {
				if state == client.Live {
					s.away.Add(-1)
				}
			},
		}))
		if i%swarmAtOnce == swarmAtOnce-1 {
			if err := s.live(w.ctx, s.devices[i+1-swarmAtOnce:]); err != nil {
				return err
			}
		}
	}
	return s.live(w.ctx, s.devices)
}

func (s *flock) live(ctx context.Context, devices []*client.Device) error {
	ctx, cancel := context.WithTimeout(ctx, swarmConnect)
	defer cancel()
	for _, d := range devices {
		if err := d.WaitLive(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *flock) close() {
	var all sync.WaitGroup
	for _, d := range s.devices {
		all.Go(d.Close)
	}
	all.Wait()
}
