package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"natter/chat"
	"natter/config"
	"natter/jetstream"
)

// Joining a cluster, whichever of its nodes is first.
//
//	certificates      they tell the cluster's id and this node's name: nothing else of
//	                  the cluster is known yet, and another cluster's store or another
//	                  node's is refused before a byte crosses a route
//	knocking          the members that are there know this node's store (roll.go)
//	routes            until there is a majority
//	a leader          of JetStream's own Raft group; then its view must be current here
//	a founder         if there are no records yet: each of the members must have said
//	                  that none of them grows the cluster from a single node (found.go)
//	the record        what the cluster was made with: this node's settings must be alike
//	streams           the first start makes them, which takes three nodes
//	catching up       then it is ready

// joinLook is how often a start looks whether what it waits for has come.
const joinLook = 25 * time.Millisecond

// meetPeers waits until this node can see a majority and who leads it.
func (n *Node) meetPeers(ctx context.Context) error {
	return n.wait(ctx, func() string {
		peers := n.nats.peers()
		if lack := n.lack(peers); lack > 0 {
			have := strings.Join(append([]string{n.config.Name}, peers...), ", ")
			if by := n.member.roll.shutNow(); len(by) > 0 {
				return n.member.roll.shutHint(by)
			}
			return fmt.Sprintf("waiting for peers: have %s; need %d of %s", have, lack, strings.Join(n.member.missing(peers), ", "))
		}
		if !n.nats.led() {
			return "waiting for a JetStream leader"
		}
		return ""
	})
}

// lack is how many peers are missing to a majority.
func (n *Node) lack(peers []string) int { return (len(n.config.Cluster)+1)/2 - 1 - len(peers) }

// wait waits until missing answers nothing. It says what it waits for.
func (n *Node) wait(ctx context.Context, missing func() string) error {
	tick := time.NewTicker(joinLook)
	defer tick.Stop()
	for {
		what := missing()
		if what == "" {
			return nil
		}
		n.stage.is(what)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.failed:
			return n.failure
		}
	}
}

// doing is what the store is about, and who is missing while it is.
func (n *Node) doing(what string) {
	if n.member != nil {
		if missing := n.member.missing(n.nats.peers()); len(missing) > 0 {
			what += " (without " + strings.Join(missing, ", ") + ")"
		}
	}
	n.stage.is(what)
}

// clusterKey is the record of what the cluster was made with, in the bucket of
// nodes, as JSON.
const (
	clusterBucket = "node"
	clusterKey    = "cluster"
)

type clusterRecord struct {
	Version    int         `json:"version"`
	ClusterID  string      `json:"cluster_id"`
	Name       string      `json:"name"`
	Partitions int         `json:"partitions"`
	Format     int         `json:"format"`
	Created    chat.Millis `json:"created"`
}

// agree holds this node's settings to the cluster's record, or makes the record if
// this is the first node; then the data directory is the cluster's for good.
func (n *Node) agree(ctx context.Context, bucket func(string) chat.Records, found jetstream.Founder) error {
	mine := n.member.record(n.config, time.Now())
	record, err := n.clusterRecord(ctx, bucket(clusterBucket), found, mine)
	if err != nil {
		return fmt.Errorf("the cluster's record: %w", err)
	}
	refuse := func(field, format string, args ...any) error {
		return &config.Error{Field: field, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case record.Format != mine.Format:
		return &VersionError{fmt.Sprintf("it keeps data in format %d, and the cluster in format %d", mine.Format, record.Format)}
	case record.ClusterID != mine.ClusterID:
		return refuse("cluster_certs", "are of the cluster %s; the nodes of this one keep the records of %s", mine.ClusterID, record.ClusterID)
	case record.Name != mine.Name:
		return refuse("cluster_name", "the cluster was made as %q, which can't change; this node was started with %q", record.Name, mine.Name)
	case record.Partitions != mine.Partitions:
		return refuse("partitions", "the cluster was made with %d, which can't change; this node was started with %d", record.Partitions, mine.Partitions)
	}
	var no *rollError
	if err := n.member.roll.enroll(ctx, bucket("node")); errors.As(err, &no) {
		return &DataError{n.data.path, "isn't the cluster's: " + no.Error()}
	} else if err != nil {
		return fmt.Errorf("the cluster's roll: %w", err)
	}
	if err := n.data.join(record.Partitions); err != nil {
		return &DataError{n.data.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	return nil
}

// record is what a cluster that is made now, by this member's settings, is made with.
func (m *member) record(c *config.Config, now time.Time) clusterRecord {
	return clusterRecord{Version: 1, ClusterID: m.certs.ClusterID, Name: m.name,
		Partitions: c.Partitions, Format: dataFormat, Created: chat.MillisOf(now)}
}

// clusterRecord reads the record; mine is made it if there are no records at all, and
// this member may found the cluster. Until then it waits.
func (n *Node) clusterRecord(ctx context.Context, records chat.Records, found jetstream.Founder, mine clusterRecord) (record clusterRecord, err error) {
	first, err := json.Marshal(mine)
	if err != nil {
		return record, err
	}
	for {
		b, _, err := records.Get(ctx, clusterKey)
		if err == nil {
			return parseClusterRecord(b)
		}
		if chat.KindOf(err) != chat.KindNotFound {
			return record, err
		}
		why := found(ctx, clusterBucket, clusterKey, first)
		if why == nil {
			return mine, nil
		}
		if _, _, err := records.Get(ctx, clusterKey); err == nil { // another node was quicker
			continue
		}
		if chat.KindOf(why) == chat.KindConflict {
			why = n.mayFound(ctx, true)
		}
		n.doing(why.Error())
		select {
		case <-time.After(joinLook):
		case <-ctx.Done():
			return record, ctx.Err()
		}
	}
}

func parseClusterRecord(b []byte) (record clusterRecord, err error) {
	if err = json.Unmarshal(b, &record); err == nil && (record.Version != 1 || record.ClusterID == "" || record.Partitions < 1) {
		err = errors.New("it isn't of version 1")
	}
	if err != nil {
		return record, fmt.Errorf("%.200q can't be read: %w", b, err)
	}
	return record, nil
}

// The pauses between two tries to open what a cluster without a majority, or in
// the middle of an election, doesn't let open.
const (
	firstPause = 500 * time.Millisecond
	mostPause  = 10 * time.Second
)

// openPatiently is open, which in a cluster is tried until ctx ends: whatever the
// others are going through, this node is there when they are through with it.
// What a person must mend is returned at once.
func (n *Node) openPatiently(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := n.open(ctx)
		var setting *config.Error
		var data *DataError
		var version *VersionError
		if err == nil || n.member == nil || ctx.Err() != nil || errors.As(err, &setting) || errors.As(err, &data) || errors.As(err, &version) ||
			errors.Is(err, ErrNameTaken) || errors.Is(err, errClock) {
			return cmp.Or(ctx.Err(), err)
		}
		n.closeParts()
		n.stage.is("trying again: " + err.Error())
		select {
		case <-time.After(pause + jitter(pause)):
		case <-ctx.Done():
			return ctx.Err()
		case <-n.failed:
			return n.failure
		}
	}
}

// jitter is up to half of d, so that three nodes don't try in step.
func jitter(d time.Duration) time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:]) // it never fails
	return d / 2 * time.Duration(b[0]) / 255
}

// peers are the other nodes that this one has a route to, by name, sorted.
func (n *natsServer) peers() []string {
	routes, err := n.server.Routez(nil)
	if err != nil {
		return nil
	}
	var names []string
	for _, r := range routes.Routes {
		names = append(names, r.RemoteName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// metaLeader is the node that leads JetStream's own group; empty: none now, or alone.
func (n *natsServer) metaLeader() string {
	info, err := n.server.Jsz(nil)
	if err != nil || info.Meta == nil {
		return ""
	}
	return info.Meta.Leader
}

// led tells whether JetStream has a leader, and this node knows all that it knows.
func (n *natsServer) led() bool { return n.metaLeader() != "" && n.server.JetStreamIsCurrent() }

// leads tells whether this node leads a stream.
func (n *natsServer) leads(stream string) bool {
	return n.server.JetStreamIsStreamLeader(account, stream)
}
