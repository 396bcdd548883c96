package node

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"natter/chat"
)

// roster is the chat.Roster over leases: an entry <user>.<device>.<node> for
// each device on each node, written when somebody comes, goes, or says that they
// are away. An entry counts while the run of the node it was written under holds
// its lease; so nothing is refreshed, and a node that dies takes its people along.
//
// Where the store can't take an entry it is tried again, slowly: until then the
// other nodes take that person for offline, and nothing else waits for it.
type roster struct {
	places chat.Leases
	node   string
	log    *slog.Logger

	mu    sync.Mutex
	local map[deviceKey]chat.Standing // as it should be told
	dirty map[deviceKey]struct{}      // what isn't told, or not for sure
	full  map[deviceKey]struct{}      // what there was no room for
	run   string                      // empty: no lease yet
	wake  chan struct{}

	tellMu sync.Mutex // one teller at once: the watch of places, or that of leases
	told   func(chat.RosterChange)
	early  []life // who lived before anybody listened

	stop context.CancelFunc
	done sync.WaitGroup
}

type deviceKey struct {
	user   chat.UserID
	device chat.DeviceID
}

const (
	rosterFormat = 1
	// rosterAtOnce is how many entries are on their way at once.
	rosterAtOnce = 64
	// rosterAgain is how long is waited after the store didn't answer, rosterFull
	// after it had no room.
	rosterAgain = time.Second
	rosterFull  = 30 * time.Second
	// rosterSweep is how often entries of nodes that are long gone are deleted.
	rosterSweep = 10 * time.Minute
	maxRunBytes = 64
)

// encodePlace is an entry's value: version, standing, run.
func encodePlace(run string, s chat.Standing) []byte {
	return append([]byte{rosterFormat, byte(s)}, run...)
}

var errPlace = errors.New("an entry of the roster can't be read")

func parsePlace(b []byte) (run string, s chat.Standing, err error) {
	if len(b) < 3 || len(b) > 2+maxRunBytes || b[0] != rosterFormat || !chat.ValidID(string(b[2:])) {
		return "", chat.Gone, errPlace
	}
	s = chat.Standing(b[1])
	if s != chat.Away && s != chat.Here {
		return "", chat.Gone, errPlace
	}
	return string(b[2:]), s, nil
}

func placeKey(k deviceKey, node string) string {
	return string(k.user) + "." + string(k.device) + "." + node
}

func splitPlace(key string) (k deviceKey, node string, ok bool) {
	user, rest, ok1 := strings.Cut(key, ".")
	device, node, ok2 := strings.Cut(rest, ".")
	ok = ok1 && ok2 && chat.ValidID(user) && chat.ValidID(device) && chat.ValidID(node)
	return deviceKey{chat.UserID(user), chat.DeviceID(device)}, node, ok
}

func newRoster(places chat.Leases, node string, log *slog.Logger) *roster {
	return &roster{places: places, node: node, log: log, local: map[deviceKey]chat.Standing{},
		dirty: map[deviceKey]struct{}{}, full: map[deviceKey]struct{}{}, wake: make(chan struct{}, 1), stop: func() {}}
}

// start starts writing; alive says whose lease holds.
func (r *roster) start(alive func(node string) bool) {
	life, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.write(life) })
	r.done.Go(func() { r.tidy(life, alive) })
}

// begin has everything written under a new run of this node's lease.
func (r *roster) begin(run string) {
	r.mu.Lock()
	r.run = run
	for k := range r.local {
		r.dirty[k] = struct{}{}
	}
	r.mu.Unlock()
	r.nudge()
}

// again has everything written once more: the store has lost it.
func (r *roster) again() {
	r.mu.Lock()
	run := r.run
	r.mu.Unlock()
	r.begin(run)
}

func (r *roster) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Set implements chat.Roster.
func (r *roster) Set(u chat.UserID, d chat.DeviceID, s chat.Standing) {
	k := deviceKey{u, d}
	r.mu.Lock()
	if r.local[k] != s {
		if r.local[k] = s; s == chat.Gone {
			delete(r.local, k)
		}
		r.dirty[k] = struct{}{}
		delete(r.full, k)
	}
	r.mu.Unlock()
	r.nudge()
}

// Watch implements chat.Roster.
func (r *roster) Watch(told func(chat.RosterChange)) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	r.tellMu.Lock()
	r.told = told
	for _, one := range r.early {
		told(changeOfLife(one))
	}
	r.early = nil
	r.tellMu.Unlock()
	err := r.places.Watch(ctx, "", func(c chat.LeaseChange) {
		r.tellMu.Lock()
		defer r.tellMu.Unlock()
		if c.Lost {
			r.again()
		}
		if change, ok := r.changeOf(c); ok && r.told != nil {
			r.told(change)
		}
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return func() {
		cancel()
		r.tellMu.Lock()
		defer r.tellMu.Unlock()
		r.told = nil
	}, nil
}

// lives takes that a run of a node lives, or doesn't any more.
func (r *roster) lives(l life) {
	if l.node == r.node {
		return
	}
	r.tellMu.Lock()
	defer r.tellMu.Unlock()
	if r.told == nil {
		r.early = append(r.early, l)
		return
	}
	r.told(changeOfLife(l))
}

func changeOfLife(l life) chat.RosterChange {
	c := chat.RosterChange{Kind: chat.RosterEnds, Node: l.node, Run: l.run}
	if l.lives {
		c.Kind = chat.RosterLives
	}
	return c
}

// changeOf is what a change of an entry means; false for one's own, and for what
// says nothing: that an entry expired can't be, and its node's lease decides.
func (r *roster) changeOf(c chat.LeaseChange) (chat.RosterChange, bool) {
	switch c.Kind {
	case chat.LeaseBegan:
		return chat.RosterChange{Kind: chat.RosterBegan}, true
	case chat.LeaseReady:
		return chat.RosterChange{Kind: chat.RosterReady}, true
	case chat.LeaseExpired:
		return chat.RosterChange{}, false
	}
	k, node, ok := splitPlace(c.Key)
	if !ok || node == r.node {
		return chat.RosterChange{}, false
	}
	change := chat.RosterChange{Kind: chat.RosterPlaced, Node: node, User: k.user, Device: k.device}
	if c.Kind == chat.LeasePut {
		var err error
		if change.Run, change.Standing, err = parsePlace(c.Value); err != nil {
			r.log.Warn("an entry of the roster is ignored", "key", c.Key, "err", err)
			return chat.RosterChange{}, false
		}
	}
	return change, true
}

// write tells the store what is dirty, until ctx ends.
func (r *roster) write(ctx context.Context) {
	refused := false
	room := time.NewTicker(rosterFull)
	defer room.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-room.C:
			r.mu.Lock()
			maps.Copy(r.dirty, r.full)
			clear(r.full)
			r.mu.Unlock()
		}
		for r.waiting() > 0 && ctx.Err() == nil {
			err := r.flush(ctx)
			if err == nil {
				refused = false
				continue
			}
			if !refused && ctx.Err() == nil {
				refused = true
				r.log.Warn("the roster takes no entries now: other nodes take some people for offline", "err", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(rosterAgain):
			}
		}
	}
}

// waiting is how many entries are to be told; none before there is a lease.
func (r *roster) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == "" {
		return 0
	}
	return len(r.dirty)
}

// flush tells what is dirty now, many at once. What can't be told is dirty again.
func (r *roster) flush(ctx context.Context) error {
	r.mu.Lock()
	dirty := r.dirty
	r.dirty = map[deviceKey]struct{}{}
	r.mu.Unlock()
	next := make(chan deviceKey)
	failed := make(chan error, rosterAtOnce)
	var group sync.WaitGroup
	for range min(len(dirty), rosterAtOnce) {
		group.Go(func() {
			var first error
			for k := range next {
				err := r.put(ctx, k)
				if err == nil {
					continue
				}
				first = err
				r.mu.Lock()
				if chat.KindOf(err) == chat.KindTooLarge {
					r.full[k] = struct{}{}
				} else {
					r.dirty[k] = struct{}{}
				}
				r.mu.Unlock()
			}
			failed <- first
		})
	}
	for k := range dirty {
		next <- k
	}
	close(next)
	group.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// put tells one device's entry as it should be now.
func (r *roster) put(ctx context.Context, k deviceKey) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	s, run := r.local[k], r.run
	r.mu.Unlock()
	if s == chat.Gone {
		return r.places.Delete(ctx, placeKey(k, r.node), chat.AnyRevision)
	}
	_, err := r.places.Put(ctx, placeKey(k, r.node), encodePlace(run, s), 0, chat.AnyRevision)
	return err
}

// tidy deletes what this node's last run left, and then, now and again, what
// nodes left that are long gone.
func (r *roster) tidy(ctx context.Context, alive func(string) bool) {
	gone := map[string]bool{} // nodes that didn't live a turn ago
	for own := true; ; own = false {
		next := map[string]bool{}
		r.sweep(ctx, func(k deviceKey, node, run string) bool {
			if node == r.node {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.local[k] == chat.Gone
			}
			if !alive(node) {
				next[node] = true
			}
			return !own && gone[node] && next[node]
		})
		gone = next
		select {
		case <-ctx.Done():
			return
		case <-time.After(rosterSweep):
		}
	}
}

// sweep reads every entry and deletes those that are stale, unless they change
// meanwhile.
func (r *roster) sweep(ctx context.Context, stale func(k deviceKey, node, run string) bool) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	type found struct {
		key      string
		revision uint64
	}
	all, ready := []found{}, make(chan []found, 1)
	err := r.places.Watch(reading, "", func(c chat.LeaseChange) {
		switch c.Kind {
		case chat.LeaseBegan:
			all = nil
		case chat.LeaseReady:
			select {
			case ready <- all:
			default:
			}
			cancel()
		case chat.LeasePut:
			k, node, ok := splitPlace(c.Key)
			run, _, err := parsePlace(c.Value)
			if ok && err == nil && stale(k, node, run) { // what a later version wrote is none of ours
				all = append(all, found{c.Key, c.Revision})
			}
		}
	})
	if err != nil {
		return // the next turn
	}
	select {
	case list := <-ready:
		for _, one := range list {
			if ctx.Err() != nil || chat.KindOf(r.places.Delete(ctx, one.key, one.revision)) == chat.KindUnavailable {
				return
			}
		}
	case <-ctx.Done():
	}
}

// close tells what is left to be told, at most until ctx ends, and stops.
func (r *roster) close(ctx context.Context) {
	r.stop()
	r.done.Wait()
	if r.waiting() > 0 {
		_ = r.flush(ctx) // what stays doesn't count without the lease
	}
}
