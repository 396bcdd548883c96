package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"natter/chat"
)

// cursors is the chat.Cursors of a Store. Acks come with every message of every
// device; what is written is each device's newest place, once a second.
type cursors struct {
	s   *Store
	out *publisher

	mu    sync.Mutex
	dirty map[deviceKey]cursorRecord // not written yet
	sent  map[deviceKey]cursorRecord // under way
}

type deviceKey struct {
	user   chat.UserID
	device chat.DeviceID
}

// cursorRecord is a message of cursor.<user>.<device>.
type cursorRecord struct {
	Epoch uint64 `cbor:"1,keyasint"`
	Seq   uint64 `cbor:"2,keyasint"`
	Place uint64 `cbor:"3,keyasint,omitempty"`
	Gone  bool   `cbor:"4,keyasint,omitempty"`
}

const (
	streamCursors = "CURSORS"
	cursorsEvery  = time.Second / hasten
)

func subjectCursor(k deviceKey) string { return "cursor." + string(k.user) + "." + string(k.device) }

func newCursors(s *Store, out *publisher) *cursors {
	return &cursors{s: s, out: out, dirty: make(map[deviceKey]cursorRecord), sent: make(map[deviceKey]cursorRecord)}
}

// Put implements chat.Cursors.
func (c *cursors) Put(u chat.UserID, d chat.DeviceID, at chat.Cursor) {
	c.put(deviceKey{u, d}, cursorRecord{Epoch: at.Epoch, Seq: at.Seq, Place: at.Place})
}

// Drop implements chat.Cursors.
func (c *cursors) Drop(u chat.UserID, d chat.DeviceID) {
	c.put(deviceKey{u, d}, cursorRecord{Gone: true})
}

func (c *cursors) put(k deviceKey, rec cursorRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, held := range []map[deviceKey]cursorRecord{c.dirty, c.sent} {
		if kept, ok := held[k]; ok && !rec.Gone && (kept.Gone || rec.cursor().Before(kept.cursor())) {
			return
		}
	}
	c.dirty[k] = rec
}

func (r cursorRecord) cursor() chat.Cursor {
	return chat.Cursor{Epoch: r.Epoch, Seq: r.Seq, Place: r.Place}
}

// Get implements chat.Cursors.
func (c *cursors) Get(ctx context.Context, u chat.UserID, d chat.DeviceID) (chat.Cursor, bool, error) {
	k := deviceKey{u, d}
	c.mu.Lock()
	rec, ok := c.dirty[k]
	if !ok {
		rec, ok = c.sent[k]
	}
	c.mu.Unlock()
	if !ok {
		m, err := c.s.reader.last(ctx, streamCursors, subjectCursor(k))
		if errors.Is(err, errNone) {
			return chat.Cursor{}, false, nil
		}
		if err != nil {
			return chat.Cursor{}, false, err
		}
		if err := decode(m.Data, &rec); err != nil {
			return chat.Cursor{}, false, fmt.Errorf("%s: %w", m.Subject, err)
		}
	}
	return rec.cursor(), !rec.Gone, nil
}

// run writes until ctx ends.
func (c *cursors) run(ctx context.Context) {
	tick := time.NewTicker(cursorsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.flush()
		}
	}
}

// flush writes what is dirty; the returned channel closes when all of it has
// been answered. What fails is dirty again.
func (c *cursors) flush() <-chan struct{} {
	done := make(chan struct{})
	c.mu.Lock()
	batch := make(map[deviceKey]cursorRecord, len(c.dirty))
	for k, rec := range c.dirty {
		if _, under := c.sent[k]; !under { // one at a time, so that they can't overtake
			batch[k] = rec
			c.sent[k] = rec
			delete(c.dirty, k)
		}
	}
	c.mu.Unlock()
	if len(batch) > 0 {
		failpoint("cursor.gathered")
	}
	var left sync.WaitGroup
	left.Add(len(batch))
	for k, rec := range batch {
		data, err := encode(&rec)
		if err != nil {
			panic("jetstream: a cursor can't be encoded: " + err.Error())
		}
		c.out.publish(subjectCursor(k), "", data, func(_ uint64, err error) {
			c.mu.Lock()
			delete(c.sent, k)
			if _, newer := c.dirty[k]; err != nil && !newer {
				c.dirty[k] = rec
			}
			c.mu.Unlock()
			failpoint("cursor.written")
			left.Done()
		})
		failpoint("cursor.published")
	}
	go func() {
		left.Wait()
		close(done)
	}()
	return done
}

// finish writes what is left, at most until ctx ends.
func (c *cursors) finish(ctx context.Context) {
	select {
	case <-c.flush():
	case <-ctx.Done():
	}
}
