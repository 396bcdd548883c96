package edge

import (
	"context"
	"math/rand/v2"
	"time"

	"natter/chat"
	"natter/wire"
)

// A session is a reader with a place in its person's queue. There is one path:
//
//	hint (prev ≤ place, nobody reads, room in the outbox) ─▶ outbox, place moves
//	hint (somebody reads)                                 ─▶ kept
//	hint (anything else)                                  ─▶ catchUp
//	catchUp: read after place ─▶ outbox, place moves ─▶ until nothing is left ─▶ kept
//
// Example: place 7. Hint {prev 7, seq 8} goes out as it is: place 8. Hint
// {prev 9, seq 10}: 9 was lost on the way, so catchUp reads 9 and 10. Hint
// {prev 8, seq 9} comes late: place is 10, it is old news.

// hint takes what is told of the queue. It never blocks; nil says that there
// may be something.
func (s *session) hint(entry *chat.Entry) {
	events, direct, ready := s.unfoldHint(entry)
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry != nil {
		s.told = max(s.told, entry.Cursor.Seq)
	}
	switch {
	case s.reading:
		if !ready || !s.kept.add(keptHint{entry.Cursor, entry.Prev, events, direct}, &s.out) {
			s.again = true
		}
	case entry != nil && entry.Cursor.Epoch == s.place.Epoch && entry.Cursor.Seq <= s.place.Seq && s.place.Place == 0:
		// had already
	case ready && entry.Cursor.Epoch == s.place.Epoch && entry.Prev <= s.place.Seq && s.place.Place == 0 && s.out.putEvents(events...):
		s.place = entry.Cursor
		for _, d := range direct {
			s.deliveringLocked(d.cursor, d.direct)
		}
	default:
		s.lookLocked()
	}
}

// unfoldHint encodes a hint's events before the lock; not ready if that would
// have to wait, or the outbox is filling: then the queue is read at the
// socket's own speed, and a slow device costs disk, not memory.
func (s *session) unfoldHint(entry *chat.Entry) (items []item, direct []placed, ready bool) {
	if entry == nil || !s.out.room(overhead) {
		return nil, nil, false
	}
	for i := range entry.Events {
		json, wait := s.e.encoder.encode(s.who.User, entry.Events[i])
		if wait {
			return nil, nil, false
		}
		if json == nil {
			continue
		}
		at := entry.Cursor
		if i < len(entry.Events)-1 {
			at.Place = uint64(i) + 1
		}
		items = append(items, item{frame: json, cursor: at, event: true})
		if d := directOf(s.who.User, entry.Events[i]); d.seq != 0 {
			direct = append(direct, placed{cursor: at, direct: d})
		}
	}
	return items, direct, true
}

func (s *session) lookLocked() {
	if s.ended {
		return
	}
	s.reading = true
	s.startLocked(s.catchUp)
}

// catchUp reads the queue from the session's place until nothing is left, and
// then again unless what came meanwhile goes on from there. s.reading is set while it runs.
func (s *session) catchUp() {
	at, stale := s.placeNow(), 0
	for s.readOn(&at) {
		if !s.synced {
			if !s.putAll(item{frame: wire.Encode(&wire.Synced{Cursor: at.String(s.who.User)})}) {
				return
			}
			s.e.roster.greet(s)
		}
		s.synced = true
		s.mu.Lock()
		again := !s.joinLocked(&at) || s.again
		s.place = at
		switch {
		case again:
		case at.Seq < s.told && stale < staleReads:
			stale++
		default:
			s.reading, s.told = false, 0
		}
		done := !s.reading
		s.again = false
		s.mu.Unlock()
		if done || !again && !s.pause(readPause) {
			return
		}
	}
}

// staleReads is how often the queue is read once more for what a hint has named
// and the queue doesn't show: a replica may be behind. After that many the hint
// was of an epoch that a crash took back.
const staleReads = 5

// The pauses after a failed read of the queue, and how many failures close the
// socket: another node may be able to.
const (
	readPause    = 100 * time.Millisecond
	readFailures = 8
)

// readOn sends everything after at and moves at on; false when the session ends.
func (s *session) readOn(at *chat.Cursor) bool {
	failures := 0
	for s.waitForRoom(eventBytes / 2) {
		ctx, cancel := context.WithTimeout(s.life, callWithin)
		got, err := s.e.readQueue(ctx, s.who.User, *at, chat.MaxPage, !s.synced)
		cancel()
		if err != nil {
			if failures++; failures > readFailures {
				s.e.Logger.Warn("a queue can't be read", "user", s.who.User, "err", err)
				s.close(wire.CloseUnavailable, "the queue can't be read now")
			}
			if !s.pause(readPause << failures) {
				return false
			}
			continue
		}
		failures = 0
		items := make([]item, 0, len(got.events)+1)
		if got.reset {
			items = append(items, item{frame: wire.Encode(&wire.Reset{Cursor: got.at.String(s.who.User)})})
		}
		for _, p := range got.events {
			items = append(items, item{frame: p.json, cursor: p.cursor, event: true})
			s.delivering(p.cursor, p.direct)
		}
		if !s.putAll(items...) {
			return false
		}
		*at = got.after
		if !got.more {
			return true
		}
	}
	return false
}

// putAll puts items into the outbox, waiting for room where it is full; false
// when the session ends.
func (s *session) putAll(items ...item) bool {
	for _, it := range items {
		for !s.putOne(it) {
			if !s.waitForRoom(it.size()) {
				return false
			}
		}
	}
	return true
}

// putOne puts an event, or a frame that stands between events and waits as they
// do.
func (s *session) putOne(it item) bool {
	if it.event {
		return s.out.putEvents(it)
	}
	return s.out.put(it)
}

// waitForRoom waits until the outbox has room for events of so many bytes; false
// when the session has ended. How long a client may take is the writer's to say.
func (s *session) waitForRoom(size int) bool {
	for {
		if s.life.Err() != nil {
			return false
		}
		drained := s.out.drained()
		if s.out.room(size) {
			return true
		}
		select {
		case <-drained:
		case <-s.life.Done():
			return false
		}
	}
}

// pause waits about d; false when the session ends first.
func (s *session) pause(d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.life.Done():
		return false
	}
}
