package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"natter/chat"
)

// holds are the reasons to take no commands; nil if one doesn't hold.
type holds struct {
	mu               sync.Mutex
	disk, cut, clock *chat.Problem
}

// hold has change set a reason, the store held for what is left of them, and the clients
// sent elsewhere while this node can't do for them what another one can.
func (n *Node) hold(change func(*holds)) {
	h := &n.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
	why := h.disk
	if why == nil {
		why = h.cut
	}
	if why == nil {
		why = h.clock
	}
	elsewhere := h.disk != nil && n.elsewhere()
	if elsewhere {
		why = errDiskHere
	}
	n.store.Hold(why)
	if h.cut != nil || h.clock != nil || elsewhere {
		n.edge.Suspend(why)
	} else {
		n.edge.Resume()
	}
}

// elsewhere tells whether another node takes clients.
func (n *Node) elsewhere() bool {
	return n.member != nil && slices.ContainsFunc(n.peers.all(), func(p peer) bool {
		return p.lives && p.Ready && !p.Draining && p.Name != n.config.Name
	})
}

// cutLook is how often is looked whether the node is cut off.
const cutLook = 100 * time.Millisecond

// watchCut sends the clients of a node that is cut off elsewhere, and lets them in
// again when it isn't any more and, as at a start, its copies are filled. It ends with
// the node.
func (n *Node) watchCut() {
	tick := time.NewTicker(cutLook)
	defer tick.Stop()
	var copies filling
	for {
		select {
		case <-tick.C:
		case <-n.quit:
			return
		}
		switch lost := n.majority.lost(); {
		case lost && !n.cut.Load():
			n.cut.Store(true)
			copies = newFilling(time.Now())
			n.log.Error("the node is cut off from the majority: its clients are sent to the others, and nothing is taken")
			n.hold(func(h *holds) { h.cut = errCut })
			n.store.GiveUp(errCut)
		case lost && n.cut.Load():
			copies = newFilling(time.Now()) // once more, or still
		case !lost && n.cut.Load() && n.lease.held() && n.filled(&copies): // the store has a leader again
			n.cut.Store(false)
			n.hold(func(h *holds) { h.cut = nil })
			n.log.Info("the node is among the others again")
		}
	}
}

// cutAsk bounds one look at the copies of a node that was cut off.
const cutAsk = time.Second

// filled looks whether this node's copies are filled, or don't get on.
func (n *Node) filled(copies *filling) bool {
	ctx, cancel := context.WithTimeout(context.Background(), cutAsk)
	defer cancel()
	copies.look(n.copies(ctx), time.Now())
	return copies.over(time.Now())
}

// certain is jetstream.Options.Certain: it is asked before and while the node takes its
// place too.
func (n *Node) certain(ctx context.Context) error {
	if m := n.asks.Load(); m != nil {
		return m.certain(ctx)
	}
	return nil
}
