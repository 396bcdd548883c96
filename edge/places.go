package edge

import (
	"hash/maphash"
	"slices"

	"natter/chat"
)

// Where people are on the other nodes, as chat.Roster tells. A place counts
// while the run of its node it was made under lives; the others stay until they
// are told away, since a run that was thought dead may come back.

// place is one device of a person on another node: 16 bytes.
type place struct {
	device   uint64 // a hash; a person has few
	run      uint32 // in places.runs
	node     uint16 // in places.nodes
	standing uint8  // never chat.Gone
	told     uint8  // in which round it was told last, see began
}

// places names the nodes and runs by small numbers. Its methods are the
// roster's, under its lock.
type places struct {
	seed  maphash.Seed
	nodes map[string]uint16
	runs  []liveRun
	round uint8 // counts RosterBegan
}

// liveRun is one run of a node, and whether it lives.
type liveRun struct {
	node  uint16
	name  string
	lives bool
}

func newPlaces() places {
	return places{seed: maphash.MakeSeed(), nodes: map[string]uint16{}}
}

// run finds or makes the number of a node's run.
func (l *places) run(node, name string) uint32 {
	n, ok := l.nodes[node]
	if !ok {
		n = uint16(len(l.nodes))
		l.nodes[node] = n
	}
	for i := len(l.runs) - 1; i >= 0; i-- {
		if l.runs[i].node == n && l.runs[i].name == name {
			return uint32(i)
		}
	}
	l.runs = append(l.runs, liveRun{node: n, name: name})
	return uint32(len(l.runs) - 1)
}

// elsewhere is how p is on the other nodes: the best of the places that count.
func (l *places) elsewhere(p *presence) chat.Standing {
	best := chat.Gone
	for _, one := range p.places {
		if l.runs[one.run].lives {
			best = max(best, chat.Standing(one.standing))
		}
	}
	return best
}

// set takes over what was told of a device of p's.
func (l *places) set(p *presence, c *chat.RosterChange) {
	run := l.run(c.Node, c.Run)
	of := l.runs[run].node
	device := maphash.String(l.seed, string(c.Device))
	i := slices.IndexFunc(p.places, func(one place) bool { return one.device == device && one.node == of })
	switch {
	case c.Standing == chat.Gone && i >= 0:
		p.places = slices.Delete(p.places, i, i+1)
	case c.Standing == chat.Gone:
	case i < 0:
		p.places = append(p.places, place{device, run, of, uint8(c.Standing), l.round})
	default:
		p.places[i] = place{device, run, of, uint8(c.Standing), l.round}
	}
}

// changed takes what chat.Roster tells.
func (r *roster) changed(c chat.RosterChange) {
	r.mu.Lock()
	switch c.Kind {
	case chat.RosterPlaced:
		r.alterLocked(c.User, func(p *presence) { r.set(p, &c) })
	case chat.RosterLives, chat.RosterEnds:
		r.livesLocked(r.run(c.Node, c.Run), c.Kind == chat.RosterLives)
	case chat.RosterBegan:
		r.round++
	case chat.RosterReady:
		r.sweepLocked()
	}
	r.mu.Unlock()
	r.tell()
}

// livesLocked has the places of a run count, or not any more.
func (r *roster) livesLocked(run uint32, lives bool) {
	if r.runs[run].lives == lives {
		return
	}
	type affected struct {
		user   chat.UserID
		p      *presence
		before view
	}
	var all []affected
	for u, p := range r.here {
		if slices.ContainsFunc(p.places, func(one place) bool { return one.run == run }) {
			all = append(all, affected{u, p, r.viewLocked(p)})
		}
	}
	r.runs[run].lives = lives
	for _, one := range all {
		// The node can't say any more when they were here last.
		one.p.note = one.p.note || !lives
		r.settleLocked(one.user, one.p, one.before)
	}
}

// sweepLocked drops the places that weren't told in the round that ends.
func (r *roster) sweepLocked() {
	for u, p := range r.here {
		if slices.ContainsFunc(p.places, func(one place) bool { return one.told != r.round }) {
			r.alterLocked(u, func(p *presence) {
				p.places = slices.DeleteFunc(p.places, func(one place) bool { return one.told != r.round })
			})
		}
	}
}
