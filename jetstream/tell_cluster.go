package jetstream

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"natter/chat"
)

// Telling in a cluster.
//
// The node that leads SYNC-q tells, and most of what is written there comes from projectors
// of the same node: who leads a log gathers its other streams. Those hand over what is
// stored, as where a node is alone. A sequence that is missing is one that another node's
// projector wrote, a claim, or one whose answer was lost: it is read from the stream.
//
//	projector-0   here      7 8 . . 11 ──▶ backlog ─┐
//	projector-1   there         9 10                 ├─▶ 7 8 9 10 11 ─▶ sessions here: a call
//	                             └── grown: 10 ─ read ─┘                └▶ live.<user>: the others
//
// So what isn't handed over, whyever, is read; the stream alone says what there is.
const (
	// ownPatience is how long a missing sequence is waited for that a projector of this
	// node may be about to hand over: a write of one is under way, and several are answered in
	// the stream's order, but by several connections.
	ownPatience = 5 * time.Millisecond
	// missedMost bounds what one answer of the stream has.
	missedMost = tailMost
)

// merge tells what is handed over and reads what isn't, in the stream's order, until it
// fails.
func (t *teller) merge(ctx context.Context) error {
	next, err := t.begin(ctx)
	if err != nil {
		return err
	}
	from, err := t.s.tail(t.s.tails[t.q], numbered(streamSync, t.q), next)
	if err != nil {
		return fmt.Errorf("follow the queues: %w", err)
	}
	defer from.Stop()
	t.backlog.open(true)
	defer t.backlog.open(false)
	waits := t.s.metrics.backlog.WithLabelValues(strconv.Itoa(t.q))
	defer waits.Set(0)
	m := newMerging(next, t.backlog, t.tellAll)
	m.known = from.known.Load
	m.ask = func(ctx context.Context, after uint64, most int) ([]stored, error) {
		from.after = after
		err := from.ask(ctx, most)
		return from.ready, err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(m.patience(time.Now()))
		select {
		case <-t.backlog.wake:
		case <-from.grown:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		waits.Set(float64(m.handed(time.Now())))
		if err := m.missing(ctx, time.Now); err != nil {
			return err
		}
	}
}

// tellAll tells of the next entry: the sessions of this node by a call, the others' by
// publishing it. Who publishes doesn't hear it.
func (t *teller) tellAll(e *storedEntry) error {
	t.s.raise(numbered(streamSync, t.q), e.sequence) // who is made to read must be shown it
	return t.next(e.user, e.sequence, func(before uint64) error {
		t.payload = binary.BigEndian.AppendUint64(t.payload[:0], e.sequence)
		t.payload = binary.BigEndian.AppendUint64(t.payload, before)
		t.payload = append(t.payload, e.data...)
		err := t.s.followers.nc.Publish(subjectLive(e.user), t.payload)
		read := e.read
		if e.events == nil {
			read = func() ([]*chat.Event, error) { return t.s.decodeEvents(e.data) }
		}
		t.s.followers.tell(e.user, e.sequence, before, read)
		return err
	})
}

// merging puts what is handed over and what is read into one line.
type merging struct {
	line
	backlog *backlog
	known   func() uint64                                                       // the stream holds this sequence
	ask     func(ctx context.Context, after uint64, most int) ([]stored, error) // what follows

	some   []storedEntry
	moved  time.Time // when something was told last, or the stream asked
	since  time.Time // since when the next is missing; zero: it isn't, as far as is known
	rests  time.Time // until then the stream isn't asked again
	pause  time.Duration
	failed error
}

// newMerging is for entries from next on, each of which is told once, in the stream's order.
func newMerging(next uint64, b *backlog, tell func(*storedEntry) error) *merging {
	m := &merging{backlog: b, pause: stalePause}
	m.line = line{next: next, early: make(map[uint64]storedEntry),
		late: func(e storedEntry) { b.told(e.bytes) },
		tell: func(e storedEntry) {
			if e.user != "" && m.failed == nil {
				m.failed = tell(&e)
			}
			if e.bytes > 0 {
				b.told(e.bytes)
			}
		}}
	return m
}

// patience is how long nothing has to be done unless something happens.
func (m *merging) patience(now time.Time) time.Duration {
	at := m.moved.Add(tailEvery)
	if !m.since.IsZero() {
		if at = m.rests; at.IsZero() { // it wasn't asked in vain
			at = m.since.Add(ownPatience)
		}
	}
	return max(0, at.Sub(now))
}

// handed lines up what was handed over; left is what waits, in bytes.
func (m *merging) handed(now time.Time) (left int) {
	m.some, left = m.backlog.take(m.some)
	reached := m.next
	for i, e := range m.some {
		m.some[i] = storedEntry{}
		m.put(e)
	}
	if m.next > reached {
		m.goesOn(now)
	}
	return left
}

func (m *merging) goesOn(now time.Time) {
	m.moved, m.since, m.rests, m.pause = now, time.Time{}, time.Time{}, stalePause
}

// missing reads what is missing, unless a projector of this node may be about to hand it
// over. Where there is no word of anything it looks each tailEvery.
func (m *merging) missing(ctx context.Context, clock func() time.Time) error {
	for now := clock(); m.failed == nil; {
		end := m.gap()
		switch {
		case end == 0 && now.Sub(m.moved) < tailEvery:
			m.since = time.Time{}
			return nil
		case end == 0:
			end = m.next + missedMost - 1
		default:
			if m.since.IsZero() {
				m.since = now
			}
			if now.Before(m.rests) || now.Sub(m.since) < ownPatience && m.backlog.expects() {
				return nil
			}
		}
		some, err := m.read(ctx, end)
		if now = clock(); err != nil {
			return err
		}
		switch m.moved = now; {
		case some:
			m.goesOn(now)
		case !m.since.IsZero() && now.Sub(m.since) >= gapPatience:
			return fmt.Errorf("the stream doesn't show sequence %d", m.next)
		default: // the replica that answers is behind
			m.rests = now.Add(m.pause)
			m.pause = min(2*m.pause, stalePauses)
			return m.failed
		}
	}
	return m.failed
}

// gap is the last sequence of those that are next and missing; 0: none is known to be.
func (m *merging) gap() uint64 {
	if first := m.ahead(); first != 0 {
		return first - 1
	}
	if known := m.known(); known >= m.next {
		return known
	}
	return 0
}

// read tells what the stream has from the next on, up to end; false if that is nothing.
func (m *merging) read(ctx context.Context, end uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found, err := m.ask(ctx, m.next-1, int(min(end-m.next+1, missedMost)))
	for _, msg := range found {
		if m.pass(msg.Sequence); msg.Sequence < m.next {
			continue // it was handed over
		}
		e := storedEntry{sequence: msg.Sequence, data: msg.Data}
		if !isFence(msg.Subject) {
			e.user = chat.UserID(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
		}
		m.put(e)
	}
	return len(found) > 0, err
}
