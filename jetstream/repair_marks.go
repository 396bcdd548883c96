package jetstream

import (
	"context"
	"fmt"

	"natter/chat"
)

type markKey struct {
	user chat.UserID
	room chat.RoomID
}

// markSeen is the newest mark of a person and a room.
type markSeen struct {
	mark  chat.Mark
	at    uint64
	wrong bool // to be written again
}

func (x *inspection) lookMarks(ctx context.Context, p int) error {
	stream := numbered(streamMarks, p)
	return x.read(ctx, stream, func(m stored) {
		u, id, err := parseMarkSubject(m.Subject)
		if err != nil || x.s.roomPartition(id) != p {
			x.find(Finding{stream, m.Subject, m.Sequence, "is no subject of this partition", false})
			return
		}
		k := markKey{u, id}
		if isDraft(m) {
			x.seeDraft(stream, k, m)
			return
		}
		var rec markRecord
		if err := decode(m.Data, &rec); err != nil {
			x.unreadable(stream, m, err, true)
			held := x.marks[k]
			held.wrong = true // an older one, or none, says too little
			x.marks[k] = held
			return
		}
		x.marks[k] = markSeen{mark: rec.Mark, at: m.Sequence}
	})
}

// judgeMarks holds the marks against the rooms: every member has one, within the
// room, and nobody else has one that isn't left.
func (x *inspection) judgeMarks() {
	wrong := func(k markKey, format string, args ...any) {
		held := x.marks[k]
		held.wrong = true
		x.marks[k] = held
		p := x.s.roomPartition(k.room)
		x.find(Finding{numbered(streamMarks, p), subjectMark(p, k.user, k.room), held.at, fmt.Sprintf(format, args...), true})
	}
	for k, held := range x.marks {
		if held.wrong || held.mark.Left {
			continue
		}
		r := x.rooms[k.room]
		switch room := r.now(); {
		case room == nil && r != nil && (len(r.messages) > 0 || r.recordBad != 0): // it has lost its record
		case room == nil:
			wrong(k, "names a room that does not exist")
		case room.Member(k.user) == nil:
			wrong(k, "is of nobody in the room, and not left")
		case held.mark.Read > r.end():
			wrong(k, "has read %d of %d", held.mark.Read, r.end())
		}
	}
	for _, r := range x.rooms {
		room := r.now()
		if room == nil {
			continue
		}
		for i := range room.Members {
			k := markKey{room.Members[i].User, r.id}
			if held, ok := x.marks[k]; !ok || held.mark.Left && !held.wrong {
				wrong(k, "is missing, of a member")
			}
		}
	}
}

// now is the room's record as it will be; nil if there is none.
func (r *roomSeen) now() *chat.Room {
	switch {
	case r == nil:
		return nil
	case r.rewrite:
		return &r.applied.Room
	}
	return r.record
}

// end is the room's last seq.
func (r *roomSeen) end() chat.Seq {
	if r.applied != nil && !r.odd {
		return max(r.last, r.applied.Last)
	}
	return r.last
}

// newMark is the mark a person should have; state, which may be nil, is the room by
// the log.
func (x *inspection) newMark(k markKey, state *chat.RoomState) chat.Mark {
	r := x.rooms[k.room]
	room := r.now()
	if room == nil || room.Member(k.user) == nil {
		return chat.Mark{Left: true}
	}
	mark := x.marks[k].mark
	mark.Left = false
	if mark.Read > r.end() {
		mark.Read = 0
	}
	mark.Read = max(mark.Read, room.Member(k.user).ReadFrom())
	if state != nil {
		if m := state.Room.Member(k.user); m != nil {
			mark.Read, mark.Muted = max(mark.Read, m.Read), m.Muted
		}
	}
	mark.Read = min(mark.Read, r.end())
	return mark
}
