package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"natter/chat"
	"natter/jetstream"
)

// Status is the cluster as one of its nodes sees it now, for the operator. Fields
// may be added.
type Status struct {
	Node       string            `json:"node"`    // who tells this
	Members    int               `json:"members"` // of the cluster, this one too; 1: a node alone
	Nodes      []NodeStatus      `json:"nodes"`   // by name; a start that isn't through knows only its own
	Partitions []PartitionStatus `json:"partitions"`
	// MetaLeader is the node that leads JetStream's own group, which places the streams;
	// empty: none now, or a node alone, which has no such group.
	MetaLeader string `json:"meta_leader,omitempty"`
	// NotConnected is how many members no route leads to, and Missing are the
	// addresses they may be at: where members share a host it isn't known whose
	// address is whose, and more are listed.
	NotConnected int          `json:"not_connected"`
	Missing      []string     `json:"missing"`
	Scrub        *ScrubStatus `json:"scrub,omitempty"` // nil: a node alone, or not known
	// Problems are what isn't well, a sentence each; none: all is.
	Problems []string `json:"problems"`
}

// ScrubStatus is how far the comparison of the nodes' copies is.
type ScrubStatus struct {
	Streams  int                `json:"streams"`
	Compared int                `json:"compared"` // of them, found equal or not since they were last in doubt
	Oldest   chat.Millis        `json:"oldest"`   // when the one was compared that was longest ago; 0: not all were
	Damaged  []jetstream.Damage `json:"damaged"`
}

// NodeStatus is a node as its lease tells.
type NodeStatus struct {
	Name        string    `json:"name"`
	Region      string    `json:"region,omitempty"`
	URL         string    `json:"url"`
	Version     string    `json:"version"`
	Format      int       `json:"format"` // of its data directory
	State       string    `json:"state"`  // ready, draining, "not ready", or gone: its lease has run out
	Started     time.Time `json:"started,omitzero"`
	Load        float64   `json:"load"`                  // share of Capacity that is taken
	Capacity    int       `json:"capacity"`              // connections
	Connections *int      `json:"connections,omitempty"` // that are open; nil: not known
	FreeBytes   *int64    `json:"free_bytes,omitempty"`  // on the disk of its data; nil: not known
	// ClockAheadMS is how far its clock was ahead of the clock of the node that tells, in
	// milliseconds, 30 s ago at most; nil: not known, as of the node that tells.
	ClockAheadMS *float64 `json:"clock_ahead_ms,omitempty"`
}

// The states of a node.
const (
	stateReady    = "ready"
	stateNotReady = "not ready"
	stateDraining = "draining"
	stateGone     = "gone"
)

// PartitionStatus is who works on a partition.
type PartitionStatus struct {
	Partition int    `json:"partition"`
	Leader    string `json:"leader,omitempty"`    // the node that leads its log; empty: none now
	Projector string `json:"projector,omitempty"` // the node whose projector was heard of last
	History   string `json:"history,omitempty"`   // the node that leads its history, and so on; empty: none now
	Marks     string `json:"marks,omitempty"`
	Queues    string `json:"queues,omitempty"`
	Lag       uint64 `json:"lag_batches"` // batches that are committed and not projected
}

// status asks the leaders of the streams, for 2 s at most.
func (n *Node) status(ctx context.Context) *Status {
	self := n.leased()
	self.Name = n.config.Name
	s := &Status{Node: self.Name, Members: 1, Nodes: []NodeStatus{}, Partitions: []PartitionStatus{}, Missing: []string{}, Problems: []string{}}
	if n.member != nil {
		s.Members = len(n.member.others) + 1
	}
	why := n.ready()
	self.Ready = why == nil
	if why != nil {
		s.problem("%s: %v", self.Name, why)
	}
	s.add(peer{leaseRecord: self, lives: true})
	if n.started.Load() {
		s.addPeers(n.peers.all())
		if n.member != nil {
			connected := n.nats.peers()
			s.Missing = append(s.Missing, n.member.missing(connected)...)
			s.notConnected(len(n.member.others) - len(connected))
			s.addRoll(n.member.roll)
			s.addClocks(n.clocks.known())
			if s.MetaLeader = n.nats.metaLeader(); s.MetaLeader == "" {
				s.problem("JetStream's own group has no leader: no stream can be moved or made")
			}
		}
		s.addLeaders(n.store.Leaders(ctx))
		if n.member != nil && n.config.ScrubInterval > 0 {
			s.addScrub(n.store.ScrubbedStreams(), n.scrubbed(ctx))
		}
	}
	slices.SortFunc(s.Nodes, func(a, b NodeStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

func (s *Status) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

func (s *Status) add(p peer) {
	state := stateNotReady
	switch {
	case !p.lives:
		state = stateGone
	case p.Draining:
		state = stateDraining
	case p.Ready:
		state = stateReady
	}
	one := NodeStatus{
		Name: p.Name, Region: p.Region, URL: p.URL, Version: p.Natter, Format: p.Format, State: state,
		Load: p.Load, Capacity: p.Capacity, Connections: p.Connections, FreeBytes: p.Free,
	}
	if at := p.Started.Time(); p.Started > 0 && at.Year() <= 9999 { // what JSON can say
		one.Started = at
	}
	s.Nodes = append(s.Nodes, one)
}

// addClocks adds how far the nodes' clocks are ahead.
func (s *Status) addClocks(clocks map[string]offset) {
	for i := range s.Nodes {
		one := &s.Nodes[i]
		clock, known := clocks[one.Name]
		if !known || one.State == stateGone {
			continue
		}
		ms := float64(clock.ahead.Microseconds()) / 1000
		one.ClockAheadMS = &ms
		if beyond(clock.ahead, clock.within) {
			s.problem("%s: its clock differs from %s's by %+d ms; set the clocks right (NTP)", one.Name, s.Node, clock.ahead.Milliseconds())
		}
	}
}

// addPeers adds the nodes that aren't the one that tells.
func (s *Status) addPeers(all []peer) {
	for _, p := range all {
		if p.Name == s.Node {
			continue
		}
		s.add(p)
		switch state := s.Nodes[len(s.Nodes)-1].State; state {
		case stateReady:
		case stateGone:
			s.problem("%s: its lease has run out: it is down or cut off", p.Name)
		default:
			s.problem("%s: it is %s", p.Name, state)
		}
	}
}

// addRoll adds whose store isn't the roll's.
func (s *Status) addRoll(own *roll) {
	for _, name := range own.strangers() {
		s.problem("%s: it came with a store that isn't its own by the roll, and was turned away: if its data is lost, `natter cluster replace %s` on another node takes the new one", name, name)
	}
	record := own.current()
	for _, name := range slices.Sorted(maps.Keys(record.Members)) {
		if record.Members[name].Next != "" {
			s.problem("%s: its replacement was begun and not ended: `natter cluster replace %s` goes on with it", name, name)
		}
	}
}

func (s *Status) notConnected(lack int) {
	if s.NotConnected = max(lack, 0); lack > 0 {
		s.problem("%d of %d members not connected, of %s", lack, s.Members, strings.Join(s.Missing, ", "))
	}
}

// addLeaders adds the partitions, and what isn't well with any stream.
func (s *Status) addLeaders(all []jetstream.Leadership) {
	behind := map[string][]string{} // node → streams
	leaders := map[string]string{}
	var headless []string
	for _, l := range all {
		if l.Leader == "" {
			headless = append(headless, l.Stream)
		}
		for _, r := range l.Replicas {
			if r.Offline || !r.Current {
				behind[r.Node] = append(behind[r.Node], l.Stream)
			}
		}
		leaders[l.Stream] = l.Leader
	}
	for _, l := range all {
		number, isLog := strings.CutPrefix(l.Stream, "LOG-")
		if p, err := strconv.Atoi(number); isLog && err == nil {
			s.Partitions = append(s.Partitions, PartitionStatus{Partition: p, Leader: l.Leader, Projector: l.Projector, Lag: l.Lag,
				History: leaders["HISTORY-"+number], Marks: leaders["MARKS-"+number], Queues: leaders["SYNC-"+number]})
		}
	}
	slices.SortFunc(s.Partitions, func(a, b PartitionStatus) int { return cmp.Compare(a.Partition, b.Partition) })
	if len(headless) > 0 {
		s.problem("no leader answers for %s", some(headless))
	}
	for _, node := range slices.Sorted(maps.Keys(behind)) {
		s.problem("%s: its copy is missing or behind, of %s", node, some(behind[node]))
	}
}

// scrubbed is what is known of the nodes' copies, nil if that can't be read in a second.
func (n *Node) scrubbed(ctx context.Context) *jetstream.Scrubbed {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	known, err := n.store.Scrubbed(ctx)
	if err != nil {
		return nil
	}
	return known
}

// addScrub adds what the comparison of the nodes' copies found.
func (s *Status) addScrub(streams []string, known *jetstream.Scrubbed) {
	if known == nil {
		return
	}
	s.Scrub = &ScrubStatus{Streams: len(streams), Oldest: known.Oldest(streams), Damaged: []jetstream.Damage{}}
	for _, name := range streams {
		if known.Compared[name] != 0 {
			s.Scrub.Compared++
		}
	}
	for _, d := range known.Damaged {
		s.Scrub.Damaged = append(s.Scrub.Damaged, d)
		s.problem("%s", d)
	}
}

// some names streams, the first few if there are many.
func some(streams []string) string {
	const most = 4
	if len(streams) <= most {
		return strings.Join(streams, ", ")
	}
	return fmt.Sprintf("%s and %d more streams", strings.Join(streams[:most], ", "), len(streams)-most)
}

// serveStatus answers GET /cluster.
func (n *Node) serveStatus(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(n.status(r.Context())) // whoever has left needs no answer
}

// leased is what this node's lease says: describe, and what costs a look at the disk.
func (n *Node) leased() leaseRecord {
	l := n.describe()
	if free, err := freeBytes(n.data.path); err == nil {
		l.Free = &free
	}
	return l
}
