package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// A stream of a cluster is without a leader for an election of 2.5 to 4.5 s after its
// node died, or two of them, and for some tens of milliseconds when it is handed over.
// What was on its way to the old leader is lost without a word, so whoever writes sends again: under the same id,
// which a stream takes once for its window of duplicates.

const (
	// persistFor is how long a write is tried; duplicateWindow must be longer.
	persistFor      = 15 * time.Second
	duplicateWindow = 2 * time.Minute
	firstPause      = 50 * time.Millisecond
	longestPause    = 5 * time.Second
	// answerSoon is how long a stream of a cluster is waited for before the message is
	// sent again, the first time. Each time that passes without a word it is twice that,
	// up to answerLate: a stream may be slow, but what is lost must not be waited for long.
	answerSoon = 500 * time.Millisecond
	answerLate = 2 * time.Second
	// againSoon bounds the pause between tries: a new leader may stand any moment.
	againSoon = 250 * time.Millisecond
)

// The server's codes for what another try can't change.
const (
	errWrongRevision  = 10071 // the expected sequence is not the subject's last
	errBatchDuplicate = 10201 // a message of the batch is there already
)

// final tells whether another try can't change err.
func final(err error) bool {
	return refusedWith(err, errWrongRevision) || refusedWith(err, errBatchDuplicate) || errors.Is(err, errPublisherClosed)
}

// persist sends what compose makes until stream has taken it, which must know it
// again by its id. compose is called for each try.
func (s *Store) persist(ctx context.Context, out *publisher, stream string, compose func() []*nats.Msg) (uint64, error) {
	within, longest := publishTimeout, time.Second
	if s.clustered() {
		within, longest = answerSoon, againSoon
	}
	deadline := time.Now().Add(persistFor)
	for pause := firstPause; ; pause = min(2*pause, longest) {
		elected := s.elections.after(stream)
		sequence, err := out.send(ctx, within, elected, compose()...)
		if err == nil || final(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return sequence, err
		}
		if err := waitOr(ctx, pause, elected); err != nil {
			return 0, err
		}
		if errors.Is(err, errUnanswered) && s.clustered() {
			within = min(2*within, answerLate)
		}
	}
}

// waitOr waits for d, or until something happens, or until ctx ends, which is its error.
func waitOr(ctx context.Context, d time.Duration, happens <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-happens:
	case <-timer.C:
	}
	return nil
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
