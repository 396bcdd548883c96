package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// A member whose disk has no room mustn't lead: what it leads waits for its disk, and
// the others have room. It goes on following as long as its disk takes what comes, and
// what is handed to it meanwhile it hands on.
const (
	yieldEach   = time.Second
	yieldWithin = 5 * time.Second
)

// yield hands over what this node leads, again and again, until ctx ends.
func (n *Node) yield(ctx context.Context) {
	every(ctx, yieldEach, func() {
		n.hold(func(*holds) {}) // whether others take clients may have changed
		if len(n.others()) == 0 {
			return
		}
		within, cancel := context.WithTimeout(ctx, yieldWithin)
		defer cancel()
		if err := errors.Join(n.store.Yield(within), n.nats.yield(within)); err != nil && ctx.Err() == nil {
			n.log.Debug("not everything is handed over", "err", err)
		}
	})
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
