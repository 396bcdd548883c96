package jetstream

import (
	"context"
	"fmt"
	"strings"

	"natter/chat"
)

// drafts is the chat.Drafts of a Store. A draft has a subject of its own beside
// its person's mark, for a room is read with all its members' marks, and a mark is
// written with every message of its person.
type drafts struct{ s *Store }

// draftsAtOnce bounds a request: as many texts of MaxTextRunes, of 4 bytes each.
const draftsAtOnce = 64

// draftsBytes is more than they can have.
const draftsBytes = draftsAtOnce * 4 * (chat.MaxTextRunes + 100)

// Of implements chat.Drafts.
func (d drafts) Of(ctx context.Context, u chat.UserID, rooms ...chat.RoomID) (map[chat.RoomID]chat.Draft, error) {
	subjects := make(map[int][]string)
	for _, id := range rooms {
		p := d.s.roomPartition(id)
		subjects[p] = append(subjects[p], subjectDraft(p, u, id))
	}
	held := make(map[chat.RoomID]chat.Draft)
	for p, wanted := range subjects {
		for len(wanted) > 0 {
			n := min(len(wanted), draftsAtOnce)
			found, err := d.s.reader.many(ctx, numbered(streamMarks, p), ask{MultiLast: wanted[:n], MaxBytes: draftsBytes})
			if err != nil {
				return nil, err
			}
			for _, m := range found.Messages {
				_, room, rec, err := readDraft(m)
				if err != nil {
					return nil, err
				}
				if rec.Draft.Text != "" {
					held[room] = rec.Draft
				}
			}
			wanted = wanted[n:]
		}
	}
	return held, nil
}

func isDraft(m stored) bool { return strings.HasPrefix(m.Subject, "draft.") }

func readDraft(m stored) (u chat.UserID, room chat.RoomID, rec draftRecord, err error) {
	if u, room, err = parseMarkSubject(m.Subject); err != nil {
		return "", "", rec, err
	}
	if err = decode(m.Data, &rec); err != nil {
		return "", "", rec, fmt.Errorf("%s: %w", m.Subject, err)
	}
	return u, room, rec, nil
}

// takeDraft puts a draft that was read into its room. One that was written after
// the base is as good as unknown while replaying, as a mark is.
func (p *projector) takeDraft(m stored) error {
	u, id, rec, err := readDraft(m)
	if err != nil {
		return err
	}
	r := p.rooms[id]
	sum := rec.Draft.Sum()
	if rec.Upto > p.rec.base.Log && p.rec.replaying(p.applied.Load()+1) {
		r.draftsUpto[u] = rec.Upto
		sum = chat.DraftUnknown
	}
	if member := r.Room.Member(u); member != nil {
		member.Draft = sum
	}
	return nil
}

// addDraft notes that a command changed its author's draft, and that the drafts of
// those who have left are gone.
func (t *take) addDraft(in *touched, log uint64, c *chat.Command, out *chat.Outcome) {
	note := func(u chat.UserID, d chat.Draft) {
		in.room.drafts[u] = true // no need to read what we know
		if log > in.room.draftsUpto[u] {
			in.drafts[u] = d
		}
	}
	if out.Draft != nil {
		note(c.By, *out.Draft)
	}
	for _, u := range out.Left {
		note(u, chat.Draft{})
	}
}

// draftKey names what a take tells of a person's draft.
type draftKey struct {
	user chat.UserID
	room chat.RoomID
}

// tell adds an event to a queue. Of a room's drafts the newest of a take is told:
// those before it are of no use to anybody, and who types much does not fill his
// queue with them.
func (t *take) tell(u chat.UserID, e *chat.Event, told *event) {
	queue := t.queues[u]
	if e.Type == chat.EventDraft {
		k := draftKey{u, e.Room}
		if before, ok := t.told[k]; ok {
			queue[before] = nil
		}
		t.told[k] = len(queue)
	}
	t.queues[u] = append(queue, told)
}
