package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
)

// How a member gets into the roll, and asks to be let in before it starts NATS.

// begin writes the roll of a cluster that is being made: all of its members, so that
// there never is one whose store counts and isn't known. Until each of them was heard of
// it is KindUnavailable.
func (r *roll) begin(ctx context.Context) error {
	return r.change(ctx, func(record rollRecord) (rollRecord, error) {
		r.mu.Lock()
		heard := maps.Clone(r.heard)
		r.mu.Unlock()
		heard[r.name] = r.store
		if len(heard) < r.size {
			return record, chat.Unavailable(fmt.Sprintf("%d of the %d members were heard of since this one started: %s",
				len(heard), r.size, strings.Join(slices.Sorted(maps.Keys(heard)), ", ")), time.Second)
		}
		record.Members = map[string]rollMember{}
		for name, store := range heard {
			if store != "" {
				record.Members[name] = rollMember{Store: store, Since: chat.MillisOf(time.Now())}
			}
		}
		return record, nil
	})
}

// enroll has this member's store in the roll, or says why it can't be: *rollError.
func (r *roll) enroll(ctx context.Context) error {
	return r.change(ctx, func(record rollRecord) (rollRecord, error) {
		if err := record.admits(r.name, r.store, r.size); err != nil {
			return record, &rollError{err}
		}
		if _, known := record.Members[r.name]; known {
			return record, errUnchanged
		}
		return record.with(r.name, rollMember{Store: r.store, Since: chat.MillisOf(time.Now())}), nil
	})
}

// rollError says that the roll has no place for this member's store.
type rollError struct{ error }

// errUnchanged ends a change that changes nothing.
var errUnchanged = errors.New("unchanged")

// change reads the roll and writes what to makes of it, again if somebody else was
// quicker.
func (r *roll) change(ctx context.Context, to func(rollRecord) (rollRecord, error)) error {
	for {
		record, err := r.read(ctx)
		if err != nil {
			return err
		}
		if record, err = to(record); errors.Is(err, errUnchanged) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err = r.write(ctx, record); chat.KindOf(err) != chat.KindConflict {
			return err
		}
		if err := wait(ctx, joinLook); err != nil {
			return err
		}
	}
}

// open gives the roll the records it is kept in, and takes them away with nil.
func (r *roll) open(records chat.Records) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = records
}

// follow reads the roll again, once a second at most, when somebody was turned away: by
// now they may be in it. It ends with ctx.
func (r *roll) follow(ctx context.Context) {
	every(ctx, time.Second, func() {
		select {
		case <-r.again:
			if _, err := r.read(ctx); err != nil && ctx.Err() == nil {
				r.log.Debug("the roll of members can't be read now", "err", err)
			}
		default:
		}
	})
}

const (
	knockEach   = time.Second
	knockWithin = 2 * time.Second // for all members at once
	// knockOthers is how long the others have when one has let this node in. Whoever
	// answers later opens a route, or doesn't.
	knockOthers = 200 * time.Millisecond
)

// letIn waits until none of the members that answer turns this node away. NATS isn't
// started before: its Raft groups would hold elections of their own meanwhile. Where
// nobody answers, as when all start at once, there is nothing to wait for; but who was
// turned away once waits for somebody who lets it in.
func (n *Node) letIn(ctx context.Context) error {
	tick := time.NewTicker(knockEach)
	defer tick.Stop()
	for {
		before := n.member.roll.forgetShut()
		if by := n.member.roll.shutOut(n.member.knock(ctx), before); len(by) > 0 {
			n.stage.is(n.member.roll.shutHint(by))
		} else {
			return ctx.Err()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.failed:
			return n.failure
		}
	}
}

// knock shakes hands with every other member and leaves, and tells whether anybody let
// this node in. roll.meet hears what each has to say; a member that isn't there, or
// doesn't answer in time, says nothing.
func (m *member) knock(ctx context.Context) (in bool) {
	ctx, cancel := context.WithTimeout(ctx, knockWithin)
	defer cancel()
	var all sync.WaitGroup
	var open atomic.Bool
	for _, address := range m.others {
		all.Go(func() {
			if m.knockAt(ctx, address) && !open.Swap(true) {
				time.AfterFunc(knockOthers, cancel)
			}
		})
	}
	all.Wait()
	return open.Load()
}

func (m *member) knockAt(ctx context.Context, address string) (in bool) {
	config := m.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(address) // config has checked it
	plain, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	c := tls.Client(plain, config)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = plain.Close() })()
	if c.HandshakeContext(ctx) != nil {
		return false
	}
	// The other side reads what is told here after this side is through: its first byte
	// comes when it has let this node in, or its alert when it hasn't.
	_, err = c.Read(make([]byte, 1))
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" {
		m.roll.shutBy(c.ConnectionState().PeerCertificates[0].Subject.CommonName)
	}
	return err == nil
}
