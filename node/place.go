package node

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/chat"
)

// takePlace takes the node's place among the others: it gets to know them, takes its
// lease and its worker number.
func (n *Node) takePlace(ctx context.Context, to prometheus.Registerer) (err error) {
	log := n.log.With("part", "lease")
	clustered := n.member != nil
	if clustered {
		n.roster = newRoster(n.store.Places(), n.config.Name, n.log.With("part", "roster"))
	}
	n.peers, err = watchPeers(ctx, n.store.Leases(), log, n.lived)
	if err != nil {
		return fmt.Errorf("find the other nodes: %w", err)
	}
	if clustered {
		n.roster.start(n.peers.alive)
	}
	peers := n.peers
	gauge(to, "natter_nodes", "Nodes whose lease holds, this one too.", func() float64 {
		live := 0
		for _, one := range peers.all() {
			if one.lives {
				live++
			}
		}
		return float64(live)
	})
	if clustered {
		if err := n.compareClocks(ctx, to); err != nil {
			return err
		}
	}
	lease := &nodeLease{leases: n.store.Leases(), name: n.config.Name, describe: n.leased, log: log, taken: n.fail, runs: n.ran}
	gauge(to, "natter_lease_held", "1 while the others count on this node.", func() float64 {
		if lease.held() {
			return 1
		}
		return 0
	})
	if lease.before, err = readRuns(n.data.file(runFile)); err != nil {
		return err
	}
	if err := lease.take(ctx); err != nil {
		return fmt.Errorf("take the node's lease: %w", err)
	}
	n.lease = lease
	l := aloneLeasing
	if clustered {
		l = clusterLeasing
		others, needs := n.clocks, n.lack(nil)
		l.right = func() bool { return others.agree() >= needs }
	}
	if n.ids, err = openIDs(ctx, n.store.Records("node"), n.config.Name, l, n.peers.alive, n.log.With("part", "ids")); err != nil {
		return fmt.Errorf("make ids: %w", err)
	}
	n.numbers.Store(n.ids)
	if clustered {
		nc, err := n.nats.connect("majority")
		if err != nil {
			return err
		}
		if n.majority, err = watchMajority(nc, n.config.Name, n.lack(nil), func() []string { return n.silent(peers) }, n.log.With("part", "majority")); err != nil {
			return err
		}
		n.asks.Store(n.majority)
		if nc, err = n.nats.connect("assent"); err != nil {
			return err
		}
		if n.assents, err = answerAssent(nc, n.assent, n.member.roll, n.log.With("part", "roll")); err != nil {
			return err
		}
	}
	return nil
}

// lived is told of the runs of nodes.
func (n *Node) lived(l life) {
	if l.node == n.config.Name {
		return
	}
	if n.roster != nil {
		n.roster.lives(l)
	}
	if l.lives {
		n.log.Info("another node is here", "node", l.node)
	} else {
		n.log.Warn("another node is gone", "node", l.node)
	}
}

// ran is told of this node's runs.
func (n *Node) ran(run string) {
	if n.roster != nil {
		n.roster.begin(run)
	}
}

// others are the nodes that live, beside this one.
func (n *Node) others() []string {
	var names []string
	for _, one := range n.peers.all() {
		if one.lives && one.Name != n.config.Name {
			names = append(names, one.Name)
		}
	}
	return names
}

// worker is the number in this node's ids, -1 while it has none.
func (n *Node) worker() int {
	if g := n.numbers.Load(); g != nil {
		return g.worker()
	}
	return -1
}

// announceWithin bounds how long a change is waited for; the next renewal tells it
// in any case.
const announceWithin = leaseTTL / 3

// announce writes the lease now, because what it says has changed: the node
// serves, or drains.
func (n *Node) announce(ctx context.Context) {
	if n.lease == nil {
		return
	}
	n.serves.Store(!n.stopping.Load())
	ctx, cancel := context.WithTimeout(ctx, announceWithin)
	defer cancel()
	if err := n.lease.put(ctx); err != nil && chat.KindOf(err) != chat.KindConflict {
		n.log.Warn("the node's lease can't be written now", "err", err)
	}
}

// part takes the node from among the others: nobody counts on it any more.
func (n *Node) part(ctx context.Context) {
	within := announceWithin
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline)/4)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if n.assents != nil {
		n.assents.close()
	}
	if n.roster != nil {
		n.roster.close(ctx)
	}
	if n.lease != nil {
		if err := n.lease.close(ctx); err != nil {
			n.log.Warn("the node's lease is not given back; it runs out", "err", err)
		}
	}
	if n.clocks != nil {
		n.clocks.close()
	}
	if n.majority != nil {
		n.asks.Store(nil)
		n.majority.close()
	}
	if n.peers != nil {
		n.peers.close()
	}
}
