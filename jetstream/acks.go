package jetstream

import (
	"fmt"
	"time"
)

// expects says how many acks there will be, and how many of them the next take waits for.
func (t *take) expects(all, written int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left, t.unwritten = all, written
	t.count(0, 0)
}

// wrote takes in an ack that the next take waits for, acked one that it doesn't.
func (t *take) wrote(note func(*take, uint64), sequence uint64, err error) {
	t.ack(note, sequence, err, 1)
}

func (t *take) acked(note func(*take, uint64), sequence uint64, err error) {
	t.ack(note, sequence, err, 0)
}

func (t *take) ack(note func(*take, uint64), sequence uint64, err error, written int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && t.failed == nil {
		t.failed = err
	}
	if err == nil {
		note(t, sequence)
	}
	t.count(1, written)
}

// count is of acks that have come. The lock is held.
func (t *take) count(all, written int) {
	t.left -= all
	t.unwritten -= written
	if t.unwritten == 0 && t.wroteAt.IsZero() {
		t.wroteAt = time.Now()
		close(t.written)
	}
	if t.left == 0 {
		close(t.done)
	}
}

// writtenAt is when written was closed; zero: not yet.
func (t *take) writtenAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wroteAt
}

func (t *take) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// wrong is what has failed of the take, and where in the log it is.
func (t *take) wrong() error {
	if err := t.failure(); err != nil {
		return fmt.Errorf("log %d: %w", t.upto, err)
	}
	return nil
}
