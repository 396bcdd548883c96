package check

import (
	"maps"
	"slices"

	"natter/chat"
)

// check judges one room. It is a set of small passes over the same record, one
// for each way to go wrong.
func (r *roomHistory) check(room chat.RoomID, rep *Report) {
	r.acknowledgements(room, rep)
	r.sendersOrder(room, rep)
	agreed := map[chat.Seq]shown{} // what a seq means: as its sender was told, else as the first reader was shown
	for i := range r.sent {
		if s := &r.sent[i]; s.acked {
			agreed[s.seq] = shown{seq: s.seq, id: s.id, key: s.key}
		}
	}
	for _, reader := range slices.Sorted(maps.Keys(r.shown)) {
		list := r.shown[reader]
		rep.Seen += len(list)
		if _, ok := r.members[reader]; !ok {
			for _, s := range list {
				rep.find(&rep.Foreign, "%s: %s is no member and saw seq %d", room, reader, s.seq)
			}
			continue
		}
		r.reading(room, reader, list, agreed, rep)
	}
	for reader, since := range r.members {
		rep.Readers++
		r.losses(room, reader, since, rep)
	}
}

// acknowledgements: one message, one answer, however often it is asked; and no
// two messages with one id or one seq.
func (r *roomHistory) acknowledgements(room chat.RoomID, rep *Report) {
	ids := map[chat.MessageID]chat.ClientID{}
	seqs := map[chat.Seq]chat.ClientID{}
	for i := range r.sent {
		s := &r.sent[i]
		rep.Sent++
		if !s.acked {
			continue
		}
		rep.Acked++
		if other, ok := ids[s.id]; ok {
			rep.find(&rep.Differ, "%s: id %s was given to %s and to %s", room, s.id, other, s.key)
		}
		if other, ok := seqs[s.seq]; ok {
			rep.find(&rep.Differ, "%s: seq %d was given to %s and to %s", room, s.seq, other, s.key)
		}
		ids[s.id], seqs[s.seq] = s.key, s.key
	}
	for _, a := range r.again {
		if a.acked {
			rep.find(&rep.Twice, "%s: %s by %s was acknowledged as seq %d id %s and as seq %d id %s", room, a.key, a.by, a.send.seq, a.send.id, a.seq, a.id)
		} else {
			rep.find(&rep.Unexpected, "%s: %s was acknowledged as seq %d and nobody sent it", room, a.key, a.seq)
		}
	}
}

// sendersOrder: what one sender sent first stands first.
func (r *roomHistory) sendersOrder(room chat.RoomID, rep *Report) {
	last := map[string]*send{}
	for i := range r.sent {
		s := &r.sent[i]
		if !s.acked {
			continue
		}
		if before := last[s.by]; before != nil && before.seq > s.seq {
			rep.find(&rep.Order, "%s: %s sent %s before %s, and they stand at seq %d and %d", room, s.by, before.key, s.key, before.seq, s.seq)
		}
		last[s.by] = s
	}
}

// reading: what one reader was shown rises without holes, shows nothing twice
// and nothing that nobody sent, and says the same as its sender was told and as
// every other reader was shown.
func (r *roomHistory) reading(room chat.RoomID, reader Reader, list []shown, agreed map[chat.Seq]shown, rep *Report) {
	since := r.members[reader]
	seqs := make(map[chat.Seq]bool, len(list))
	keys := make(map[chat.ClientID]chat.Seq, len(list))
	ids := make(map[chat.MessageID]chat.Seq, len(list))
	var highest chat.Seq
	for _, s := range list {
		switch first, sameKey := keys[s.key]; {
		case s.seq <= since:
			rep.find(&rep.Foreign, "%s: %s joined after seq %d and saw seq %d", room, reader, since, s.seq)
		case seqs[s.seq]:
			rep.find(&rep.Twice, "%s: %s was shown seq %d twice", room, reader, s.seq)
		case sameKey && !s.key.IsZero():
			rep.find(&rep.Twice, "%s: %s was shown %s at seq %d and at seq %d", room, reader, s.key, first, s.seq)
		case ids[s.id] != 0:
			rep.find(&rep.Twice, "%s: %s was shown id %s at seq %d and at seq %d", room, reader, s.id, ids[s.id], s.seq)
		case s.seq < highest:
			rep.find(&rep.Order, "%s: %s was shown seq %d after seq %d", room, reader, s.seq, highest)
		}
		if _, ok := r.bySend[s.key]; !ok && !s.key.IsZero() {
			rep.find(&rep.Unexpected, "%s: %s was shown %s at seq %d and nobody sent it", room, reader, s.key, s.seq)
		}
		if other, ok := agreed[s.seq]; !ok {
			agreed[s.seq] = s
		} else if other != s {
			rep.find(&rep.Differ, "%s: seq %d is %s id %s for %s, and %s id %s for its sender or another reader", room, s.seq, s.key, s.id, reader, other.key, other.id)
		}
		seqs[s.seq], keys[s.key], ids[s.id] = true, s.seq, s.seq
		highest = max(highest, s.seq)
	}
	for seq := since + 1; seq < highest; seq++ {
		if !seqs[seq] {
			rep.find(&rep.Holes, "%s: %s never saw seq %d and saw seq %d", room, reader, seq, highest)
		}
	}
}

// losses: what was acknowledged is shown to each member.
func (r *roomHistory) losses(room chat.RoomID, reader Reader, since chat.Seq, rep *Report) {
	has := make(map[chat.ClientID]bool, len(r.shown[reader]))
	first, last := chat.Seq(0), chat.Seq(0)
	for _, s := range r.shown[reader] {
		has[s.key] = true
		if first == 0 || s.seq < first {
			first = s.seq
		}
		last = max(last, s.seq)
	}
	for i := range r.sent {
		s := &r.sent[i]
		if !s.acked || s.seq <= since || has[s.key] {
			continue
		}
		where, count := "between", &rep.LostMiddle
		switch {
		case s.seq > last:
			where, count = "after the last", &rep.LostTail
		case s.seq < first:
			where, count = "before the first", &rep.LostPrefix
		}
		*count++
		rep.find(&rep.Lost, "%s: %s by %s was acknowledged as seq %d and %s never saw it (%s it saw)", room, s.key, s.by, s.seq, reader, where)
	}
}
