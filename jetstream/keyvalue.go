package jetstream

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Records is the replicated state of one concern: record.<bucket>.<key> in one
// stream that keeps the newest value of each. A delete writes a marker, which
// stays: a watch that begins later still learns of it.
func (s *Store) Records(bucket string) chat.Records {
	return &records{s: s, prefix: "record." + bucket + "."}
}

type records struct {
	s      *Store
	prefix string
}

const headerDeleted = "Natter-Deleted"

// errWrongRevisionAhead is the server's code, in a cluster, for a compare-and-set that
// fails for what another writer has under way.
const errWrongRevisionAhead = 10164

// wrongRevision tells whether an error of a write is a failed compare-and-set.
func wrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == errWrongRevision || api.ErrorCode == errWrongRevisionAhead)
}

// Get implements chat.Records. It asks the leader, so it reads its own writes.
func (r *records) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m, err := r.s.leaderGet(ctx, streamRecords, ask{LastFor: r.prefix + key})
	switch {
	case errors.Is(err, errNone):
		return nil, 0, chat.NotFound("record")
	case err != nil:
		return nil, 0, err
	case bytes.Contains(m.Headers, []byte(headerDeleted)):
		return nil, m.Sequence, chat.NotFound("record")
	}
	return m.Data, m.Sequence, nil
}

// Put implements chat.Records.
func (r *records) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	next, err := r.write(ctx, key, value, revision, false)
	if revision != 0 || chat.KindOf(err) != chat.KindConflict {
		return next, err
	}
	// The key may have been deleted, which left a marker with a revision.
	if _, marker, e := r.Get(ctx, key); chat.KindOf(e) == chat.KindNotFound && marker != 0 {
		return r.write(ctx, key, value, marker, false)
	}
	return next, err
}

// Delete implements chat.Records.
func (r *records) Delete(ctx context.Context, key string, revision uint64) error {
	_, err := r.write(ctx, key, nil, revision, true)
	return err
}

func (r *records) write(ctx context.Context, key string, value []byte, revision uint64, deleted bool) (uint64, error) {
	header := nats.Header{headerGuard: {strconv.FormatUint(revision, 10)}}
	if deleted {
		header[headerDeleted] = []string{"1"}
	}
	if r.s.clustered() { // or a lost answer would look like somebody else's write
		header[headerID] = []string{r.s.origin + "." + strconv.FormatUint(r.s.writes.Add(1), 36)}
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	failpoint("record.asked")
	next, err := r.s.persist(ctx, r.s.keeper, streamRecords, func() []*nats.Msg {
		return []*nats.Msg{{Subject: r.prefix + key, Data: value, Header: maps.Clone(header)}}
	})
	switch {
	case err == nil:
		failpoint("record.written")
		return next, nil
	case refusedWith(err, errWrongRevision):
		return 0, chat.Conflict("", "somebody else changed it at the same time")
	}
	return 0, unavailable("write", key, err)
}

// Watch implements chat.Records. A consumer that falls silent is followed by another, which
// goes on where it was.
func (r *records) Watch(ctx context.Context, prefix string, seen func(string, []byte, uint64), ready func()) error {
	filter := r.prefix + strings.TrimSuffix(prefix, ".") + ".>"
	if prefix == "" {
		filter = r.prefix + ">"
	}
	var newest uint64    // what the watch must have shown before it is ready
	if r.s.clustered() { // the replica that answers may be behind
		m, err := r.s.leaderGet(ctx, streamRecords, ask{LastFor: filter})
		if err != nil && !errors.Is(err, errNone) {
			return err
		}
		newest = m.Sequence
	}
	once := sync.OnceFunc(ready)
	var last atomic.Uint64
	begin := func(ctx context.Context, _ bool) (*watcher, error) {
		next, err := r.s.watcher(ctx, streamRecords, filter, last.Load())
		if err != nil {
			return nil, unavailable("watch", prefix, err)
		}
		if next.pending == 0 && newest <= last.Load() {
			once()
		}
		if err := next.hear(func(msg heard) {
			value := msg.Data()
			if value == nil {
				value = []byte{}
			}
			if msg.Headers().Get(headerDeleted) != "" {
				value = nil
			}
			seen(strings.TrimPrefix(msg.Subject(), r.prefix), value, msg.sequence)
			last.Store(msg.sequence)
			if msg.pending == 0 && msg.sequence >= newest {
				once()
			}
		}); err != nil {
			return nil, unavailable("watch", prefix, err)
		}
		return next, nil
	}
	running, err := begin(ctx, false)
	if err != nil {
		return err
	}
	r.s.goes(func() { r.s.keepWatching(ctx, running, nil, begin) })
	return nil
}
