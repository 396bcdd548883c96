package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A start isn't through before this node's copies of the streams are what the others'
// are, nor is the return of a node that was cut off. Whoever stops or loses the next node counts on this one: of three copies with one
// gone and one still being filled only one has everything, nobody can be elected that
// hasn't, and people wait until the filling is over.
const (
	// fillLook is how often a start looks which copies are filled.
	fillLook = 100 * time.Millisecond
	// fillStill is for how long a start waits without any progress, more than the three
	// tries of 5 s that NATS gives a filling before it begins anew, and fillMost how long at
	// most. After that it serves all the same: another node may be down for good, and this
	// one's people can be served by what the leaders have.
	fillStill = 20 * time.Second
	fillMost  = 10 * time.Minute
)

// fill waits until each of this node's copies was found filled once. It says what it
// waits for, and no more than warns about what stands still.
func (n *Node) fill(ctx context.Context) error {
	f := newFilling(time.Now())
	tick := time.NewTicker(fillLook)
	defer tick.Stop()
	for {
		f.look(n.copies(ctx), time.Now())
		if f.over(time.Now()) {
			if len(f.lacking) > 0 {
				n.log.Warn("the node serves though some of its copies lack what the others have; they are filled when that can be", "streams", f.lacking)
			}
			return nil
		}
		n.doing("filling this node's copies: " + f.String())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.failed:
			return n.failure
		}
	}
}

// copyState is this node's copy of a stream as it is now.
type copyState struct {
	stream string
	filled bool
	has    uint64 // moves while it is filled
}

// copies are those that this node has, or may have: of a stream that nobody leads now
// it isn't known.
func (n *Node) copies(ctx context.Context) (all []copyState) {
	has := n.nats.has()
	for _, l := range n.store.Leaders(ctx) {
		switch l.Leader {
		case "":
			all = append(all, copyState{l.Stream, false, has[l.Stream]})
			continue
		case n.config.Name:
			all = append(all, copyState{l.Stream, true, has[l.Stream]})
			continue
		}
		for _, r := range l.Replicas {
			if r.Node == n.config.Name {
				all = append(all, copyState{l.Stream, r.Current && n.nats.filled(l.Stream), has[l.Stream]})
			}
		}
	}
	return all
}

// has tells for each stream something that changes when its copy here does.
func (n *natsServer) has() map[string]uint64 {
	all := map[string]uint64{}
	info, err := n.server.Jsz(&server.JSzOptions{Account: account, Streams: true})
	if err != nil {
		return all
	}
	for _, a := range info.AccountDetails {
		for _, stream := range a.Streams {
			all[stream.Name] = stream.State.FirstSeq + stream.State.LastSeq + stream.State.Msgs
		}
	}
	return all
}

// filled tells whether this node's copy of a stream has all that it knows to be there:
// its Raft group has applied what is committed, and isn't given what it lacks.
func (n *natsServer) filled(stream string) bool {
	return n.server.JetStreamIsStreamCurrent(account, stream)
}

// filling is how far a start's copies are. Under load a copy that is filled is a little
// behind at most moments, so once is enough.
type filling struct {
	filled  map[string]bool
	lacking []string
	has     map[string]uint64 // of those
	began   time.Time
	since   time.Time // when it last got on
}

func newFilling(now time.Time) filling {
	return filling{filled: map[string]bool{}, has: map[string]uint64{}, began: now, since: now}
}

// over tells whether there is nothing left to wait for, after a look.
func (f *filling) over(now time.Time) bool {
	return len(f.lacking) == 0 || now.Sub(f.since) > fillStill || now.Sub(f.began) > fillMost
}

func (f *filling) look(all []copyState, now time.Time) {
	before := len(f.lacking)
	f.lacking = f.lacking[:0]
	for _, c := range all {
		if f.filled[c.stream] = f.filled[c.stream] || c.filled; f.filled[c.stream] {
			continue
		}
		f.lacking = append(f.lacking, c.stream)
		if f.has[c.stream] != c.has {
			f.has[c.stream], f.since = c.has, now
		}
	}
	if len(f.lacking) != before {
		f.since = now
	}
}

// String names the streams that lack something, three at most.
func (f *filling) String() string {
	const most = 3
	names := slices.Clone(f.lacking[:min(most, len(f.lacking))])
	if more := len(f.lacking) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
