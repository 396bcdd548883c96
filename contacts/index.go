package contacts

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"natter/chat"
)

// index is every pair that has something between them, about 120 bytes each.
type index struct {
	mu sync.RWMutex
	// of is each person's pairs, by the other's id.
	of map[chat.UserID][]*held
	// barred are the pairs with a block, by their direct room.
	barred map[chat.RoomID]*held
	// watched is the last revision the watch has told. Revisions count all keys, so
	// a change of up to it, told by anybody else, is known or has been overtaken.
	watched uint64

	// How many of them are held and barred, to be asked without the lock.
	pairs, bars atomic.Int64
}

// held is a pair as of a revision. It is never changed once it is in the index,
// only replaced.
type held struct {
	chat.Pair
	revision uint64
}

func newIndex() *index {
	return &index{of: map[chat.UserID][]*held{}, barred: map[chat.RoomID]*held{}}
}

// put takes a pair as of revision, from the watch or from who has just written or
// read it, and returns what was known before it; ok is false if that was newer.
//
// An idle pair that this node made so stays until the watch has passed it: else
// the watch, being behind, would bring back what was before.
func (x *index) put(p chat.Pair, revision uint64, byWatch bool) (before chat.Pair, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.findLocked(p.Low, p.High)
	if old != nil {
		before = old.Pair
	}
	switch {
	case byWatch:
		x.watched = max(x.watched, revision)
		if old != nil && old.revision > revision {
			return before, false
		}
	case revision <= x.watched, old != nil && old.revision >= revision:
		return before, false
	}
	now := &held{p, revision}
	if byWatch && p.Idle() {
		now = nil
	}
	if before.Low == "" {
		before = chat.NewPair(p.Low, p.High)
	}
	x.setLocked(&p, now)
	return before, true
}

// setLocked makes now (nil: nothing) what is held of a pair.
func (x *index) setLocked(p *chat.Pair, now *held) {
	if now != nil { // share the strings of ids that are here already
		now.Low, now.High = x.nameLocked(p.Low), x.nameLocked(p.High)
	}
	switch old := x.findLocked(p.Low, p.High); {
	case old == nil && now != nil:
		x.pairs.Add(1)
	case old != nil && now == nil:
		x.pairs.Add(-1)
	}
	for _, u := range []chat.UserID{p.Low, p.High} {
		all := x.of[u]
		i, there := place(all, u, p.Other(u))
		switch {
		case there && now != nil:
			all[i] = now
		case there:
			all = slices.Delete(all, i, i+1)
		case now != nil:
			all = slices.Insert(all, i, now)
		}
		if len(all) == 0 {
			delete(x.of, u)
		} else {
			x.of[u] = all
		}
	}
	room := chat.DirectRoomID(p.Low, p.High)
	if now != nil && now.Barred() {
		x.barred[room] = now
	} else {
		delete(x.barred, room)
	}
	x.bars.Store(int64(len(x.barred)))
}

// nameLocked is u as an entry of it spells it, so that each id is in memory about
// once.
func (x *index) nameLocked(u chat.UserID) chat.UserID {
	if all := x.of[u]; len(all) > 0 {
		if all[0].Low == u {
			return all[0].Low
		}
		return all[0].High
	}
	return chat.UserID(strings.Clone(string(u))) // not a piece of what it was read from
}

// place is where other stands among u's pairs, or would.
func place(all []*held, u, other chat.UserID) (int, bool) {
	return slices.BinarySearchFunc(all, other, func(h *held, other chat.UserID) int {
		return strings.Compare(string(h.Other(u)), string(other))
	})
}

func (x *index) findLocked(a, b chat.UserID) *held {
	all := x.of[a]
	if i, ok := place(all, a, b); ok {
		return all[i]
	}
	return nil
}

// pair is what is known of two people, and as of which revision. When nothing is
// known it is that nothing is between them, as far as the watch has come.
func (x *index) pair(a, b chat.UserID) (chat.Pair, uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if h := x.findLocked(a, b); h != nil {
		return h.Pair, h.revision
	}
	return chat.NewPair(a, b), x.watched
}

// pairsOf are u's. What they point to doesn't change; the slice is the caller's.
func (x *index) pairsOf(u chat.UserID) []*held {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.of[u])
}

func (x *index) counts(u chat.UserID) (c chat.ContactCounts) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, h := range x.of[u] {
		switch h.Contact(u).State {
		case chat.ContactFriend:
			c.Friends++
		case chat.ContactOutgoing:
			c.Outgoing++
		case chat.ContactIncoming:
			c.Incoming++
		}
		if h.BlockedBy(u) != 0 {
			c.Blocks++
		}
	}
	return c
}

// bar is the barred pair of a direct room, nil if there is none.
func (x *index) bar(room chat.RoomID) *held {
	if x.bars.Load() == 0 {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.barred[room]
}
