package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
)

// How a member gets into the roll, and asks to be let in before it starts NATS.

// enroll has this member's store in the roll, and those of others that it has met and the
// roll hasn't: at a first start, which takes all members, the first of them writes down
// all. It says why that can't be with a *rollError. From here on the roll is kept in
// records.
func (r *roll) enroll(ctx context.Context, records chat.Records) error {
	r.open(records)
	for {
		record, err := r.read(ctx)
		if err != nil {
			return err
		}
		if err := record.admits(r.name, r.store, r.size); err != nil {
			return &rollError{err}
		}
		to := r.enter(record, chat.MillisOf(time.Now()))
		if len(to.Members) == len(record.Members) {
			return nil
		}
		if _, err = r.write(ctx, to); chat.KindOf(err) != chat.KindConflict { // somebody else was quicker
			return err
		}
		if err := wait(ctx, joinLook); err != nil {
			return err
		}
	}
}

// enter is a record with the stores that it hasn't.
func (r *roll) enter(record rollRecord, now chat.Millis) rollRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := record.Members[r.name]; !known {
		record = record.with(r.name, rollMember{Store: r.store, Since: now})
	}
	for name, store := range r.heard {
		if _, known := record.Members[name]; !known && store != "" && len(record.Members) < r.size {
			record = record.with(name, rollMember{Store: store, Since: now})
		}
	}
	return record
}

// rollError says that the roll has no place for this member's store.
type rollError struct{ error }

// open gives the roll the records it is kept in.
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
