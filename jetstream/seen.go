package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"natter/chat"
)

// seen is the chat.Seen of a Store: the newest time each person was here, written
// once a second. A message of seen.<user> is a version byte and the milliseconds
// as an unsigned varint; it is kept as long as a queue's entry.
type seen struct {
	s   *Store
	out *publisher

	mu    sync.Mutex
	dirty map[chat.UserID]chat.Millis // not written yet
	sent  map[chat.UserID]chat.Millis // under way
}

const (
	streamSeen = "SEEN"
	seenEvery  = time.Second
)

// Seen keeps when people were last here.
func (s *Store) Seen() chat.Seen { return s.seen }

func subjectSeen(u chat.UserID) string { return "seen." + string(u) }

func newSeen(s *Store, out *publisher) *seen {
	return &seen{s: s, out: out, dirty: map[chat.UserID]chat.Millis{}, sent: map[chat.UserID]chat.Millis{}}
}

// Put implements chat.Seen.
func (k *seen) Put(u chat.UserID, at chat.Millis) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at > max(k.dirty[u], k.sent[u]) {
		k.dirty[u] = at
	}
}

// Get implements chat.Seen.
func (k *seen) Get(ctx context.Context, u chat.UserID) (chat.Millis, error) {
	k.mu.Lock()
	at := max(k.dirty[u], k.sent[u])
	k.mu.Unlock()
	if at != 0 {
		return at, nil
	}
	m, err := k.s.reader.last(ctx, streamSeen, subjectSeen(u))
	if errors.Is(err, errNone) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if at, err = parseSeen(m.Data); err != nil {
		return 0, fmt.Errorf("%s: %w", m.Subject, err)
	}
	return at, nil
}

func appendSeen(b []byte, at chat.Millis) []byte {
	return binary.AppendUvarint(append(b, storedVersion), uint64(at))
}

func parseSeen(b []byte) (chat.Millis, error) {
	if len(b) == 0 || b[0] != storedVersion {
		return 0, versionError(b, chat.Millis(0))
	}
	at, n := binary.Uvarint(b[1:])
	if n <= 0 || n != len(b)-1 || at > 1<<62 {
		return 0, errors.New("decode a time: it is cut short")
	}
	return chat.Millis(at), nil
}

// run writes until ctx ends.
func (k *seen) run(ctx context.Context) {
	tick := time.NewTicker(seenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.flush()
		}
	}
}

// flush writes what is dirty; the returned channel closes when all of it has
// been answered. What fails is dirty again.
func (k *seen) flush() <-chan struct{} {
	done := make(chan struct{})
	k.mu.Lock()
	batch := make(map[chat.UserID]chat.Millis, len(k.dirty))
	for u, at := range k.dirty {
		if _, under := k.sent[u]; !under { // one at a time, so that they can't overtake
			batch[u] = at
			k.sent[u] = at
			delete(k.dirty, u)
		}
	}
	k.mu.Unlock()
	var left sync.WaitGroup
	left.Add(len(batch))
	for u, at := range batch {
		k.out.publish(subjectSeen(u), "", appendSeen(nil, at), func(_ uint64, err error) {
			k.mu.Lock()
			delete(k.sent, u)
			if err != nil {
				k.dirty[u] = max(k.dirty[u], at)
			}
			k.mu.Unlock()
			left.Done()
		})
	}
	go func() {
		left.Wait()
		close(done)
	}()
	return done
}

// finish writes what is left, at most until ctx ends.
func (k *seen) finish(ctx context.Context) {
	select {
	case <-k.flush():
	case <-ctx.Done():
	}
}
