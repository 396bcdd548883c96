package jetstream

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"

	"natter/chat"
)

// roomSeen is what was found of a room, 24 bytes a message and as many again in a
// page, so that a million messages need 50 MB.
type roomSeen struct {
	id        chat.RoomID
	partition int

	record    *chat.Room // nil: none that can be read
	recordAt  uint64     // its sequence of HISTORY
	recordBad uint64     // the sequence of an unreadable one after it

	last     chat.Seq // by the newest entry
	upto     uint64
	messages []messageSeen // by seq-1
	pages    map[uint64]*pageSeen
	// firstAt[k] is the first sequence of HISTORY with a message of page k or later.
	firstAt []uint64

	// The room after the first take that ended at or after the log's first batch:
	// what follows in the log must come to what follows in history.
	begun     bool
	beginUpto uint64
	beginLast chat.Seq
	begin     *chat.Room

	applied  *chat.RoomState // by the log; nil: nothing of it there
	odd      bool            // log and history differ; one finding says so
	missing  map[chat.Seq]*missing
	newPages map[uint64]bool // to be made again
	rewrite  bool            // the record, by the log
}

// messageSeen is the newest form of a message in the entries; sum 0: in none.
type messageSeen struct {
	id  chat.MessageID
	sum uint64
}

// pageSeen is the newest record of a page.
type pageSeen struct {
	at    uint64
	after uint64
	bad   string // why it can't be right by itself
	ids   [chat.PageMessages]messageSeen
}

// missing is a message no entry holds, and who still has it.
type missing struct{ log, page, queue bool }

func (r *roomSeen) lack(seq chat.Seq) *missing {
	if r.missing == nil {
		r.missing = map[chat.Seq]*missing{}
	}
	if r.missing[seq] == nil {
		r.missing[seq] = &missing{}
	}
	return r.missing[seq]
}

// message is the id of a message by any record of it; 0: none.
func (r *roomSeen) message(seq chat.Seq) chat.MessageID {
	if seq == 0 || int(seq) > len(r.messages) {
		return 0
	}
	if m := r.messages[seq-1]; m.sum != 0 {
		return m.id
	}
	if p := r.pages[(uint64(seq)-1)/chat.PageMessages]; p != nil && p.bad == "" {
		return p.ids[(seq-1)%chat.PageMessages].id
	}
	return 0
}

func (x *inspection) room(p int, id chat.RoomID) *roomSeen {
	r := x.rooms[id]
	if r == nil {
		r = &roomSeen{id: id, partition: p, pages: map[uint64]*pageSeen{}, newPages: map[uint64]bool{}}
		if x.logs[p].first <= 1 {
			r.begun = true // with nothing
		}
		x.rooms[id] = r
	}
	return r
}

func (x *inspection) sum(m *chat.Message) uint64 {
	return max(maphash.Bytes(x.seed, must(encoding.Marshal(m))), 1)
}

func (x *inspection) lookHistory(ctx context.Context, p int) error {
	stream := numbered(streamHistory, p)
	return x.read(ctx, stream, func(m stored) {
		parts := strings.Split(m.Subject, ".")
		if len(parts) < 3 || x.s.roomPartition(chat.RoomID(parts[2])) != p {
			x.find(Finding{stream, m.Subject, m.Sequence, "is no subject of this partition", false})
			return
		}
		r := x.room(p, chat.RoomID(parts[2]))
		switch parts[0] {
		case "room":
			x.seeRecord(r, stream, m)
		case "msg":
			x.seeEntry(r, stream, m)
		case "page":
			x.seePage(r, stream, m, parts[len(parts)-1])
		}
	})
}

// advance notes the state of the room that the log's first batch follows.
func (x *inspection) advance(r *roomSeen, upto uint64) {
	switch {
	case r.begun && upto != r.beginUpto:
	case x.logs[r.partition].first <= 1: // nothing
	default: // this take, or one before the log
		r.begun = upto >= x.logs[r.partition].first
		r.beginUpto, r.beginLast, r.begin = upto, r.last, r.record
	}
}

func (x *inspection) seeRecord(r *roomSeen, stream string, m stored) {
	var rec roomRecord
	if err := decode(m.Data, &rec); err != nil {
		r.recordBad = m.Sequence
		// Only the log tells for sure what it said.
		x.unreadable(stream, m, err, x.logs[r.partition].first <= 1)
		return
	}
	r.record, r.recordAt, r.recordBad = &rec.Room, m.Sequence, 0
	x.advance(r, rec.Upto)
	if rec.Room.ID != r.id || rec.Room.Kind != chat.RoomDirect && rec.Room.Kind != chat.RoomGroup {
		x.find(Finding{stream, m.Subject, m.Sequence, fmt.Sprintf("is the record of %q, kind %q", rec.Room.ID, rec.Room.Kind), x.logs[r.partition].first <= 1})
	}
}

func (x *inspection) seeEntry(r *roomSeen, stream string, m stored) {
	var entry roomEntry
	if err := decode(m.Data, &entry); err != nil {
		x.unreadable(stream, m, err, true)
		return
	}
	n := len(entry.Messages)
	if n == 0 || entry.Messages[n-1].Seq != entry.Last || entry.Last < r.last {
		x.find(Finding{stream, m.Subject, m.Sequence, fmt.Sprintf("does not end with the room's newest message: last %d after %d", entry.Last, r.last), false})
	}
	for i := range entry.Messages {
		message := &entry.Messages[i]
		if message.Seq == 0 || message.Seq > entry.Last || message.ID == 0 {
			x.find(Finding{stream, m.Subject, m.Sequence, fmt.Sprintf("holds message %d with id %d, its last is %d", message.Seq, message.ID, entry.Last), false})
			continue
		}
		for len(r.messages) < int(message.Seq) {
			r.messages = append(r.messages, messageSeen{})
		}
		for k := (uint64(message.Seq) - 1) / chat.PageMessages; uint64(len(r.firstAt)) <= k; {
			r.firstAt = append(r.firstAt, m.Sequence)
		}
		held := &r.messages[message.Seq-1]
		if held.sum != 0 && held.id != message.ID {
			x.find(Finding{stream, m.Subject, m.Sequence, fmt.Sprintf("calls message %d %d, which was %d", message.Seq, message.ID, held.id), false})
		}
		*held = messageSeen{message.ID, x.sum(message)}
	}
	r.last = max(r.last, entry.Last)
	r.upto = max(r.upto, entry.Upto)
	x.advance(r, entry.Upto)
}

func (x *inspection) seePage(r *roomSeen, stream string, m stored, number string) {
	k, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		x.find(Finding{stream, m.Subject, m.Sequence, "is no subject of a page", false})
		return
	}
	p := &pageSeen{at: m.Sequence}
	r.pages[k] = p
	var rec page
	if err := decode(m.Data, &rec); err != nil {
		p.bad = "the page can't be read"
		x.unreadable(stream, m, err, true)
		return
	}
	p.after = rec.After
	if len(rec.Messages) != chat.PageMessages {
		p.bad = fmt.Sprintf("holds %d messages", len(rec.Messages))
		return
	}
	for i := range rec.Messages {
		if want := chat.Seq(k*chat.PageMessages) + chat.Seq(i) + 1; rec.Messages[i].Seq != want {
			p.bad = fmt.Sprintf("holds message %d where %d should be", rec.Messages[i].Seq, want)
			return
		}
		p.ids[i] = messageSeen{rec.Messages[i].ID, x.sum(&rec.Messages[i])}
	}
}

// judgeRooms says what is wrong with each room, now that all of it is known.
func (x *inspection) judgeRooms() {
	for _, r := range x.rooms {
		x.judgeRecord(r)
		last := r.last
		if r.applied != nil {
			last = max(last, r.applied.Last)
		}
		for seq := chat.Seq(1); seq <= last; seq++ {
			if int(seq) <= len(r.messages) && r.messages[seq-1].sum != 0 {
				continue
			}
			held := r.lack(seq)
			if p := r.pages[(uint64(seq)-1)/chat.PageMessages]; p != nil && p.bad == "" {
				held.page = true
			}
			x.find(Finding{numbered(streamHistory, r.partition), subjectMessages(r.partition, r.id), 0,
				fmt.Sprintf("message %d is in no entry", seq), held.log || held.page || held.queue})
		}
		for k := range uint64(last) / chat.PageMessages {
			x.judgePage(r, k)
		}
	}
}

func (x *inspection) judgePage(r *roomSeen, k uint64) {
	p, wrong, at := r.pages[k], "", uint64(0)
	if p == nil {
		wrong = "the page is missing"
	} else {
		at, wrong = p.at, p.bad
		for i := 0; i < chat.PageMessages && wrong == ""; i++ {
			seq := chat.Seq(k*chat.PageMessages) + chat.Seq(i) + 1
			if int(seq) > len(r.messages) {
				continue
			}
			if m := r.messages[seq-1]; m.sum != 0 && m != p.ids[i] {
				wrong = fmt.Sprintf("message %d differs from its newest entry", seq)
			}
		}
		if wrong == "" && uint64(len(r.firstAt)) > k+1 && p.after >= r.firstAt[k+1] {
			wrong = fmt.Sprintf("leads past the tail: after %d, which begins at %d", p.after, r.firstAt[k+1])
		}
	}
	if wrong == "" {
		return
	}
	again := true
	for i := range chat.PageMessages {
		seq := chat.Seq(k*chat.PageMessages) + chat.Seq(i) + 1
		if held := r.missing[seq]; held != nil && !held.log && !held.queue {
			again = false
		}
	}
	if again {
		r.newPages[k] = true
	}
	x.find(Finding{numbered(streamHistory, r.partition), subjectPage(r.partition, r.id, k), at, wrong, again})
}

func (x *inspection) judgeRecord(r *roomSeen) {
	wrong := ""
	switch {
	case r.record == nil && (r.applied == nil || r.applied.Room.Kind == "") && len(r.messages) == 0 && len(r.pages) == 0:
		return // a refused command named it, or a record that nobody can make again
	case r.record == nil:
		wrong = "the room has no record"
	case r.applied != nil && !r.odd && !sameRecord(r.record, &r.applied.Room):
		wrong = "the record is not what the log comes to"
	default:
		return
	}
	r.rewrite = r.applied != nil && !r.odd && r.applied.Room.Kind != ""
	x.find(Finding{numbered(streamHistory, r.partition), subjectRoom(r.partition, r.id), r.recordAt, wrong, r.rewrite})
}

func sameRecord(a, b *chat.Room) bool {
	return string(must(encoding.Marshal(a))) == string(must(encoding.Marshal(b)))
}
