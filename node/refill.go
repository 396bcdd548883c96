package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"natter/chat"
	"natter/jetstream"
)

// A replica that differs from the others is filled by them.
//
//	the node that compares                    the node whose replica differs
//	takes the lease "refill"
//	refill.<node>: these streams ───────────▶ are the others' copies current? is nobody away?
//	           ◀──────────────────── taken    leaves the mark "refill" in its data directory
//	                                          hands over, stops, becomes its next process:
//	waits for the node's next run             sets the streams' files aside, starts NATS,
//	gives the lease back, compares again      whose leaders fill them
//	                                          deletes what it set aside when they are equal
const (
	subjectRefill = "refill."
	leaseRefill   = "refill"
	refillFree    = "." // the lease's value while nobody holds it; no node is called so
	// refillWithin bounds how long a node's next run is waited for.
	refillWithin = 90 * time.Second
	// refillLease is when the lease ends of who has died meanwhile.
	refillLease = 2 * time.Minute
	refillLook  = 250 * time.Millisecond
	// asideLook is how often is looked whether what was set aside may go.
	asideLook = 5 * time.Second
	// maxRefill bounds a request: a cluster's streams are fewer.
	maxRefill = 1024
)

// ErrRefill ends Wait when the node must stop in order and start anew, for a damaged
// replica of its to be filled by the others.
var ErrRefill = errors.New("a replica here differs from the others; it is made anew")

// refillOrder asks a node to have its replicas of streams filled, and is its mark in
// the data directory until it does.
type refillOrder struct {
	Streams []string `json:"streams"`
}

// refillReply is its answer.
type refillReply struct {
	Refused string `json:"refused,omitempty"` // why not
}

func parseRefill(b []byte) (*refillOrder, error) {
	var o refillOrder
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if len(o.Streams) == 0 || len(o.Streams) > maxRefill {
		return nil, fmt.Errorf("names %d streams, not 1 to %d", len(o.Streams), maxRefill)
	}
	for _, name := range o.Streams {
		if !jetstream.ValidStream(name) {
			return nil, fmt.Errorf("names %.40q, which is no stream", name)
		}
	}
	return &o, nil
}

// refill is jetstream.ScrubOptions.Refill.
func (n *Node) refill(ctx context.Context, node string, streams []string) error {
	if !n.started.Load() {
		return errors.New("this node is starting")
	}
	ctx, cancel := context.WithTimeout(ctx, refillWithin)
	defer cancel()
	giveBack, err := n.takeRefillLease(ctx, node)
	if err != nil {
		return err
	}
	defer giveBack()
	before := n.runOf(node)
	if err := n.orderRefill(ctx, node, streams); err != nil || node == n.config.Name {
		return err
	}
	for {
		if now := n.runOf(node); now != "" && now != before {
			return nil
		}
		select {
		case <-time.After(refillLook):
		case <-ctx.Done():
			return fmt.Errorf("%s isn't back: %w", node, context.Cause(ctx))
		}
	}
}

// takeRefillLease takes the lease to have a node's replicas made anew.
func (n *Node) takeRefillLease(ctx context.Context, node string) (giveBack func(), err error) {
	leases := n.store.Leases()
	held, revision, err := leases.Get(ctx, leaseRefill)
	if err != nil && chat.KindOf(err) != chat.KindNotFound {
		return nil, fmt.Errorf("read the lease: %w", err)
	}
	if err == nil && string(held) != refillFree {
		return nil, fmt.Errorf("the replicas on %s are being made anew", held)
	}
	revision, err = leases.Put(ctx, leaseRefill, []byte(node), refillLease, revision)
	if err != nil {
		return nil, fmt.Errorf("take the lease: %w", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceWithin)
		defer cancel()
		// Not deleted: a deletion is itself deleted in time, which a store that
		// crashes forgets.
		if _, err := leases.Put(ctx, leaseRefill, []byte(refillFree), 0, revision); err != nil {
			n.log.Debug("the lease for making replicas anew isn't given back; it runs out", "err", err)
		}
	}, nil
}

// runOf is the run of a node that is ready, empty if it isn't.
func (n *Node) runOf(node string) string {
	for _, p := range n.peers.all() {
		if p.Name == node && p.lives && p.Ready && !p.Draining {
			return p.Run
		}
	}
	return ""
}

func (n *Node) orderRefill(ctx context.Context, node string, streams []string) error {
	nc, err := n.nats.connect("refill-order")
	if err != nil {
		return err
	}
	defer nc.Close()
	b, err := json.Marshal(refillOrder{streams})
	if err != nil {
		return err
	}
	msg, err := nc.RequestWithContext(ctx, subjectRefill+node, b)
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	var reply refillReply
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	if reply.Refused != "" {
		return fmt.Errorf("%s refuses: %s", node, reply.Refused)
	}
	return nil
}

// takeRefills answers who asks this node to have its replicas made anew, until it
// stops.
func (n *Node) takeRefills() error {
	nc, err := n.nats.connect("refill")
	if err != nil {
		return err
	}
	_, err = nc.Subscribe(subjectRefill+n.config.Name, func(msg *nats.Msg) {
		err := n.takeRefill(msg.Data)
		var reply refillReply
		if err != nil {
			reply.Refused = err.Error()
		}
		b, _ := json.Marshal(reply) // a string
		if err := errors.Join(msg.Respond(b), nc.FlushTimeout(announceWithin)); err != nil {
			n.log.Warn("who asked for a replica to be made anew gets no answer", "err", err)
		}
		if err == nil {
			n.fail(ErrRefill)
		}
	})
	if err != nil {
		nc.Close()
		return err
	}
	n.serving.Go(func() {
		<-n.quit
		nc.Close()
	})
	return nil
}

// takeRefill leaves the mark, if this node can be away.
func (n *Node) takeRefill(b []byte) error {
	order, err := parseRefill(b)
	if err != nil {
		return err
	}
	if err := n.fit(); err != nil {
		return err
	}
	for _, p := range n.peers.all() {
		if p.Name != n.config.Name && (!p.lives || !p.Ready || p.Draining) {
			return fmt.Errorf("%s isn't ready", p.Name)
		}
	}
	for _, l := range n.store.Leaders(context.Background()) {
		if !currentWithout(&l, n.config.Name) {
			return fmt.Errorf("the others' copies of %s aren't current", l.Stream)
		}
	}
	return n.data.markRefill(order)
}

// currentWithout tells whether as many copies of a stream are there and current as can
// be without a node.
func currentWithout(l *jetstream.Leadership, node string) bool {
	current := 0
	if l.Leader != "" && l.Leader != node {
		current++
	}
	for _, r := range l.Replicas {
		if r.Node != node && r.Current && !r.Offline {
			current++
		}
	}
	return l.Leader != "" && current >= replicas-1
}

// setAside sets the files of those streams aside that are to be made anew, before NATS
// starts.
func (n *Node) setAside() error {
	order, err := n.data.toRefill()
	if err != nil {
		// Whoever asked for it will ask again.
		n.log.Error("the mark for what is to be made anew can't be read", "err", err)
		return n.data.refillDone()
	}
	if order == nil {
		return nil
	}
	return n.makeAnew(order.Streams)
}

// makeAnew sets streams' files aside.
func (n *Node) makeAnew(streams []string) error {
	n.log.Warn("the replicas that differ are set aside; the other nodes fill them", "streams", streams, "aside", n.data.file(asideDir))
	if err := n.data.setAside(streams); err != nil {
		return &DataError{n.data.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	n.compareFirst = append(n.compareFirst, streams...)
	return nil
}

// watchRefilled has what was set aside or is in doubt compared next, and deletes what was
// set aside when it is equal.
// It ends with the node, or when nothing is left.
func (n *Node) watchRefilled() {
	ctx, cancel := n.whileServing()
	defer cancel()
	told := len(n.compareFirst) == 0
	every(ctx, asideLook, func() {
		if !told {
			if err := n.store.ScrubFirst(ctx, n.compareFirst...); err != nil {
				n.log.Debug("what is in doubt isn't compared next", "err", err)
				return
			}
			told = true
		}
		left, err := n.clearAside(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Debug("what was set aside stays for now", "err", err)
		}
		if err == nil && left == 0 {
			cancel()
		}
	})
}

// clearAside deletes what was set aside of streams that are equal everywhere, and tells
// how many are left.
func (n *Node) clearAside(ctx context.Context) (left int, err error) {
	streams, err := n.data.aside()
	if err != nil || len(streams) == 0 {
		return 0, err
	}
	known, err := n.store.Scrubbed(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range streams {
		if !known.Well(name, n.config.Name) {
			left++
			continue
		}
		if err := n.data.deleteAside(name); err != nil {
			return 0, err
		}
		n.log.Info("a replica is equal to the others again; what was set aside is deleted", "stream", name)
	}
	return left, nil
}
