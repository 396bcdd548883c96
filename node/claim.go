package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What members tell of their stores when they shake hands, and what each makes of it: to
// whom it opens a route, whom it turns away, and who turns it away.

// say is what this member tells in a handshake.
func (r *roll) say() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := claim{Store: r.store}
	if len(r.now.Members) >= r.size {
		for _, m := range r.now.Members {
			if m.Next == "" {
				c.Known = append(c.Known, m.Store)
			}
		}
		slices.Sort(c.Known)
	}
	return c.bytes()
}

func (c claim) bytes() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic("a claim of strings can't be written: " + err.Error())
	}
	return b
}

// claim is what a member tells of itself in a handshake.
type claim struct {
	Store string `json:"store"`
	// Known are the stores it opens routes to; none: not known yet.
	Known []string `json:"known,omitempty"`
}

// parseClaim reads one; nil is that of a version that tells nothing.
func parseClaim(b []byte) (c claim, err error) {
	if b == nil {
		return c, nil
	}
	if err := json.Unmarshal(b, &c); err != nil || !isStore(c.Store) || len(c.Known) > maxPeers {
		return claim{}, fmt.Errorf("it tells of its store what can't be read: %.100q", b)
	}
	return c, nil
}

// meet decides about a node that has proved its name, and tells its store.
func (r *roll) meet(name string, told []byte) error {
	c, err := parseClaim(told)
	if err != nil {
		return err
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(c.Known) > 0 && !slices.Contains(c.Known, r.store) {
		r.shut[name] = true
	} else {
		delete(r.shut, name)
	}
	if err = r.now.admits(name, c.Store, r.size); err == nil {
		r.heard[name] = c.Store
		delete(r.turned, name)
		return nil
	}
	if isStore(c.Store) {
		r.turned[name] = turned{c.Store, now}
	}
	select {
	case r.again <- struct{}{}:
	default:
	}
	if now.Sub(r.told[name]) >= againAfter {
		r.told[name] = now
		r.log.Warn("a node is turned away", "node", name, "why", err)
	}
	return err
}

// shutNow are the nodes that don't know this member's store, by name.
func (r *roll) shutNow() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.shut))
}

// shutHint is the line for who is shut out.
func (r *roll) shutHint(by []string) string {
	return fmt.Sprintf("waiting to be let in: %s turned away this node's store %s, the cluster has another of %s, or other members. "+
		"Was its data lost? then `natter cluster replace %s` on a living node takes this one in its place; is its disk mounted?",
		strings.Join(by, ", "), short(r.store), r.name, r.name)
}

// newcomer is the store that came under a name and was turned away a moment ago.
func (r *roll) newcomer(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.turned[name]; ok && time.Since(t.at) <= turnedFresh {
		return t.store
	}
	return ""
}

// turnedFresh is for how long a newcomer counts as there: it tries once a second.
const turnedFresh = 5 * time.Second

// strangers are those that were turned away a moment ago, by name.
func (r *roll) strangers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, t := range r.turned {
		if time.Since(t.at) <= turnedFresh {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// forgetShut empties who doesn't know this member's store, and returns who didn't.
func (r *roll) forgetShut() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.shut
	r.shut = map[string]bool{}
	return before
}

// shutOut are the nodes that don't know this member's store, by name, after a round of
// knocking: those of before as well if nobody answered.
func (r *roll) shutOut(in bool, before map[string]bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !in && len(r.shut) == 0 {
		r.shut = before
	}
	return slices.Sorted(maps.Keys(r.shut))
}

// shutBy notes that a node turned this one away.
func (r *roll) shutBy(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut[name] = true
}
