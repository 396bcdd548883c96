package client

import (
	"context"
	mathrand "math/rand/v2"
	"time"

	"natter/chat"
	"natter/wire"
)

// Outgoing is a message to send. A zero ClientID is filled in.
type Outgoing struct {
	Room     chat.RoomID
	ClientID chat.ClientID
	Text     string
	ReplyTo  chat.Seq
}

// Receipt is the server's answer to a message: it is on disk.
type Receipt struct {
	ID  chat.MessageID
	Seq chat.Seq
	At  chat.Millis
}

type sending struct {
	frame []byte
	key   chat.ClientID
	done  func(Receipt, error) // nil when answered
	under bool                 // it was handed to this connection and has no answer
}

// Send sends a message and returns at once; with an Outbox, when the message is
// on disk there. done is called exactly once: with the receipt, with the
// server's refusal (a *wire.Problem), with ErrClosed or ErrBacklog, or with the
// reason why the Outbox can't keep it; on the reading goroutine, or for what
// isn't an answer on any. Messages go out in the order of the calls, and again
// in that order after a reconnect. A refusal that asks to wait (unavailable,
// too_many) isn't told: the message goes out again when the time has come, then
// perhaps behind later ones. At most 128 are under way at a time, which is less than
// a server refuses, however many have gathered. What ends with ErrClosed stays in an Outbox.
func (d *Device) Send(m Outgoing, done func(Receipt, error)) chat.ClientID {
	if m.ClientID.IsZero() {
		m.ClientID = NewKey()
	}
	d.mu.Lock()
	err := d.refuseLocked()
	if err == nil && d.opts.Outbox != nil {
		err = d.opts.Outbox.add(&m)
	}
	if err != nil {
		d.mu.Unlock()
		done(Receipt{}, err)
		return m.ClientID
	}
	ref := d.base + uint64(len(d.pending))
	s := &sending{frame: appendSend(nil, ref, &m), key: m.ClientID, done: done}
	d.pending = append(d.pending, s)
	if d.opts.Outbox == nil {
		d.goLocked(ref + 1)
		d.mu.Unlock()
		return m.ClientID
	}
	d.mu.Unlock()
	err = d.opts.Outbox.sync()
	d.mu.Lock()
	if err == nil {
		d.goLocked(ref + 1)
	} else {
		done, s.done = s.done, nil // nil if it ended meanwhile
		d.sweepLocked()
	}
	d.mu.Unlock()
	if err != nil && done != nil {
		done(Receipt{}, err)
	}
	return m.ClientID
}

// goLocked says that the sends below ref may go, and lets them. The Outbox
// keeps them in their order, so what is before a kept one is kept.
func (d *Device) goLocked(ref uint64) {
	d.kept = max(d.kept, ref)
	if !d.open {
		return
	}
	for d.posted = max(d.posted, d.base); d.posted < d.kept && d.under < sendsUnderWay; d.posted++ {
		if s := d.pending[d.posted-d.base]; s.done != nil {
			d.under, s.under = d.under+1, true
			d.postLocked(s.frame)
		}
	}
}

// sendsUnderWay bounds the sends without an answer on one connection; the rest wait
// for answers. A server refuses those over 256 for now, and they would then come behind
// later ones.
const sendsUnderWay = 128

// sweepLocked forgets the sends at the head that have been answered.
func (d *Device) sweepLocked() {
	gone := 0
	for gone < len(d.pending) && d.pending[gone].done == nil {
		d.pending[gone] = nil
		gone++
	}
	d.pending = d.pending[gone:]
	d.base += uint64(gone)
}

func (d *Device) refuseLocked() error {
	switch {
	case d.state == Ended:
		return d.err
	case len(d.pending) >= MaxPending:
		return ErrBacklog
	}
	return nil
}

// SendWait is Send for one message, waiting for its answer. When ctx ends first
// the message may still be sent.
func (d *Device) SendWait(ctx context.Context, m Outgoing) (Receipt, error) {
	type answer struct {
		r   Receipt
		err error
	}
	got := make(chan answer, 1)
	d.Send(m, func(r Receipt, err error) { got <- answer{r, err} })
	select {
	case a := <-got:
		return a.r, a.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// answered ends the send of ref, if it is one.
func (d *Device) answered(ref []byte, receipt Receipt, refused *wire.Problem) {
	if len(ref) < 2 || ref[0] != 's' {
		return
	}
	n := number(ref[1:])
	d.mu.Lock()
	var done func(Receipt, error)
	var key chat.ClientID
	if i := n - d.base; n >= d.base && i < uint64(len(d.pending)) && d.pending[i] != nil {
		if again, after := retryAfter(refused); again {
			d.sendLaterLocked(d.pending[i], after)
			d.mu.Unlock()
			return
		}
		s := d.pending[i]
		done, key, s.done = s.done, s.key, nil
		if s.under {
			d.under, s.under = d.under-1, false
		}
	}
	d.sweepLocked()
	d.goLocked(d.kept)
	d.mu.Unlock()
	switch {
	case done == nil: // answered before, on an earlier connection
		return
	case refused != nil:
		done(Receipt{}, refused)
	default:
		done(receipt, nil)
	}
	if d.opts.Outbox != nil {
		d.opts.Outbox.drop(key) // after done: a crash between them tells twice
	}
}

// retryAfter tells whether a refusal asks for the same request again, and when.
func retryAfter(refused *wire.Problem) (bool, time.Duration) {
	if refused == nil || refused.Code != chat.KindUnavailable && refused.Code != chat.KindTooMany {
		return false, 0
	}
	after := time.Duration(refused.RetryAfterMS) * time.Millisecond
	return true, max(after, 100*time.Millisecond) + mathrand.N(100*time.Millisecond)
}

// sendLaterLocked sends s again after a while, if it still has no answer then.
func (d *Device) sendLaterLocked(s *sending, after time.Duration) {
	time.AfterFunc(after, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if s.done != nil {
			d.postLocked(s.frame)
		}
	})
}
