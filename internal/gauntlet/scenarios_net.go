//go:build linux

package gauntlet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
)

// cutFor is how long lines stay cut. Within it a majority must go on and the others
// be told.
const cutFor = 20 * time.Second

// line is a way between two nodes, in one direction.
type line struct{ from, to int }

// minority: a node is cut off from both others, most of the leaders with it.
func minority(r *Run) error {
	for i := range r.times(2) {
		if err := r.calm(2*time.Second, 4*time.Second); err != nil {
			return err
		}
		if err := r.cutOff(fmt.Sprint(i + 1)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) cutOff(name string) error {
	alone := r.busiest()
	lines := []line{}
	for other := range r.cluster.nodes {
		if other != alone {
			lines = append(lines, line{alone, other}, line{other, alone})
		}
	}
	return r.partition(fmt.Sprintf("%s %s alone", name, r.cluster.nodes[alone].name), []int{alone}, lines)
}

// oneWay: what a node sends to the others doesn't arrive; what they send does.
func oneWay(r *Run) error {
	for i := range r.times(2) {
		if err := r.calm(2*time.Second, 4*time.Second); err != nil {
			return err
		}
		mute := r.busiest()
		lines := []line{}
		for other := range r.cluster.nodes {
			if other != mute {
				lines = append(lines, line{mute, other})
			}
		}
		if err := r.partition(fmt.Sprintf("%d %s mute", i+1, r.cluster.nodes[mute].name), []int{mute}, lines); err != nil {
			return err
		}
	}
	return nil
}

// isolated: no node reaches another one.
func isolated(r *Run) error {
	for i := range r.times(1) {
		if err := r.calm(2*time.Second, 4*time.Second); err != nil {
			return err
		}
		lines, all := []line{}, []int{}
		for from := range r.cluster.nodes {
			all = append(all, from)
			for to := range r.cluster.nodes {
				if from != to {
					lines = append(lines, line{from, to})
				}
			}
		}
		if err := r.partition(fmt.Sprintf("%d all isolated", i+1), all, lines); err != nil {
			return err
		}
	}
	return nil
}

// partition cuts lines for a while. alone are the nodes without a majority: they
// must not acknowledge anything, and tell their people soon.
func (r *Run) partition(name string, alone []int, lines []line) error {
	from := r.crowd.record.now()
	end := r.crowd.record.mark(name)
	for _, l := range lines {
		if err := r.cluster.lan.cut(r.ctx, l.from, l.to); err != nil {
			return err
		}
	}
	cut := r.crowd.record.now()
	insiders, err := r.insiders(alone)
	if err != nil {
		return err
	}
	told := r.left(alone, cut)
	if !sleep(r.ctx, cutFor-(r.crowd.record.now()-cut)) {
		return r.ctx.Err()
	}
	acknowledged := insiders.end()
	r.bound("acknowledged by a node without a majority", float64(acknowledged), 0)
	r.figure("its people are told or moved after", told(), noticed)
	if len(alone) < len(r.cluster.nodes) {
		r.figure("the majority: longest wait for an answer", r.crowd.record.gap(from, func(s *sent) bool {
			return s.measured && s.node != r.cluster.nodes[alone[0]].name
		}), failover)
	}
	healed := r.crowd.record.now()
	for _, l := range lines {
		if err := r.cluster.lan.heal(r.ctx, l.from, l.to); err != nil {
			return err
		}
	}
	end()
	for _, n := range r.cluster.nodes {
		if err := n.ready(r.ctx); err != nil {
			return err
		}
	}
	r.figure("all ready after the healing", r.crowd.record.now()-healed, 30*time.Second)
	if err := r.resumes(from); err != nil {
		return err
	}
	r.figure("sending resumes after the healing", r.crowd.record.gap(healed, nil), 15*time.Second)
	r.say("%s: %d acknowledged inside, people gone after %.1f s, all well %.1f s after the healing", name, acknowledged, told().Seconds(), (r.crowd.record.now() - healed).Seconds())
	return nil
}

// bound keeps the worst of a count that has a limit.
func (r *Run) bound(name string, value, limit float64) {
	r.keepWorst(Figure{Name: name, Value: value, Limit: limit, Bound: true})
}

// left watches when the last socket has left the nodes in alone; what it returns
// tells, and until then how long it has been waiting.
func (r *Run) left(alone []int, since time.Duration) func() time.Duration {
	names := map[string]bool{}
	for _, i := range alone {
		names[r.cluster.nodes[i].name] = true
	}
	var gone atomic.Int64
	r.crowd.work.Go(func() {
		for sleep(r.crowd.online, 20*time.Millisecond) {
			there := false
			for _, p := range r.crowd.people {
				for _, d := range p.devices {
					there = there || names[d.node()]
				}
			}
			if !there {
				gone.Store(int64(r.crowd.record.now()))
				return
			}
		}
	})
	return func() time.Duration {
		if at := gone.Load(); at > 0 {
			return time.Duration(at) - since
		}
		return r.crowd.record.now() - since
	}
}

// insiders are people who only know nodes that are cut off, and go on writing.
type insiders struct {
	stop  context.CancelFunc
	work  sync.WaitGroup
	acked atomic.Int64
}

// insiders lets somebody write at each node in alone. What they are answered counts;
// what isn't is never sent again.
func (r *Run) insiders(alone []int) (*insiders, error) {
	ctx, stop := context.WithCancel(r.ctx)
	in := &insiders{stop: stop}
	for _, i := range alone {
		p := r.crowd.people[i]
		h := r.crowd.hopper(r.random)
		h.stay(r.cluster.nodes[i])
		a := r.crowd.account(h)
		a.Adopt(p.account.Session())
		in.work.Go(func() {
			for sleep(ctx, 250*time.Millisecond) {
				m := client.Outgoing{Room: p.rooms[0], ClientID: client.NewKey(), Text: "is anybody there?"}
				r.crowd.record.history.Sent(m.Room, m.ClientID.String(), m.ClientID)
				try, cancel := context.WithTimeout(ctx, postLimit)
				got, err := a.Post(try, m.Room, m.ClientID, m.Text)
				cancel()
				if err == nil {
					in.acked.Add(1)
					r.crowd.record.history.Acked(m.Room, m.ClientID, chat.MessageID(got.ID), got.Seq)
				}
			}
		})
	}
	return in, nil
}

// end stops them and tells how many of their messages were acknowledged.
func (in *insiders) end() int64 {
	in.stop()
	in.work.Wait()
	return in.acked.Load()
}
