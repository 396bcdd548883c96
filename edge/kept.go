package edge

import "natter/chat"

// kept are the hints that came while a session read its queue. What a read shows ends
// somewhere among them, so that they go on from there: without them each read would be
// followed by one more for what came meanwhile, and under load who has begun to
// read never ends, at many times the cost.
//
//	read   5 6 7
//	kept       7 8 9      ─▶ 8 and 9 go out, nothing is left to read
//	kept           9 10   ─▶ 8 is missing: one more read
//
// The session's lock guards it. Its zero value is empty.
type kept struct {
	hints []keptHint
	bytes int
}

// keptHint is an entry of the queue as it goes out.
type keptHint struct {
	cursor chat.Cursor
	prev   uint64
	items  []item
	direct []placed
}

// add keeps a hint, if the outbox has room for all that is kept; false when it hasn't, and
// then nothing is kept and the queue is to be read once more.
func (k *kept) add(h keptHint, out *outbox) bool {
	size := overhead
	for i := range h.items {
		size += h.items[i].size()
	}
	if k.bytes+size > eventBytes || !out.room(k.bytes+size) {
		k.forget()
		return false
	}
	k.hints, k.bytes = append(k.hints, h), k.bytes+size
	return true
}

func (k *kept) forget() { *k = kept{} }

// joinLocked puts what was kept into the outbox as far as it goes on from at, the end of a
// read, and moves at on; false: something may be left to read.
func (s *session) joinLocked(at *chat.Cursor) bool {
	defer s.kept.forget()
	for _, h := range s.kept.hints {
		if h.cursor.Epoch != at.Epoch || at.Place != 0 {
			return false
		}
		if h.cursor.Seq <= at.Seq {
			continue
		}
		if h.prev > at.Seq || !s.out.putEvents(h.items...) {
			return false
		}
		*at = h.cursor
		for _, d := range h.direct {
			s.deliveringLocked(d.cursor, d.direct)
		}
	}
	return true
}
