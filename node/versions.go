package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"natter/chat"
)

// Nodes of two natters side by side.
//
// A cluster is brought to another natter one node after the other, so for a while both
// are in it. What they must agree on has numbers, which stand in each node's lease:
//
//	format   what is kept, in streams and in the data directory: the same on all nodes
//	wire     what they say to each other: leases, questions and their answers. Each says
//	         which it speaks, and the oldest it still understands
//
// Who comes to nodes it can't work with is refused, before it touches a stream. What an
// older node can't answer isn't held against it.
const (
	wireVersion = 2
	// wireOldest is the oldest that this natter works with.
	wireOldest = 1
	// wirePresent is the first whose nodes answer whether they are there (majority.go).
	wirePresent = 2
)

// VersionError says why this natter and the other nodes' can't be one cluster; one line
// for the operator.
type VersionError struct{ Detail string }

// Error is the line.
func (e *VersionError) Error() string {
	return fmt.Sprintf("natter %s can't be a node of this cluster: %s (see \"Upgrade\" in OPERATIONS)", Version, e.Detail)
}

// beside says why this node can't work beside another; nil if it can.
func (l *leaseRecord) beside(other *leaseRecord) error {
	oldest := func(l *leaseRecord) int { return cmp.Or(l.WireOldest, l.Wire) }
	var why string
	switch {
	case l.Format != other.Format:
		why = fmt.Sprintf("it keeps data in format %d, and the node %q (natter %s) in format %d", l.Format, other.Name, other.Natter, other.Format)
	case other.Wire < oldest(l):
		why = fmt.Sprintf("it understands what nodes say from version %d on, and the node %q (natter %s) speaks version %d", oldest(l), other.Name, other.Natter, other.Wire)
	case l.Wire < oldest(other):
		why = fmt.Sprintf("it speaks version %d of what nodes say, and the node %q (natter %s) understands it from version %d on", l.Wire, other.Name, other.Natter, oldest(other))
	default:
		return nil
	}
	return &VersionError{why}
}

// versions is what this natter says of itself.
func (l *leaseRecord) versions() {
	l.Natter, l.Format, l.Wire, l.WireOldest = Version, dataFormat, wireVersion, wireOldest
}

// suits is nil if this natter can work beside every node that has a lease.
func (n *Node) suits(ctx context.Context, leases chat.Leases) error {
	there, err := watchPeers(ctx, leases, n.log, func(life) {})
	if err != nil {
		return fmt.Errorf("find the other nodes: %w", err)
	}
	defer there.close()
	var self leaseRecord
	self.versions()
	for _, one := range there.all() {
		if one.Name == n.config.Name {
			continue
		}
		if err := self.beside(&one.leaseRecord); err != nil {
			return err
		}
	}
	return nil
}

// silent are the nodes that wouldn't answer whether they are there, and that a route leads
// to: it is pinged, and ends when that isn't answered.
func (n *Node) silent(known *peers) []string {
	older := known.older(wirePresent)
	if len(older) == 0 {
		return nil
	}
	connected := n.nats.peers()
	return slices.DeleteFunc(older, func(name string) bool { return !slices.Contains(connected, name) })
}
