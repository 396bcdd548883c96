package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// How a stream's replicas are held against each other.
const (
	scrubRange  = 512                    // sequences of all replicas that are compared at once
	scrubSettle = 300 * time.Millisecond // in which what the leader has reaches who is current
)

// scrubAgain are the pauses before each further look at what differs: what one node
// has deleted and another is about to is gone by then.
var scrubAgain = []time.Duration{2 * time.Second, 4 * time.Second}

// errNotWhole says that not all replicas are there and current: what they lack then
// says nothing of their disks.
var errNotWhole = errors.New("not all of its replicas are there and current")

// wrongs are the sequences at which a node's replica is wrong, by node; under "" those
// at which no majority agrees.
type wrongs map[string]map[uint64]bool

func (w wrongs) add(node string, seq uint64) {
	if w[node] == nil {
		w[node] = map[uint64]bool{}
	}
	w[node][seq] = true
}

// and is what is wrong in both.
func (w wrongs) and(other wrongs) wrongs {
	both := wrongs{}
	for node, seqs := range w {
		for seq := range seqs {
			if other[node][seq] {
				both.add(node, seq)
			}
		}
	}
	return both
}

// span is from the first to the last sequence.
func (w wrongs) span() (from, to uint64) {
	var all []uint64
	for _, seqs := range w {
		all = slices.AppendSeq(all, maps.Keys(seqs))
	}
	return slices.Min(all), slices.Max(all)
}

// compared is a stream that is being compared.
type compared struct {
	s       *Store
	name    string
	nodes   []string // that have a replica
	last    uint64   // sequence of what is compared
	expires time.Duration
	read    func(bytes int) error
}

// complete finds the replicas of a stream, which all must be there and current, and
// what they all have.
func (s *Store) complete(ctx context.Context, name string) (*compared, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	found := stream.CachedInfo()
	c := &compared{s: s, name: name, last: found.State.LastSeq, expires: found.Config.MaxAge}
	if found.Cluster == nil || found.Cluster.Leader == "" || len(found.Cluster.Replicas)+1 != found.Config.Replicas {
		return nil, errNotWhole
	}
	c.nodes = []string{found.Cluster.Leader}
	for _, r := range found.Cluster.Replicas {
		if r.Offline || !current(r) {
			return nil, fmt.Errorf("%w: %s", errNotWhole, r.Name)
		}
		c.nodes = append(c.nodes, r.Name)
	}
	slices.Sort(c.nodes)
	return c, nil
}

// compare holds the replicas of a stream against each other and returns what is
// wrong: nothing, or as far as it came until something was. read is told of all that
// is read and may slow it down. errNotWhole if that isn't possible now.
func (s *Store) compare(ctx context.Context, name string, read func(bytes int) error) (wrongs, error) {
	c, err := s.complete(ctx, name)
	if err != nil {
		return nil, err
	}
	c.read = read
	if err := wait(ctx, scrubSettle); err != nil {
		return nil, err
	}
	readers, err := s.readers(ctx, name, 1, c.nodes...) // whatever the leader takes for its first
	if err != nil {
		return nil, err
	}
	for _, r := range readers {
		defer r.close(ctx)
	}
	for from := uint64(1); from <= c.last; {
		to := min(from+scrubRange-1, c.last)
		found := map[string]map[uint64]replicated{}
		for _, r := range readers {
			if found[r.node], err = r.upTo(ctx, from, to, read); err != nil {
				return nil, fmt.Errorf("read the replica on %s: %w", r.node, err)
			}
		}
		if wrong := c.judge(found); len(wrong) > 0 {
			if wrong, err = c.again(ctx, wrong); err != nil || len(wrong) > 0 {
				return wrong, err
			}
		}
		next := uint64(0)
		for i, r := range readers {
			if at := r.next(to + 1); i == 0 || at < next {
				next = at
			}
		}
		from = max(to+1, next)
	}
	return nil, nil
}

// again looks again at what was wrong and returns what still is.
func (c *compared) again(ctx context.Context, wrong wrongs) (wrongs, error) {
	for _, pause := range scrubAgain {
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
		if _, err := c.s.complete(ctx, c.name); err != nil {
			return nil, err
		}
		from, to := wrong.span()
		found, err := c.s.entriesOn(ctx, c.name, from, to, c.read, c.nodes...)
		if err != nil {
			return nil, err
		}
		if wrong = wrong.and(c.judge(found)); len(wrong) == 0 {
			break
		}
	}
	return wrong, nil
}

// judge tells what is wrong of what the nodes' replicas have. That one has still what
// the majority has deleted isn't: it goes in time, and can't come from a damaged disk.
func (c *compared) judge(found map[string]map[uint64]replicated) wrongs {
	wrong := wrongs{}
	seen := map[uint64]bool{}
	for _, entries := range found {
		for seq := range entries {
			seen[seq] = true
		}
	}
	for seq := range seen {
		sums := map[string][]byte{}
		for node, entries := range found {
			sums[node] = entries[seq].sum
		}
		nodes, decided := verdict(sums)
		if !decided {
			wrong.add("", seq)
			continue
		}
		for _, node := range nodes {
			right := c.right(found, nodes, seq)
			if right.sum == nil || sums[node] == nil && c.expiring(right) {
				continue
			}
			wrong.add(node, seq)
		}
	}
	return wrong
}

// right is the entry as those nodes have it that aren't wrong.
func (c *compared) right(found map[string]map[uint64]replicated, wrong []string, seq uint64) replicated {
	for node, entries := range found {
		if !slices.Contains(wrong, node) {
			return entries[seq]
		}
	}
	return replicated{}
}

// expiring tells whether an entry is near its end: each node deletes it by its own
// clock.
func (c *compared) expiring(e replicated) bool {
	const share = 0.9 // of its life
	return c.expires > 0 && float64(time.Since(e.at)) > share*float64(c.expires)
}
