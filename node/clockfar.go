package node

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/chat"
)

// A member whose clock is far from the others'.
//
// Commands carry the time of the node that took them, and streams that of whoever leads
// them; what is remembered or kept for some time goes by that. So such a node takes no
// clients, makes no ids and leads nothing, whatever it was before, until its clock is
// right. There are two ways to it:
//
//	it starts with it   the others tell it before it takes its place: the start waits
//	it jumps            the clock that doesn't jump tells at once, and from that moment on
//	                    no id is made, and the time goes on as before; then the others
//	                    tell who is right. If it is the new time, it counts from there on
const (
	clockFar  = 10 * time.Second
	clockLook = time.Second
)

var (
	errClockFar  = chat.Unavailable("this node's clock is wrong; another node may answer", time.Second)
	errClockJump = chat.Unavailable("this node's clock has jumped; it asks the others for the time", time.Second)
)

// steady tells jumps of the clock. Safe for concurrent use.
type steady struct{ base atomic.Pointer[time.Time] }

// set takes the time as it is.
func (s *steady) set(now time.Time) { s.base.Store(&now) }

// off is by how much the clock has been set ahead since set.
func (s *steady) off(now time.Time) time.Duration {
	base := *s.base.Load()
	return now.Round(0).Sub(base.Round(0)) - now.Sub(base)
}

// jumped tells whether the clock has jumped since set.
func (s *steady) jumped(now time.Time) bool { return s.off(now).Abs() > clockFar }

// now is the time as of the last set, and what has passed since: a jump isn't in it.
// Differences to what time.Now told are by the clock that doesn't jump, as between any two.
func (s *steady) now(now time.Time) time.Time {
	base := *s.base.Load()
	return base.Add(now.Sub(base))
}

// now is the time by which tokens end and commands are dated. In a cluster a jump of the
// clock counts once the others agree with it: or everybody's token would be over at once.
func (n *Node) now() time.Time {
	if n.clocks == nil {
		return time.Now()
	}
	return n.steady.now(time.Now())
}

// newID makes an id, unless the clock has jumped.
func (n *Node) newID() (chat.MessageID, error) {
	if n.clocks != nil && n.steady.jumped(time.Now()) {
		return 0, errClockJump
	}
	return n.ids.next()
}

// compareClocks begins to compare clocks, and waits as long as this node's is far from
// the others'.
func (n *Node) compareClocks(ctx context.Context, to prometheus.Registerer) error {
	nc, err := n.nats.connect("clock")
	if err != nil {
		return err
	}
	n.steady.set(time.Now())
	if n.clocks, err = watchClocks(nc, n.config.Name, n.others, n.log.With("part", "clock"), to); err != nil {
		return err
	}
	n.clocks.measure(ctx)
	if _, far := n.clocks.apart(clockFar); !far {
		return nil
	}
	n.log.Error("this node's clock is far from the others': it waits until that is set right")
	handing, stop := context.WithCancel(ctx)
	handed := make(chan struct{})
	go func() {
		defer close(handed)
		every(handing, yieldEach, func() { n.handOver(handing) })
	}()
	err = n.wait(ctx, func() string {
		if ahead, far := n.clocks.apart(clockFar); far {
			return clockIs(ahead)
		}
		return ""
	})
	stop()
	<-handed
	n.steady.set(time.Now())
	return err
}

// clockIs says it to the operator, to a second.
func clockIs(ahead time.Duration) string {
	side := "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	return fmt.Sprintf("this node's clock is %s %s the other nodes': set it right", ahead.Abs().Round(time.Second), side)
}

// watchClock holds a node whose clock is far from the others'. It ends with the node.
func (n *Node) watchClock() {
	tick := time.NewTicker(clockLook)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n.serving.Go(func() {
		<-n.quit
		cancel()
	})
	yielding := func() {} // ends yield
	defer func() { yielding() }()
	for held := false; ; {
		off := n.steady.off(time.Now())
		jumped := off.Abs() > clockFar
		if jumped && !held {
			n.log.Warn("this machine's clock has jumped; the other nodes are asked for the time")
			n.clocks.forget() // what was before the jump
			n.clocks.measure(ctx)
		}
		ahead, far := n.clocks.apart(clockFar)
		if jumped && !far && n.clocks.agree() < n.lack(nil) { // nobody says that the new time is right
			ahead, far = off, true
		}
		if far != held {
			yielding()
			if held = far; held {
				n.log.Error(clockIs(ahead) + "; until then it takes no clients and leads nothing")
				n.clock.Store(&ahead)
				n.hold(func(h *holds) { h.clock = errClockFar })
				n.store.GiveUp(errClockFar)
				yielding = n.startYield()
			} else {
				n.log.Info("the node's clock is right again")
				yielding = func() {}
			}
		}
		if !far {
			n.clockIsRight(ctx, jumped)
		}
		select {
		case <-tick.C:
		case <-n.quit:
			return
		}
	}
}

// clockIsRight takes the time as it is. Small steps are followed from look to look.
func (n *Node) clockIsRight(ctx context.Context, jumped bool) {
	if now := time.Now(); jumped || !n.steady.jumped(now) {
		n.steady.set(now)
	}
	if jumped {
		n.ids.again(ctx)
	}
	if n.clock.Swap(nil) != nil {
		n.hold(func(h *holds) { h.clock = nil })
	}
}
