package jetstream

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// A cluster is new as long as its records are empty. Whoever founds it writes the
// first of them; one that is grown from a node alone has that node's records before
// its own, so nobody founds it by mistake, whatever happens at the same time.

// Founder writes a record as the very first of all. It fails with chat.KindConflict
// if there is another one, whichever, and with MayFound's reason if that has one.
type Founder func(ctx context.Context, bucket, key string, value []byte) error

func (s *Store) found(ctx context.Context, bucket, key string, value []byte) error {
	if err := s.mayFound(ctx); err != nil {
		return err
	}
	_, err := s.persist(ctx, s.keeper, streamRecords, func() []*nats.Msg {
		return []*nats.Msg{{Subject: "record." + bucket + "." + key, Data: value,
			Header: nats.Header{headerLast: {"0"}, headerID: {s.origin + ".found." + key}}}}
	})
	switch {
	case err == nil:
		return nil
	case refusedWith(err, errWrongRevision):
		return chat.Conflict("", "there are records already")
	}
	return unavailable("write", key, err)
}

// headerLast has the server take a message only if the stream ends at that sequence.
const headerLast = "Nats-Expected-Last-Sequence"

// unfounded is why the first stream of a cluster can't be made yet.
type unfounded struct{ why error }

// Error implements error.
func (u unfounded) Error() string { return u.why.Error() }

// mayFound asks MayFound: also for records that are there and empty, as they are when
// the only copy of restored ones is lost.
func (s *Store) mayFound(ctx context.Context) error {
	if s.o.MayFound == nil {
		return nil
	}
	left, err := s.left(ctx)
	if err != nil {
		return err
	}
	left = slices.DeleteFunc(left, func(name string) bool { return name == streamRecords })
	if err := s.o.MayFound(ctx, len(left) > 0); err != nil {
		return unfounded{err}
	}
	return nil
}

// left are the streams that are there, by name.
func (s *Store) left(ctx context.Context) ([]string, error) {
	lister := s.js.StreamNames(ctx)
	var names []string
	for name := range lister.Name() {
		names = append(names, name)
	}
	if err := lister.Err(); err != nil {
		return nil, fmt.Errorf("list the streams: %w", err)
	}
	slices.Sort(names)
	return names, nil
}
