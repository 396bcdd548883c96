package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"natter/chat"
)

// Leases is chat.Leases in memory. Safe for concurrent use.
type Leases struct {
	mu       sync.Mutex
	most     int // keys; 0: any
	values   map[string]*leased
	revision uint64 // of the last change; one count for all keys, as in JetStream
	watchers map[*leaseWatcher]struct{}
	failing  error
}

type leased struct {
	value    []byte
	revision uint64
	expires  *time.Timer // nil: never
}

// NewLeases is an empty store of at most so many keys; 0: any number.
func NewLeases(most int) *Leases {
	return &Leases{most: most, values: map[string]*leased{}, watchers: map[*leaseWatcher]struct{}{}}
}

// Fail has every call but Watch fail with err from now on; nil ends it. What is
// watched is told of nothing meanwhile, as of a store without a leader.
func (l *Leases) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

// Lose forgets everything without a word, as a store does whose nodes have all
// stopped; watches begin again.
func (l *Leases) Lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, v := range l.values {
		v.stop()
		delete(l.values, key)
	}
	for w := range l.watchers {
		l.tellLocked(w, chat.LeaseChange{Kind: chat.LeaseBegan, Lost: true}, chat.LeaseChange{Kind: chat.LeaseReady})
	}
}

func (v *leased) stop() {
	if v.expires != nil {
		v.expires.Stop()
	}
}

// Get implements chat.Leases.
func (l *Leases) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := l.check(ctx, key); err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.values[key]
	if v == nil {
		return nil, 0, chat.NotFound("lease")
	}
	return slices.Clone(v.value), v.revision, nil
}

// Put implements chat.Leases.
func (l *Leases) Put(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	if err := l.check(ctx, key); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.values[key]
	if !old.is(revision) {
		return 0, chat.Conflict("", "the lease has changed meanwhile")
	}
	if old == nil && l.most > 0 && len(l.values) >= l.most {
		return 0, chat.TooLarge("", "there is no room for another one", int64(l.most))
	}
	if old != nil {
		old.stop()
	}
	l.revision++
	v := &leased{value: append([]byte{}, value...), revision: l.revision}
	if ttl > 0 {
		v.expires = time.AfterFunc(ttl, func() { l.expire(key, v) })
	}
	l.values[key] = v
	l.changedLocked(chat.LeaseChange{Kind: chat.LeasePut, Key: key, Value: v.value, Revision: v.revision})
	return v.revision, nil
}

func (l *Leases) expire(key string, v *leased) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values[key] != v {
		return
	}
	delete(l.values, key)
	l.revision++
	l.changedLocked(chat.LeaseChange{Kind: chat.LeaseExpired, Key: key, Revision: l.revision})
}

// Delete implements chat.Leases.
func (l *Leases) Delete(ctx context.Context, key string, revision uint64) error {
	if err := l.check(ctx, key); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.values[key]
	if !old.is(revision) {
		return chat.Conflict("", "the lease has changed meanwhile")
	}
	if old != nil {
		old.stop()
	}
	delete(l.values, key)
	l.revision++
	l.changedLocked(chat.LeaseChange{Kind: chat.LeaseDeleted, Key: key, Revision: l.revision})
	return nil
}

// is tells whether v stands at revision; v may be nil.
func (v *leased) is(revision uint64) bool {
	switch {
	case revision == chat.AnyRevision:
		return true
	case v == nil:
		return revision == 0
	}
	return v.revision == revision
}

func (l *Leases) check(ctx context.Context, key string) error {
	l.mu.Lock()
	failing := l.failing
	l.mu.Unlock()
	if failing != nil {
		return failing
	}
	return check(ctx, key)
}

// leaseWatcher is one Watch. Its fields are guarded by Leases.mu.
type leaseWatcher struct {
	prefix  string
	waiting []chat.LeaseChange
	wake    chan struct{}
}

// Watch implements chat.Leases: told is called on one goroutine, which ends with
// ctx.
func (l *Leases) Watch(ctx context.Context, prefix string, told func(chat.LeaseChange)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &leaseWatcher{prefix: prefix, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	var now []chat.LeaseChange
	for key, v := range l.values {
		if under(prefix, key) {
			now = append(now, chat.LeaseChange{Kind: chat.LeasePut, Key: key, Value: v.value, Revision: v.revision})
		}
	}
	slices.SortFunc(now, func(a, b chat.LeaseChange) int { return int(int64(a.Revision) - int64(b.Revision)) })
	l.tellLocked(w, chat.LeaseChange{Kind: chat.LeaseBegan})
	l.tellLocked(w, now...)
	l.tellLocked(w, chat.LeaseChange{Kind: chat.LeaseReady})
	l.watchers[w] = struct{}{}
	l.mu.Unlock()

	go func() {
		defer func() {
			l.mu.Lock()
			delete(l.watchers, w)
			l.mu.Unlock()
		}()
		for {
			l.mu.Lock()
			batch := w.waiting
			w.waiting = nil
			l.mu.Unlock()
			for _, c := range batch {
				if ctx.Err() != nil {
					return
				}
				c.Value = slices.Clone(c.Value)
				told(c)
			}
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			}
		}
	}()
	return nil
}

func (l *Leases) changedLocked(c chat.LeaseChange) {
	for w := range l.watchers {
		if under(w.prefix, c.Key) {
			l.tellLocked(w, c)
		}
	}
}

func (l *Leases) tellLocked(w *leaseWatcher, changes ...chat.LeaseChange) {
	w.waiting = append(w.waiting, changes...)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
