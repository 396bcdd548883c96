package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
)

// A member whose disk has no room mustn't lead: what it leads waits for its disk, and
// the others have room. Nor may one whose clock is wrong: what it writes would be dated by
// it, and end by it. It goes on following as long as its disk takes what comes, and what
// is handed to it meanwhile it hands on.
const (
	yieldEach   = time.Second
	yieldWithin = 5 * time.Second
)

// yield hands over what this node leads, again and again, until ctx ends.
func (n *Node) yield(ctx context.Context) {
	every(ctx, yieldEach, func() {
		n.hold(func(*holds) {}) // whether others take clients may have changed
		n.handOver(ctx)
	})
}

// handOver hands over what this node leads now, if there is another.
func (n *Node) handOver(ctx context.Context) {
	if len(n.others()) == 0 {
		return
	}
	within, cancel := context.WithTimeout(ctx, yieldWithin)
	defer cancel()
	if err := errors.Join(n.store.Yield(within), n.nats.yield(within)); err != nil && ctx.Err() == nil {
		n.log.Debug("not everything is handed over", "err", err)
	}
}

// heirs are the other nodes that may lead; none before this one's start is through.
func (n *Node) heirs() (names []string) {
	if !n.started.Load() {
		return nil
	}
	for _, p := range n.peers.all() {
		if p.lives && p.Ready && !p.Draining && p.Name != n.config.Name {
			names = append(names, p.Name)
		}
	}
	return names
}

// serveYield answers POST /yield: this node hands over what it leads now, once. It may
// come to lead again. 409 where there is nobody to hand over to.
func (n *Node) serveYield(w http.ResponseWriter, r *http.Request) {
	if n.member == nil || !n.started.Load() || len(n.others()) == 0 {
		http.Error(w, "no other node is there to lead", http.StatusConflict)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), yieldWithin)
	defer cancel()
	if err := errors.Join(n.store.StepDown(ctx), n.nats.yield(ctx)); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// yield hands over the lead of JetStream's own Raft group, if this node has it.
func (n *natsServer) yield(ctx context.Context) error {
	if !n.server.JetStreamIsLeader() {
		return nil
	}
	nc, err := n.connectSystem("yield")
	if err != nil {
		return err
	}
	defer nc.Close()
	msg, err := nc.RequestWithContext(ctx, "$JS.API.META.LEADER.STEPDOWN", nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil // it has just lost it
	}
	if err != nil {
		return fmt.Errorf("hand over JetStream's lead: %w", err)
	}
	var reply struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return fmt.Errorf("hand over JetStream's lead: %w", err)
	}
	if reply.Error != nil {
		return fmt.Errorf("hand over JetStream's lead: %s", reply.Error.Description)
	}
	return nil
}
