package node

import "math"

// entry is a node as clients find it; the edge's own type for it has the same
// fields, and the compiler holds the two together.
type entry = struct {
	ID     string  `json:"id"`
	URL    string  `json:"url"`
	Region string  `json:"region"`
	Load   float64 `json:"load"`
}

// alone answers discovery for a node without others: itself, wherever the
// client is. N is inferred from the option it is meant for, whose package is
// the wire's business and not the node's.
func alone[N interface{ ~entry }](_ func(string) []N, self func() entry) func(string) []N {
	return func(string) []N { return []N{N(self())} }
}

// entry is this node. Load is the share of its connections that are taken.
func (n *Node) entry() entry {
	load := float64(n.listener.open()) / float64(n.most)
	return entry{ID: n.config.Name, URL: n.advertised(), Region: n.config.Region, Load: math.Round(load*1000) / 1000}
}
