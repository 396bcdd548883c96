package jetstream

import "natter/chat"

// draftSeen is the newest draft of a person and a room.
type draftSeen struct {
	text  bool // there is one
	at    uint64
	wrong bool // it is to go
}

// seeDraft looks at a draft. One that can't be read is deleted: what the log still
// tells of it is made again, else the one before counts again.
func (x *inspection) seeDraft(stream string, k markKey, m stored) {
	_, _, rec, err := readDraft(m)
	if err != nil {
		x.unreadable(stream, m, err, true)
		x.replay = true
		return
	}
	x.drafts[k] = draftSeen{text: rec.Draft.Text != "", at: m.Sequence}
}

// judgeDrafts finds the drafts of those who are no members. A member's may say what
// it likes: it was held to its limits when it came.
func (x *inspection) judgeDrafts() {
	for k, held := range x.drafts {
		r := x.rooms[k.room]
		room := r.now()
		switch {
		case !held.text:
		case room == nil && r != nil && (len(r.messages) > 0 || r.recordBad != 0): // the room has lost its record
		case room == nil || room.Member(k.user) == nil:
			held.wrong = true
			x.drafts[k] = held
			p := x.s.roomPartition(k.room)
			x.find(Finding{numbered(streamMarks, p), subjectDraft(p, k.user, k.room), held.at, "is a draft of nobody in the room", true})
		}
	}
}

// goneDraft is written over a draft that is to go.
func (x *inspection) goneDraft(p int) *draftRecord {
	return &draftRecord{Upto: x.logs[p].last, Draft: chat.Draft{At: x.logs[p].at}}
}
