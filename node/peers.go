package node

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"natter/chat"
)

// peers is every node as its lease tells, this one too. Safe for concurrent use.
type peers struct {
	log *slog.Logger

	mu      sync.Mutex
	known   map[string]*peer
	waiting []life // to be told, in order

	telling sync.Mutex // held while telling, and never inside mu
	told    func(life) // nil: nobody listens
	stop    context.CancelFunc
	done    chan struct{}
}

// peer is a node whose lease was seen.
type peer struct {
	leaseRecord
	seen  time.Time // by the clock that doesn't jump
	lives bool
}

// life is a change: a run of a node lives, or doesn't any more.
type life struct {
	node, run string
	lives     bool
}

const (
	// peersLook is how often is looked whose lease has run out.
	peersLook = 500 * time.Millisecond
	// peerForgotten is how long a node that is gone is remembered: a node that is
	// cut off itself sends its clients to those it knew.
	peerForgotten = 10 * time.Minute
	// maxPeers bounds how many nodes are known; of more the others are ignored.
	maxPeers = 1024
)

// watchPeers follows the leases and returns when those that are there are known.
func watchPeers(ctx context.Context, leases chat.Leases, log *slog.Logger, told func(life)) (*peers, error) {
	life, stop := context.WithCancel(context.Background())
	p := &peers{log: log, known: map[string]*peer{}, told: told, stop: stop, done: make(chan struct{})}
	ready := make(chan struct{})
	once := sync.OnceFunc(func() { close(ready) })
	err := leases.Watch(life, "node", func(c chat.LeaseChange) {
		if c.Kind == chat.LeaseReady {
			once()
		}
		p.changed(c)
	})
	if err != nil {
		stop()
		return nil, err
	}
	go p.look(life)
	select {
	case <-ready:
		return p, nil
	case <-ctx.Done():
		p.close()
		return nil, ctx.Err()
	}
}

// changed takes what the watch tells. That a lease has expired in the store is no
// news: look finds out by this node's own clock.
func (p *peers) changed(c chat.LeaseChange) {
	name := strings.TrimPrefix(c.Key, "node.")
	switch c.Kind {
	case chat.LeasePut:
		l, err := parseLease(name, c.Value)
		if err != nil {
			p.log.Warn("a node's lease is ignored", "err", err)
			return
		}
		p.mu.Lock()
		p.sawLocked(l)
		p.mu.Unlock()
	case chat.LeaseDeleted:
		p.mu.Lock()
		if one := p.known[name]; one != nil {
			p.endLocked(one)
			delete(p.known, name)
		}
		p.mu.Unlock()
	default:
		return
	}
	p.tell()
}

func (p *peers) sawLocked(l leaseRecord) {
	one := p.known[l.Name]
	if one == nil && len(p.known) >= maxPeers {
		return
	}
	if one == nil {
		one = &peer{}
		p.known[l.Name] = one
	} else if one.Run != l.Run {
		p.endLocked(one)
	}
	one.leaseRecord, one.seen = l, time.Now()
	if !one.lives {
		one.lives = true
		p.waiting = append(p.waiting, life{l.Name, l.Run, true})
	}
}

func (p *peers) endLocked(one *peer) {
	if one.lives {
		one.lives = false
		p.waiting = append(p.waiting, life{one.Name, one.Run, false})
	}
}

// look finds the leases that have run out, until ctx ends.
func (p *peers) look(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(peersLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		for name, one := range p.known {
			age := time.Since(one.seen)
			if age > leaseTTL {
				p.endLocked(one)
			}
			if age > peerForgotten {
				delete(p.known, name)
			}
		}
		p.mu.Unlock()
		p.tell()
	}
}

// tell tells what has changed, in its order.
func (p *peers) tell() {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	all := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, one := range all {
		p.told(one)
	}
}

// all is every node that is known, by name: those whose lease has run out too.
func (p *peers) all() []peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]peer, 0, len(p.known))
	for _, one := range p.known {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b peer) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// older are the other nodes of a wire version below one, also those that are gone.
func (p *peers) older(wire int) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, one := range p.known {
		if one.Wire < wire {
			names = append(names, name)
		}
	}
	return names
}

// alive tells whether a node's lease holds.
func (p *peers) alive(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.known[name]
	return one != nil && one.lives
}

// close stops following and waits.
func (p *peers) close() {
	p.stop()
	<-p.done
}
