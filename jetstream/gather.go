package jetstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A partition's projector needs the leaders of HISTORY-p and MARKS-p to go on. Elected
// one by one they end up on any node, and each node's death would stop every partition.
// So the node that leads LOG-p gathers the others: who dies takes with him what he
// led, and no more. SYNC-p comes along, so that a node without logs leads little.

const (
	// gatherEach is how often a node looks for what else it should lead, and gatherAfter
	// for how many turns it must have led the log by then: right after a fault leads move
	// by themselves.
	gatherEach  = 500 * time.Millisecond
	gatherAfter = 2
	// spreadTurns is after how many turns a node may give a log away, and how often one,
	// spreadWithin how long that may take.
	spreadTurns = 20
	// spreadSteady is for how many turns the nodes that may lead must have been the same
	// ones by then: who has just come back, or was just lost, is seldom the last to go.
	spreadSteady = 40
	spreadWithin = 2 * time.Second
	// nearlyLooks are how often in a row, nearlyEach apart, a replica must be nearly there that
	// isn't quite: under load what it lacks is on its way to it. One that is being filled
	// would stand for election without what it lacks, and in vain: an election more.
	nearlyLooks = 4
	nearlyEach  = 100 * time.Millisecond
)

// gather has this node lead what belongs to the logs it leads, a partition a turn, and
// give logs away when it has too many, until ctx ends. Who leads a stream is asked to hand
// it over, if this node has nearly all of it.
func (s *Store) gather(ctx context.Context) {
	turns := make([]int, s.o.Partitions)
	var among steady
	for n := 1; wait(ctx, gatherEach) == nil; n++ {
		if s.o.Heirs != nil {
			among.saw(s.o.Heirs())
		}
		asked := false
		for p := range turns {
			if !s.leads(numbered(streamLog, p)) || s.leaving.Load() || s.held.Load() != nil {
				turns[p] = 0
				continue
			}
			if turns[p]++; turns[p] > gatherAfter && !asked {
				asked = s.fetch(ctx, p)
			}
		}
		if n%spreadTurns == 0 && !asked && among.turns >= spreadSteady {
			s.spread(ctx, turns)
		}
	}
}

// steady counts for how many turns the same nodes may lead. It belongs to one goroutine.
type steady struct {
	nodes []string
	turns int
}

func (k *steady) saw(nodes []string) {
	nodes = slices.Sorted(slices.Values(nodes))
	if k.turns++; !slices.Equal(nodes, k.nodes) {
		k.nodes, k.turns = nodes, 0
	}
}

// spread hands over one log, if this node leads at least two more than another that may
// lead: after faults all may have ended up on one. What belongs to it is gathered then.
// That can wait until every node is there and has everything: right after a fault it would make
// those wait whom the fault didn't.
func (s *Store) spread(ctx context.Context, turns []int) {
	mine := slices.IndexFunc(turns, func(n int) bool { return n > spreadTurns })
	if mine < 0 || s.o.Heirs == nil {
		return
	}
	logs := map[string]int{}
	for p := range turns {
		logs[s.partitions.of(p).node]++
	}
	for _, heir := range s.o.Heirs() {
		stream := numbered(streamLog, mine)
		if logs[s.o.Node]-logs[heir] < 2 || !s.calm(ctx, stream) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, spreadWithin)
		defer cancel()
		if err := s.stepDown(ctx, stream, heir); err != nil {
			s.log.Debug("a log is not handed over to who leads fewer", "stream", stream, "error", err)
		}
		return
	}
}

// fetch asks for the partition's streams that other nodes lead; false if there are none.
func (s *Store) fetch(ctx context.Context, p int) bool {
	var asking sync.WaitGroup
	some := false
	for _, prefix := range []string{streamHistory, streamMarks, streamSync} {
		stream := numbered(prefix, p)
		if s.leads(stream) {
			continue
		}
		some = true
		asking.Go(func() {
			if !s.whole(ctx, stream, s.o.Node) {
				return
			}
			if err := s.askToStepDown(ctx, stream, s.o.Node); err != nil {
				s.log.Debug("a stream is not handed over to who leads its log", "stream", stream, "error", err)
			}
		})
	}
	asking.Wait()
	return some
}

// calm tells whether every copy of a stream is all there, on a node that may lead.
func (s *Store) calm(ctx context.Context, stream string) bool {
	heirs := s.o.Heirs()
	replicas := s.replicas(ctx, stream)
	return len(replicas) > 0 && !slices.ContainsFunc(replicas, func(r *jetstream.PeerInfo) bool {
		return !r.Current || r.Offline || !slices.Contains(heirs, r.Name)
	})
}

// whole tells whether a node's copy of a stream is all there, as far as its leader knows, or
// lacks only what is on its way.
func (s *Store) whole(ctx context.Context, stream, node string) bool {
	for range nearlyLooks {
		replicas := s.replicas(ctx, stream)
		i := slices.IndexFunc(replicas, func(r *jetstream.PeerInfo) bool { return r.Name == node && current(r) })
		if i < 0 {
			return false
		}
		if replicas[i].Current {
			return true
		}
		if wait(ctx, nearlyEach) != nil {
			return false
		}
	}
	return true
}

// replicas are a stream's copies beside its leader's, as that knows them; none where it
// doesn't answer soon.
func (s *Store) replicas(ctx context.Context, stream string) []*jetstream.PeerInfo {
	ctx, cancel := context.WithTimeout(ctx, gatherEach)
	defer cancel()
	asked, err := s.js.Stream(ctx, stream)
	if err != nil || asked.CachedInfo().Cluster == nil {
		return nil
	}
	return asked.CachedInfo().Cluster.Replicas
}
