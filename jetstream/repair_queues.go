package jetstream

import (
	"context"
	"fmt"
	"time"

	"natter/chat"
)

// queueSeen is what was found of a user's queue.
type queueSeen struct {
	upto  map[int]uint64           // by partition of the log
	rooms map[chat.RoomID]chat.Seq // the newest message told, since the user came in
}

// reach tells whether a replay would write again what stood at a place of SYNC-q.
func (x *inspection) reach(q int, seq uint64) bool {
	if x.tried {
		return false
	}
	for p := range x.logs {
		if x.logs[p].first > 1 && (q >= len(x.logs[p].base.Sync) || x.logs[p].base.Sync[q] >= seq) {
			return false
		}
	}
	return true
}

// lost notes that entries before a place of SYNC-q are lost: they are made again,
// or cursors of before are reset.
func (x *inspection) lost(q int, before uint64) {
	if x.reach(q, before-1) {
		x.replay = true
		return
	}
	stream := numbered(streamSync, q)
	x.purge[stream] = max(x.purge[stream], before)
}

func (x *inspection) lookQueues(ctx context.Context, q int) error {
	stream, prefix := numbered(streamSync, q), len(subjectSync(q, ""))
	return x.read(ctx, stream, func(m stored) {
		if len(m.Subject) <= prefix || x.s.userPartition(chat.UserID(m.Subject[prefix:])) != q {
			x.find(Finding{stream, m.Subject, m.Sequence, "is no subject of this partition", false})
			return
		}
		var entry queueEntry
		err := decode(m.Data, &entry)
		events := make([]*chat.Event, len(entry.Events))
		for i := 0; i < len(events) && err == nil; i++ {
			events[i], err = x.s.events.decode(entry.Events[i])
		}
		if err == nil && entry.Partition >= len(x.logs) {
			err = fmt.Errorf("is of partition %d of %d", entry.Partition, len(x.logs))
		}
		if err != nil {
			x.unreadable(stream, m, err, true)
			x.lost(q, m.Sequence+1)
			return
		}
		seen := x.queues[m.Subject]
		if seen == nil {
			seen = &queueSeen{upto: map[int]uint64{}, rooms: map[chat.RoomID]chat.Seq{}}
			x.queues[m.Subject] = seen
		}
		seen.upto[entry.Partition] = max(seen.upto[entry.Partition], entry.Upto)
		foreign := 0
		for _, e := range events {
			if !x.seeEvent(seen, q, m, e) {
				foreign++
			}
		}
		if foreign > 0 {
			x.drop = append(x.drop, record{stream, m.Sequence})
			if foreign < len(events) {
				x.lost(q, m.Sequence+1)
			}
		}
	})
}

// seeEvent judges an event of a queue; false if it tells what is nobody's.
func (x *inspection) seeEvent(seen *queueSeen, q int, m stored, e *chat.Event) bool {
	stream := numbered(streamSync, q)
	if e.Type == chat.EventRoomLeft {
		delete(seen.rooms, e.Room)
	}
	if e.Message == nil {
		return true
	}
	r, seq := x.rooms[e.Room], e.Message.Seq
	switch {
	case r == nil:
		x.find(Finding{stream, m.Subject, m.Sequence, fmt.Sprintf("tells of room %s, which does not exist", e.Room), true})
		return false
	case r.message(seq) == 0 && seq != 0 && (seq <= r.last || r.applied != nil && seq <= r.applied.Last):
		r.lack(seq).queue = true
	case r.message(seq) != e.Message.ID:
		x.find(Finding{stream, m.Subject, m.Sequence,
			fmt.Sprintf("tells message %d of room %s as %d, which is %d", seq, e.Room, e.Message.ID, r.message(seq)), true})
		return false
	}
	if e.Type != chat.EventMessage {
		return true
	}
	if last := seen.rooms[e.Room]; last != 0 && seq > last+1 {
		x.lost(q, m.Sequence)
		x.find(Finding{stream, m.Subject, m.Sequence, fmt.Sprintf("tells message %d of room %s after %d", seq, e.Room, last), true})
	}
	seen.rooms[e.Room] = max(seen.rooms[e.Room], seq)
	return true
}

// judgeQueues finds queues that end before what the log told last. What age took
// is not missed: it is older than the oldest entry.
func (x *inspection) judgeQueues(ctx context.Context) error {
	oldest := make([]time.Time, len(x.logs)) // by SYNC-q
	empty := make([]bool, len(x.logs))       // and nothing ever was in it
	for q := range x.logs {
		st, err := x.s.js.Stream(ctx, numbered(streamSync, q))
		if err != nil {
			empty[q] = true // read has said so
			continue
		}
		state := st.CachedInfo().State
		oldest[q], empty[q] = state.FirstTime, state.LastSeq == 0
		if state.Msgs == 0 {
			oldest[q] = time.Now()
		}
	}
	for p := range x.logs {
		for u, t := range x.logs[p].told {
			q := x.s.userPartition(u)
			if !empty[q] && !t.at.Time().After(oldest[q]) {
				continue
			}
			if seen := x.queues[subjectSync(q, u)]; seen != nil && seen.upto[p] >= t.log {
				continue
			}
			again := !x.tried && (x.logs[p].first <= 1 || x.logs[p].base.Log < t.log)
			x.replay = x.replay || again
			x.find(Finding{numbered(streamSync, q), subjectSync(q, u), 0, fmt.Sprintf("lacks what partition %d told it at log %d", p, t.log), again})
		}
	}
	return nil
}

// fromQueues looks for the newest form of missing messages in the queues.
func (x *inspection) fromQueues(ctx context.Context, want map[chat.RoomID]*roomSeen) (map[chat.RoomID]map[chat.Seq]chat.Message, error) {
	found, upto := map[chat.RoomID]map[chat.Seq]chat.Message{}, map[chat.RoomID]map[chat.Seq]uint64{}
	for q := range x.logs {
		err := x.read(ctx, numbered(streamSync, q), func(m stored) {
			var entry queueEntry
			if decode(m.Data, &entry) != nil {
				return
			}
			for _, raw := range entry.Events {
				e, err := x.s.events.decode(raw)
				if err != nil || e.Message == nil || want[e.Room] == nil || want[e.Room].missing[e.Message.Seq] == nil {
					continue
				}
				if found[e.Room] == nil {
					found[e.Room], upto[e.Room] = map[chat.Seq]chat.Message{}, map[chat.Seq]uint64{}
				}
				if entry.Upto >= upto[e.Room][e.Message.Seq] {
					found[e.Room][e.Message.Seq], upto[e.Room][e.Message.Seq] = *e.Message, entry.Upto
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
