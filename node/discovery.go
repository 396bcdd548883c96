package node

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// entry is a node as clients find it; the edge's own type for it has the same
// fields, and the compiler holds the two together.
type entry = struct {
	ID     string  `json:"id"`
	URL    string  `json:"url"`
	Region string  `json:"region"`
	Load   float64 `json:"load"`
}

// found answers discovery. N is inferred from the option it is meant for, whose
// package is the wire's business and not the node's.
func found[N interface{ ~entry }](_ func(string) []N, nodes func(region string) []entry) func(string) []N {
	return func(region string) []N {
		var list []N
		for _, one := range nodes(region) {
			list = append(list, N(one))
		}
		return list
	}
}

// nodes is where a client near region may go, best first. It asks nobody.
func (n *Node) nodes(region string) []entry {
	self := n.describe()
	self.Name = n.config.Name
	if n.peers == nil {
		return order([]leaseRecord{self}, region, rand.Float64)
	}
	// Cut off itself, a node sends its clients to those it knew, whom they may
	// well reach.
	cut := n.cut.Load() || !n.lease.held()
	var open []leaseRecord
	for _, one := range n.peers.all() {
		if one.Name != self.Name && one.Ready && !one.Draining && (one.lives || cut) {
			open = append(open, one.leaseRecord)
		}
	}
	if !self.Draining && (!cut || len(open) == 0) {
		open = append(open, self)
	}
	return order(open, cmp.Or(region, n.config.Region), rand.Float64)
}

// order sorts nodes for one client: those of its region first, full ones last,
// and otherwise at random, weighted by what each has free, so that a crowd that
// asks at once spreads as there is room.
//
// The weights are those of drawing one after the other (Efraimidis and
// Spirakis): sort by -ln(u)/weight.
func order(nodes []leaseRecord, region string, random func() float64) []entry {
	type drawn struct {
		leaseRecord
		far, full bool
		key       float64
	}
	all := make([]drawn, len(nodes))
	for i, l := range nodes {
		free := float64(l.Capacity) * (1 - l.Load)
		all[i] = drawn{l, l.Region != region, free < 1, -math.Log(1-random()) / max(free, 1)}
	}
	bit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b drawn) int {
		return cmp.Or(bit(a.full)-bit(b.full), bit(a.far)-bit(b.far), cmp.Compare(a.key, b.key))
	})
	list := make([]entry, len(all))
	for i, l := range all {
		list[i] = entry{ID: l.Name, URL: l.URL, Region: l.Region, Load: l.Load}
	}
	return list
}

// describe is what this node says of itself.
func (n *Node) describe() leaseRecord {
	open := n.listener.open()
	load := float64(open) / float64(n.most)
	l := leaseRecord{
		Connections: &open, URL: n.advertised(), Region: n.config.Region, Load: math.Round(load*1000) / 1000, Capacity: n.most,
		Ready: n.serves.Load() && n.fit() == nil, Draining: n.stopping.Load(),
		Worker: n.worker(), Started: n.since,
	}
	l.versions()
	return l
}
