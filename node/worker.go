package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/snowflake"

	"natter/chat"
)

// Which worker number a node takes.

const (
	workerFormat = 1
	workers      = 1024 // numbers: 10 bits of an id
	// workerTries is how many unused numbers are tried, should other nodes start at
	// the same time and be quicker.
	workerTries = 64
	// workerPatience is how long a node waits for its own number rather than take
	// another one.
	workerPatience = 2 * time.Second
	// workerMargin is how long a number of a node that is gone is left alone after
	// its time: taking it is safe at once, but its holder may only be cut off, of
	// another clock, and would lose it.
	workerMargin = 10 * time.Minute
)

// workerLease is the record worker.<number>, JSON; it is kept on disk. Records of
// the first nodes have Version and Until only.
type workerLease struct {
	Version int `json:"version"`
	// Until is the time that no id of this number is made at or beyond.
	Until chat.Millis `json:"until"`
	// At is the holder's time when it stored this; 0 in old records.
	At chat.Millis `json:"at,omitempty"`
	// Node holds it, or had it last; empty in old records, of a node alone.
	Node string `json:"node,omitempty"`
	// Released: the holder has stopped in order.
	Released bool `json:"released,omitempty"`
}

func workerKey(n int) string { return "worker." + strconv.Itoa(n) }

func (l *workerLease) encode() []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic("node: a worker's lease is no JSON: " + err.Error())
	}
	return b
}

func parseWorker(b []byte) (workerLease, error) {
	var l workerLease
	if err := json.Unmarshal(b, &l); err != nil || l.Version != workerFormat || l.Node != "" && !chat.ValidID(l.Node) {
		return workerLease{}, fmt.Errorf("a worker's lease can't be read: %.100q", b)
	}
	return l, nil
}

// foundWorker is a number's lease as it is stored.
type foundWorker struct {
	workerLease
	worker   int
	revision uint64
}

// claimLocked takes a number. It prefers this node's own, waiting for it up to
// workerPatience when it crashed a moment ago. A clock behind this node's last
// use is waited for up to patience; beyond that it is an error, unless the clock is known
// to be right: then another number is taken.
func (g *ids) claimLocked(ctx context.Context, patience time.Duration) error {
	all, err := g.workers(ctx)
	if err != nil {
		return err
	}
	for _, one := range all {
		if !g.own(&one) {
			continue
		}
		// Whoever had this name stored at At: a clock that says less went back.
		at := one.At
		if at == 0 {
			at = one.Until
		}
		if err := waitFor(ctx, at, patience); err != nil {
			if g.leasing.right == nil || !g.leasing.right() || ctx.Err() != nil {
				return err
			}
			// It was ahead when it stored that, and no longer is. Any other number is as
			// good.
			g.log.Warn("this node's last worker number was used by a clock that was ahead; it takes another one", "worker", one.worker, "err", err)
			continue
		}
		if err := waitFor(ctx, one.Until, min(patience, workerPatience)); err != nil && ctx.Err() != nil {
			return err
		}
	}
	for _, one := range g.candidates(all) {
		switch err := g.takeLocked(ctx, one); chat.KindOf(err) {
		case chat.KindConflict: // another node was quicker
		default:
			return err
		}
	}
	return fmt.Errorf("all %d worker numbers are in use", workers)
}

func (g *ids) own(l *foundWorker) bool { return l.Node == "" || l.Node == g.node }

// errClock is the clock that is behind what was made by it: for a person to mend.
var errClock = errors.New("this machine's clock")

// waitFor waits until the clock says at; an error if that takes longer than
// patience.
func waitFor(ctx context.Context, at chat.Millis, patience time.Duration) error {
	wait := time.Until(at.Time())
	if wait <= 0 {
		return nil
	}
	if wait > patience {
		return fmt.Errorf("%w is %s behind the last id that was made: set it right", errClock, wait.Round(time.Second))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// workers reads every number's lease.
func (g *ids) workers(ctx context.Context) ([]foundWorker, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all []foundWorker
	var failed error
	ready := make(chan struct{})
	seen := func(key string, value []byte, revision uint64) {
		mu.Lock()
		defer mu.Unlock()
		n, err := strconv.Atoi(strings.TrimPrefix(key, "worker."))
		if value == nil || err != nil || n < 0 || n >= workers {
			return
		}
		l, err := parseWorker(value)
		if err != nil {
			failed = err
		}
		all = append(all, foundWorker{l, n, revision})
	}
	if err := g.records.Watch(ctx, "worker", seen, sync.OnceFunc(func() { close(ready) })); err != nil {
		return nil, err
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(all), failed
}

// candidates are the numbers this node may take now, best first: its own, those
// given back, those never used, and those of nodes that are long gone.
func (g *ids) candidates(all []foundWorker) []foundWorker {
	now := chat.MillisOf(time.Now())
	used := map[int]bool{}
	var own, free, lost []foundWorker
	for _, one := range all {
		used[one.worker] = true
		switch {
		case one.Until > now:
		case g.own(&one):
			own = append(own, one)
		case one.Released:
			free = append(free, one)
		case now-one.Until > chat.Millis(workerMargin.Milliseconds()) && !g.alive(one.Node):
			lost = append(lost, one)
		}
	}
	for n, more := 0, workerTries; n < workers && more > 0; n++ {
		if !used[n] {
			free = append(free, foundWorker{worker: n})
			more--
		}
	}
	byNumber := func(a, b foundWorker) int { return cmp.Compare(a.worker, b.worker) }
	for _, list := range [][]foundWorker{own, free, lost} {
		slices.SortFunc(list, byNumber)
	}
	return slices.Concat(own, free, lost)
}

// takeLocked takes a number by compare-and-set.
func (g *ids) takeLocked(ctx context.Context, one foundWorker) error {
	// Only now: it counts time from here on by the clock that doesn't jump.
	made, err := snowflake.NewNode(int64(one.worker))
	if err != nil {
		return err
	}
	now := chat.MessageID(made.Generate()).Time()
	l := workerLease{Version: workerFormat, Node: g.node, At: now, Until: now + chat.Millis(g.leasing.ahead.Milliseconds())}
	revision, err := g.records.Put(ctx, workerKey(one.worker), l.encode(), one.revision)
	if err != nil {
		return err
	}
	n := &number{worker: one.worker, make: made, revision: revision}
	n.until.Store(int64(l.Until))
	g.held.Store(n)
	return nil
}
