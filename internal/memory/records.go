// Package memory holds the seams of chat in memory: for tests, and as the
// second living implementation that keeps the interfaces honest.
package memory

import (
	"context"
	"slices"
	"strings"
	"sync"

	"natter/chat"
)

// Records is chat.Records in memory. The zero value is not usable; see
// NewRecords. Safe for concurrent use.
type Records struct {
	mu       sync.Mutex
	values   map[string]record
	revision uint64 // of the last write; one count for all keys, as in JetStream
	watchers map[*watcher]struct{}
}

type record struct {
	value    []byte
	revision uint64
}

// NewRecords is an empty store.
func NewRecords() *Records {
	return &Records{values: map[string]record{}, watchers: map[*watcher]struct{}{}}
}

// Get implements chat.Records. The caller owns the slice.
func (r *Records) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := check(ctx, key); err != nil {
		return nil, 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.values[key]
	if !ok {
		return nil, 0, chat.NotFound("record")
	}
	return slices.Clone(rec.value), rec.revision, nil
}

// Put implements chat.Records.
func (r *Records) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := check(ctx, key); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values[key].revision != revision {
		return 0, chat.Conflict("", "the record has changed meanwhile")
	}
	r.revision++
	rec := record{slices.Clone(value), r.revision}
	if rec.value == nil {
		rec.value = []byte{}
	}
	r.values[key] = rec
	r.tellLocked(change{key, rec.value, r.revision})
	return r.revision, nil
}

// Delete implements chat.Records.
func (r *Records) Delete(ctx context.Context, key string, revision uint64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.values[key]
	if !ok || rec.revision != revision {
		return chat.Conflict("", "the record has changed meanwhile")
	}
	r.revision++
	delete(r.values, key)
	r.tellLocked(change{key, nil, r.revision})
	return nil
}

// Watch implements chat.Records: seen and ready are called on one goroutine,
// which ends with ctx.
func (r *Records) Watch(ctx context.Context, prefix string, seen func(key string, value []byte, revision uint64), ready func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &watcher{prefix: prefix, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	for key, rec := range r.values {
		if under(prefix, key) {
			w.waiting = append(w.waiting, change{key, rec.value, rec.revision})
		}
	}
	// In order of writing, as a stream would tell them.
	slices.SortFunc(w.waiting, func(a, b change) int { return int(int64(a.revision) - int64(b.revision)) })
	first := len(w.waiting)
	r.watchers[w] = struct{}{}
	r.mu.Unlock()

	go func() {
		defer func() {
			r.mu.Lock()
			delete(r.watchers, w)
			r.mu.Unlock()
		}()
		for once := true; ; once = false {
			r.mu.Lock()
			batch := w.waiting
			w.waiting = nil
			r.mu.Unlock()
			if once { // the changes since the watch stands come after ready
				tell(ctx, batch[:first], seen)
				if ctx.Err() == nil {
					ready()
				}
				batch = batch[first:]
			}
			tell(ctx, batch, seen)
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			}
		}
	}()
	return nil
}

func tell(ctx context.Context, batch []change, seen func(string, []byte, uint64)) {
	for _, c := range batch {
		if ctx.Err() != nil {
			return
		}
		seen(c.key, slices.Clone(c.value), c.revision)
	}
}

// watcher is one Watch. Its fields are guarded by Records.mu.
type watcher struct {
	prefix  string
	waiting []change // unbounded: a test that never reads it is the test's fault
	wake    chan struct{}
}

type change struct {
	key      string
	value    []byte // nil for a deleted key
	revision uint64
}

func (r *Records) tellLocked(c change) {
	for w := range r.watchers {
		if under(w.prefix, c.key) {
			w.waiting = append(w.waiting, c)
			select {
			case w.wake <- struct{}{}:
			default:
			}
		}
	}
}

// under tells whether key is below prefix: "a" holds a.b and a.b.c, neither a
// nor ab.c; "" holds every key.
func under(prefix, key string) bool {
	return prefix == "" || strings.HasPrefix(key, prefix) && len(key) > len(prefix) && key[len(prefix)] == '.'
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return chat.Unavailable("the store did not answer in time", 0)
	}
	for token := range strings.SplitSeq(key, ".") {
		if token == "" || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return chat.Invalid("key", "must be tokens of A-Z a-z 0-9 _ - joined by dots")
		}
	}
	return nil
}
