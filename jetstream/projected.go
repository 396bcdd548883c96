package jetstream

import (
	"context"
	"fmt"
	"slices"

	"natter/chat"
)

// projected is a room's state in a projector's memory.
type projected struct {
	*chat.RoomState
	newest *chat.Message
	// marks are the members whose Read and Muted are known; marksUpto is set,
	// while replaying, for marks that were written after the base.
	marks     map[chat.UserID]bool
	marksUpto map[chat.UserID]uint64
	// drafts and draftsUpto are the same of the members' drafts.
	drafts     map[chat.UserID]bool
	draftsUpto map[chat.UserID]uint64
	reached    map[uint64]*page // sealed pages a command of late amended, or made
	holding    bool             // it is in the projector's holding
	take       uint64           // the last take that touched it
	sealed     uint64           // pages sealed and written
}

// sealedTo is the last seq that lies in a sealed page.
func (r *projected) sealedTo() uint64 { return r.sealed * chat.PageMessages }

// loadAtOnce bounds a request for rooms: 64 entries of at most takeBytes.
const loadAtOnce = 64

// load brings every room and author's mark the batches need into memory, a
// request for many at a time.
func (p *projector) load(ctx context.Context, gathered []logged) error {
	var rooms []chat.RoomID
	missing := make(map[chat.RoomID]bool)
	for i := range gathered {
		for j := range gathered[i].batch.Commands {
			c := &gathered[i].batch.Commands[j]
			if c.Op == chat.OpTell || p.rooms[c.Room] != nil || missing[c.Room] {
				continue
			}
			missing[c.Room] = true
			rooms = append(rooms, c.Room)
		}
	}
	for len(rooms) > 0 {
		n := min(len(rooms), loadAtOnce)
		if err := p.loadRooms(ctx, rooms[:n]); err != nil {
			return err
		}
		rooms = rooms[n:]
	}
	return p.loadOwn(ctx, gathered)
}

// loadOwn brings the marks and drafts the batches need into memory.
func (p *projector) loadOwn(ctx context.Context, gathered []logged) error {
	var marks, drafts []string
	for i := range gathered {
		replaying := p.rec.replaying(gathered[i].sequence)
		for j := range gathered[i].batch.Commands {
			c := &gathered[i].batch.Commands[j]
			if c.Op == chat.OpTell {
				continue
			}
			r := p.rooms[c.Room]
			want := func(u chat.UserID) {
				if !r.marks[u] {
					r.marks[u] = true
					marks = append(marks, subjectMark(p.partition, u, c.Room))
				}
			}
			wantDraft := func(u chat.UserID) {
				if !r.drafts[u] {
					r.drafts[u] = true
					drafts = append(drafts, subjectDraft(p.partition, u, c.Room))
				}
			}
			if c.Op == chat.OpDraft && (replaying || r.Exists() && r.Room.Member(c.By) != nil) {
				wantDraft(c.By)
			}
			// While replaying, of everyone whose mark the command may write, member
			// or not yet: what survived of it must not be overwritten.
			if replaying {
				want(c.By)
				for _, u := range c.Users {
					want(u)
				}
				for _, u := range losing(c, r) {
					wantDraft(u)
				}
			} else if r.Exists() && r.Room.Member(c.By) != nil {
				want(c.By)
			}
		}
	}
	if err := p.readOwn(ctx, marks, 512, 8<<20, p.takeMark); err != nil {
		return err
	}
	return p.readOwn(ctx, drafts, draftsAtOnce, draftsBytes, p.takeDraft)
}

// losing are the people whose drafts a command may take away.
func losing(c *chat.Command, r *projected) []chat.UserID {
	switch c.Op {
	case chat.OpRemove:
		return c.Users
	case chat.OpClose:
		return r.Room.UserIDs()
	}
	return nil
}

func (p *projector) readOwn(ctx context.Context, subjects []string, atOnce, bytes int, take func(stored) error) error {
	for len(subjects) > 0 {
		n := min(len(subjects), atOnce)
		found, err := p.s.reader.many(ctx, numbered(streamMarks, p.partition), ask{MultiLast: subjects[:n], MaxBytes: bytes})
		if err != nil {
			return err
		}
		for _, m := range found.Messages {
			if err := take(m); err != nil {
				return err
			}
		}
		subjects = subjects[n:]
	}
	return nil
}

// takeMark puts a mark that was read into its room. One that was written after
// the base counts as unknown while replaying: the commands will move it there.
func (p *projector) takeMark(m stored) error {
	u, id, err := parseMarkSubject(m.Subject)
	if err != nil {
		return err
	}
	var rec markRecord
	if err := decode(m.Data, &rec); err != nil {
		return fmt.Errorf("%s: %w", m.Subject, err)
	}
	r := p.rooms[id]
	if rec.Upto > p.rec.base.Log && p.rec.replaying(p.applied.Load()+1) {
		r.marksUpto[u] = rec.Upto
		return nil
	}
	if member := r.Room.Member(u); member != nil && !rec.Mark.Left {
		member.Read, member.Muted = max(member.Read, rec.Mark.Read), rec.Mark.Muted
	}
	return nil
}

// loadRooms reads rooms' records and last entries: as they were at the base
// while replaying, as they are afterwards.
func (p *projector) loadRooms(ctx context.Context, ids []chat.RoomID) error {
	subjects := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		p.rooms[id] = &projected{RoomState: chat.NewRoomState(nil, 0), take: p.takes,
			marks: make(map[chat.UserID]bool), marksUpto: make(map[chat.UserID]uint64),
			drafts: make(map[chat.UserID]bool), draftsUpto: make(map[chat.UserID]uint64)}
		p.rooms[id].Room.ID = id
		subjects = append(subjects, subjectRoom(p.partition, id), subjectMessages(p.partition, id))
	}
	request := ask{MultiLast: subjects, MaxBytes: 64 << 20}
	if p.rec.replaying(p.applied.Load() + 1) {
		if p.rec.base.History == 0 {
			return nil // there was nothing then
		}
		request.UpTo = p.rec.base.History
	}
	found, err := p.s.reader.many(ctx, numbered(streamHistory, p.partition), request)
	if err != nil {
		return err
	}
	for _, m := range found.Messages {
		kind, id, err := parseRoomSubject(m.Subject)
		if err != nil {
			return err
		}
		r := p.rooms[id]
		switch kind {
		case "room":
			var rec roomRecord
			if err := decode(m.Data, &rec); err != nil {
				return fmt.Errorf("%s: %w", m.Subject, err)
			}
			r.Room = rec.Room
			for i := range r.Room.Members {
				r.Room.Members[i].Read = r.Room.Members[i].ReadFrom()
			}
		case "msg":
			var entry roomEntry
			if err := decode(m.Data, &entry); err != nil {
				return fmt.Errorf("%s: %w", m.Subject, err)
			}
			r.Last = entry.Last
			r.sealed = r.Sealed()
			if n := len(entry.Messages); n > 0 {
				newest := entry.Messages[n-1]
				newest.Room = id
				r.newest = &newest
				r.LastAt = newest.CreatedAt
			}
		}
	}
	return nil
}

// reach brings a message that history holds to where the rules change it.
func (p *projector) reach(ctx context.Context, r *projected, seq chat.Seq) error {
	if !r.Exists() || seq == 0 || seq > r.Last || r.Find(seq) != nil {
		return nil
	}
	if uint64(seq) > r.sealedTo() {
		return p.fillTail(ctx, r)
	}
	k := (uint64(seq) - 1) / chat.PageMessages
	held := r.reached[k]
	if held == nil {
		rec, err := p.s.readPage(ctx, p.partition, r.Room.ID, k, p.asOf())
		if err != nil {
			return err
		}
		failpoint("seal.reached")
		p.hold(r, k, rec)
		held = rec
	}
	r.Reach = held.Messages
	return nil
}

// asOf is the sequence of HISTORY-p to read at, 0 for now.
func (p *projector) asOf() uint64 {
	if p.rec.replaying(p.applied.Load() + 1) {
		return p.rec.base.History
	}
	return 0
}

// fillTail reads the messages between the last sealed page and the tail, which
// a room loaded in the middle of a page lacks.
func (p *projector) fillTail(ctx context.Context, r *projected) error {
	from := chat.Seq(r.sealedTo() + 1)
	to := r.Last
	if len(r.Tail) > 0 {
		to = r.Tail[0].Seq - 1
	}
	if from > to {
		return nil
	}
	upto := ^uint64(0)
	if p.rec.replaying(p.applied.Load() + 1) {
		upto = p.rec.base.Log
	}
	missing, err := p.s.readTail(ctx, p.partition, r.Room.ID, r.sealed, from, to, upto)
	if err != nil {
		return err
	}
	if len(missing) != int(to-from)+1 {
		return fmt.Errorf("room %s: history holds %d of the messages %d to %d", r.Room.ID, len(missing), from, to)
	}
	r.Tail = append(missing, r.Tail...)
	return nil
}

// seal cuts full pages off the room's tail.
func (p *projector) seal(ctx context.Context, r *projected, upto uint64) (map[uint64]*page, error) {
	if r.Sealed() == r.sealed {
		return nil, nil
	}
	if err := p.fillTail(ctx, r); err != nil {
		return nil, err
	}
	pages := make(map[uint64]*page)
	for _, messages := range r.TakePages() {
		k := (uint64(messages[0].Seq) - 1) / chat.PageMessages
		pages[k] = &page{Upto: upto, After: p.history, Messages: messages}
		p.hold(r, k, pages[k])
	}
	failpoint("seal.cut")
	r.sealed = r.Sealed()
	return pages, nil
}

// hold keeps a page in memory. It must not be read while it is on its way to
// HISTORY; and while replaying, one that was sealed after the base isn't there as of
// the base.
func (p *projector) hold(r *projected, k uint64, held *page) {
	if r.reached == nil {
		r.reached = make(map[uint64]*page)
	}
	r.reached[k] = held
	if !r.holding {
		r.holding = true
		p.holding = append(p.holding, r)
	}
}

// letGo drops the pages of rooms that no take under way has touched; they can be
// read again. Not while replaying, see hold.
func (p *projector) letGo() {
	if p.rec.replaying(p.applied.Load() + 1) {
		return
	}
	finished := p.takesDone.Load()
	p.holding = slices.DeleteFunc(p.holding, func(r *projected) bool {
		if r.take >= finished {
			return false
		}
		r.reached, r.Reach, r.holding = nil, nil, false
		return true
	})
}

// evict drops rooms that no take under way has touched, when there are too
// many. Never while replaying: a state read again would be the state of now.
func (p *projector) evict() {
	if len(p.rooms) <= roomsCached || p.rec.replaying(p.applied.Load()+1) {
		return
	}
	finished := p.takesDone.Load()
	for id, r := range p.rooms {
		if len(p.rooms) <= roomsCached*9/10 {
			return
		}
		if r.take < finished {
			delete(p.rooms, id)
		}
	}
}
