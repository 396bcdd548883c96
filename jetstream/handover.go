package jetstream

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

	"github.com/nats-io/nats.go/jetstream"
)

// Leadership is who leads a stream, for the operator's status.
type Leadership struct {
	Stream    string // such as LOG-0
	Group     string // of Raft; empty where the node is alone
	Leader    string // the node; empty: none now
	Replicas  []Replica
	Projector string // of a LOG: the node whose projector was heard of last
	Lag       uint64 // of a LOG: batches that are committed and not projected
}

// Replica is a copy of a stream on another node than the leader.
type Replica struct {
	Node    string
	Current bool   // it has what the leader has, or nearly
	Offline bool   // it isn't there
	Lag     uint64 // operations it is behind
}

// nearly is how many operations a replica may be behind and count as current: the server
// calls none so that isn't where the leader is at this very moment, which under load the
// slowest one never is.
const nearly = 64

func current(r *jetstream.PeerInfo) bool {
	return r.Current || !r.Offline && r.Lag <= nearly && 0 < r.Active && r.Active < heartbeatLost
}

// heartbeatLost is when a replica that doesn't answer its leader isn't current any more.
const heartbeatLost = 2 * time.Second

// streams are the names of all streams.
func (s *Store) streams() []string {
	var names []string
	for p := range s.o.Partitions {
		for _, prefix := range []string{streamLog, streamHistory, streamSync, streamMarks} {
			names = append(names, numbered(prefix, p))
		}
	}
	return append(names, streamCheckpoint, streamCursors, streamRecords)
}

// Streams are the names of all streams that are on disk.
func (s *Store) Streams() []string { return append(s.streams(), streamSeen) }

// Leaders tells for each stream who leads it and how far its replicas are, in the
// order of their names. A stream whose leader doesn't answer until ctx ends, or for
// 2 s, has none.
func (s *Store) Leaders(ctx context.Context) []Leadership {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	names := s.streams()
	found := make([]Leadership, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		asking.Go(func() {
			found[i] = Leadership{Stream: name}
			stream, err := s.js.Stream(ctx, name)
			if err != nil {
				return
			}
			cluster := stream.CachedInfo().Cluster
			if cluster == nil { // alone
				found[i].Leader = s.o.Node
				return
			}
			found[i].Leader, found[i].Group = cluster.Leader, cluster.RaftGroup
			for _, r := range cluster.Replicas {
				found[i].Replicas = append(found[i].Replicas, Replica{r.Name, current(r), r.Offline, r.Lag})
			}
		})
	}
	asking.Wait()
	for p := range s.o.Partitions {
		i := slices.Index(names, numbered(streamLog, p))
		if s.clustered() {
			known := s.partitions.of(p)
			found[i].Projector, found[i].Lag = known.node, known.lag()
		} else {
			found[i].Projector, found[i].Lag = s.o.Node, s.projectors[p].lag()
		}
	}
	slices.SortFunc(found, func(a, b Leadership) int { return cmp.Compare(a.Stream, b.Stream) })
	return found
}

// Leading are the streams this node leads in a cluster; none where it is alone. It is a
// look at memory, and works until the server has stopped, after Close too.
func (s *Store) Leading() []string {
	var names []string
	if s.clustered() {
		for _, name := range s.streams() {
			if s.leads(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// StepDown hands over every stream this node leads, all at once but the logs, which are
// last, and returns when it leads none or ctx ends. Projectors keep a checkpoint
// before, so that the next begins right behind them; each is handed over in some tens
// of milliseconds. What belongs to one partition goes to one node. Nothing where the
// node is alone. Other nodes may hand streams to this one afterwards.
func (s *Store) StepDown(ctx context.Context) error {
	if !s.clustered() {
		return nil
	}
	s.leaving.Store(true)
	defer s.leaving.Store(false)
	heirs := s.heirs(ctx)
	for _, logs := range []bool{false, true} {
		var handing sync.WaitGroup
		names := s.streams()
		failed := make([]error, len(names))
		for i, name := range names {
			if isLog(name) != logs || !s.leads(name) {
				continue
			}
			handing.Go(func() {
				if err := s.stepDown(ctx, name, heirs[partitionNamed(name)]); err != nil {
					failed[i] = fmt.Errorf("hand over %s: %w", name, err)
				}
			})
		}
		handing.Wait()
		if err := errors.Join(failed...); err != nil {
			return err
		}
	}
	return nil
}

// heirs are the nodes that are to lead what this one leads, by partition: of those whose
// replica of the log is there and has everything, each in its turn. A partition whose
// replicas aren't known soon has none.
func (s *Store) heirs(ctx context.Context) map[int]string {
	ctx, cancel := context.WithTimeout(ctx, againSoon)
	defer cancel()
	heirs := map[int]string{}
	turn := 0
	for _, l := range s.Leaders(ctx) {
		if !isLog(l.Stream) || l.Leader != s.o.Node {
			continue
		}
		var fit []string
		for _, r := range l.Replicas {
			if r.Current && !r.Offline && (s.o.Heirs == nil || slices.Contains(s.o.Heirs(), r.Node)) {
				fit = append(fit, r.Node)
			}
		}
		if len(fit) > 0 {
			slices.Sort(fit)
			heirs[partitionNamed(l.Stream)] = fit[turn%len(fit)]
			turn++
		}
	}
	return heirs
}

// Yield asks once for the handover of every stream this node leads, all at the same
// time, for a node that mustn't lead for now. Its error is of those that weren't handed
// over; call it again while others may hand streams to this one. Nothing where the node
// is alone.
func (s *Store) Yield(ctx context.Context) error {
	if !s.clustered() {
		return nil
	}
	names := s.streams()
	failed := make([]error, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		if !s.leads(name) {
			continue
		}
		asking.Go(func() {
			if err := s.askToStepDown(ctx, name, ""); err != nil {
				failed[i] = fmt.Errorf("hand over %s: %w", name, err)
			}
		})
	}
	asking.Wait()
	return errors.Join(failed...)
}

func isLog(stream string) bool { return strings.HasPrefix(stream, streamLog) }

// partitionNamed is the partition in a stream's name, -1 if it is of all.
func partitionNamed(stream string) int {
	_, number, _ := strings.Cut(stream, "-")
	p, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return p
}

// stepDown hands over one stream, to a node if one is named and it can lead.
func (s *Store) stepDown(ctx context.Context, stream, to string) error {
	for _, p := range s.projectors {
		if numbered(streamLog, p.partition) == stream {
			settling, cancel := context.WithTimeout(ctx, settleWithin)
			_ = p.settle(settling) // who leads next goes further back
			cancel()
		}
	}
	var failed error
	for s.leads(stream) {
		if err := s.askToStepDown(ctx, stream, to); err != nil && ctx.Err() == nil {
			failed, to = err, "" // anybody, then
		}
		if ctx.Err() != nil {
			return errors.Join(failed, context.Cause(ctx))
		}
		for range 10 { // what was answered shows in a moment
			if !s.leads(stream) || wait(ctx, untilEvery) != nil {
				break
			}
		}
	}
	return nil
}

// askToStepDown asks whoever leads a stream to hand it over, to a node if one is named.
func (s *Store) askToStepDown(ctx context.Context, stream, to string) error {
	var request []byte
	if to != "" {
		var err error
		if request, err = json.Marshal(map[string]any{"placement": map[string]string{"preferred": to}}); err != nil {
			return err
		}
	}
	// Who has just lost the lead may not answer any more.
	ctx, cancel := context.WithTimeout(ctx, againSoon)
	defer cancel()
	msg, err := s.control.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, request)
	if err != nil {
		return err
	}
	var reply struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return reply.Error
	}
	return nil
}

// settleWithin bounds how long a projector that is handed over may take for its last
// checkpoint.
const settleWithin = time.Second

// settle has the finisher keep a checkpoint of what is finished.
func (p *projector) settle(ctx context.Context) error {
	kept := make(chan error, 1)
	select {
	case p.settling <- kept:
	case <-p.stopped:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-kept:
		return err
	case <-p.stopped:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave is Close in a cluster.
func (s *Store) leave(ctx context.Context) error {
	poll := time.NewTicker(untilEvery)
	defer poll.Stop()
	for waiting := true; waiting; {
		select {
		case <-poll.C:
			waiting = s.answers.len() > 0
		case <-ctx.Done():
			waiting = false
		}
	}
	err := s.StepDown(ctx)
	if err != nil { // the others elect
		s.log.Warn("not everything was handed over", "error", err)
	}
	s.cursors.finish(ctx)
	s.abandon()
	return nil
}
