package jetstream

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"natter/chat"
)

// A take is what a projector makes of the batches it applies at once: for each
// room and each user touched one entry, and the answers. Its writes go out
// together; when all are acknowledged it is finished: answered, if it wasn't yet
// (finish.go), and part of the next checkpoint.
type take struct {
	p    *projector
	upto uint64
	at   chat.Millis

	rooms   map[chat.RoomID]*touched
	order   []chat.RoomID
	queues  map[chat.UserID][]*event
	told    map[draftKey]int    // the place in its queue of a draft's event; nil there: a newer one stands behind
	answers map[string][]result // nil results: told
	asked   bool                // a room was asked for something
	proven  bool                // that written is closed shows that the answers hold
	sent    []byte              // the client_ids of its messages, where the node is alone; see windowRecord

	done      chan struct{} // closed when all is acknowledged
	written   chan struct{} // closed when all is that the next take waits for
	mu        sync.Mutex
	left      int
	unwritten int
	wroteAt   time.Time // when written was closed
	failed    error
	history   uint64   // highest acknowledged sequence of HISTORY-p
	marks     uint64   // of MARKS-p
	sync      []uint64 // and of each SYNC-q
}

// touched is what a take has for one room.
type touched struct {
	room     *projected
	messages []chat.Message
	record   bool
	pages    map[uint64]bool
	marks    map[chat.UserID]uint64 // to the log sequence that changed it
	left     map[chat.UserID]uint64
	drafts   map[chat.UserID]chat.Draft
}

func newTake(p *projector, upto uint64) *take {
	return &take{p: p, upto: upto, rooms: make(map[chat.RoomID]*touched), queues: make(map[chat.UserID][]*event), told: make(map[draftKey]int),
		answers: make(map[string][]result), done: make(chan struct{}), written: make(chan struct{}), sync: make([]uint64, p.s.o.Partitions)}
}

// add takes in what one command came to. What a crash left of it is not written
// again.
func (t *take) add(log uint64, origin string, c *chat.Command, out *chat.Outcome) error {
	t.at = max(t.at, c.At)
	answer := result{ID: c.ID}
	if r := out.Refusal; r != nil {
		answer.Refusal = &refusal{Kind: r.Kind, Detail: r.Detail, Field: r.Field, Limit: r.Limit}
		t.p.s.metrics.commands.WithLabelValues("refused").Inc()
	} else {
		answer.First, answer.Seq, answer.At, answer.Retry = out.Result.ID, out.Result.Seq, out.Result.At, out.Result.Retry
		t.p.s.metrics.commands.WithLabelValues("applied").Inc()
	}
	t.answers[origin] = append(t.answers[origin], answer)
	t.asked = t.asked || c.Op != chat.OpTell
	if out.Refusal != nil {
		return nil
	}
	if c.Op == chat.OpSend && !out.Result.Retry && !c.ClientID.IsZero() && t.p.fence == nil {
		t.sent = appendSent(t.sent, c, &out.Result)
	}
	rec := t.p.rec
	if c.Room != "" {
		t.addRoom(log, c, out)
	}
	for _, e := range out.Events {
		var told *event
		for _, u := range e.To {
			if rec.hasQueue(u, log) {
				continue
			}
			if told == nil {
				raw, err := encoding.Marshal(&e.Event)
				if err != nil {
					return fmt.Errorf("encode an event: %w", err)
				}
				told = &event{raw: raw}
			}
			t.tell(u, &e.Event, told)
		}
	}
	return nil
}

func (t *take) addRoom(log uint64, c *chat.Command, out *chat.Outcome) {
	if len(out.Messages) == 0 && !out.Changed && len(out.Marks) == 0 && len(out.Left) == 0 && out.Draft == nil {
		return
	}
	room := t.p.rooms[c.Room]
	room.take = t.p.takes
	for i := range out.Messages {
		if m := &out.Messages[i]; room.newest == nil || m.Seq >= room.newest.Seq {
			room.newest = m
		}
	}
	in := t.rooms[c.Room]
	if in == nil {
		in = &touched{room: room, pages: make(map[uint64]bool), marks: make(map[chat.UserID]uint64), left: make(map[chat.UserID]uint64),
			drafts: make(map[chat.UserID]chat.Draft)}
		t.rooms[c.Room] = in
		t.order = append(t.order, c.Room)
	}
	rec := t.p.rec
	if !rec.hasHistory(subjectMessages(t.p.partition, c.Room), log) {
		in.messages = append(in.messages, out.Messages...)
	}
	if chat.Amends(c) && uint64(c.Seq) <= room.sealedTo() {
		k := (uint64(c.Seq) - 1) / chat.PageMessages
		if !rec.hasHistory(subjectPage(t.p.partition, c.Room, k), log) {
			in.pages[k] = true
		}
	}
	if out.Changed && !rec.hasHistory(subjectRoom(t.p.partition, c.Room), log) {
		in.record = true
	}
	for _, u := range out.Marks {
		room.marks[u] = true // no need to read what we know
		if log > room.marksUpto[u] {
			in.marks[u] = log
			delete(in.left, u)
		}
	}
	for _, u := range out.Left {
		if log > room.marksUpto[u] {
			in.left[u] = log
			delete(in.marks, u)
		}
	}
	t.addDraft(in, log, c, out)
}

// write is one message a take sends.
type write struct {
	stream  string
	subject string
	record  any
	note    func(t *take, sequence uint64)
	queued  *storedEntry // of a queue in a cluster: what its teller is to know
}

// publish sends every write of the take. The order within HISTORY matters: a
// room's record, then its pages, then the entry, so that what an entry leads to
// is there whenever the entry is (a stream only loses a suffix).
func (t *take) publish(ctx context.Context) error {
	noteHistory := func(t *take, n uint64) { t.history = max(t.history, n) }
	var writes []write
	for _, id := range t.order {
		w, err := t.roomWrites(ctx, id, t.rooms[id])
		if err != nil {
			return err
		}
		for i := range w {
			if w[i].note == nil {
				w[i].note = noteHistory
			}
		}
		writes = append(writes, w...)
	}
	for u, events := range t.queues {
		writes = append(writes, t.queueWrite(u, events))
	}
	t.queues, t.told = nil, nil
	commands := 0
	for _, a := range t.answers {
		commands += len(a)
	}
	t.p.s.metrics.take.Observe(float64(commands))
	t.rooms, t.order = nil, nil // they are in the writes
	if t.p.fence != nil {
		return t.publishFenced(ctx, writes)
	}
	t.expects(len(writes), len(writes))
	var data bytes.Buffer // publishing copies it
	for _, w := range writes {
		data.Reset()
		if err := appendRecord(&data, w.record); err != nil {
			return err
		}
		t.p.out.publish(w.subject, "", data.Bytes(), func(sequence uint64, err error) { t.wrote(w.note, sequence, err) })
		failpointSent(w.record)
	}
	return nil
}

// queueWrite is what the take has for one queue.
func (t *take) queueWrite(u chat.UserID, events []*event) write {
	if len(t.told) > 0 {
		events = slices.DeleteFunc(events, func(e *event) bool { return e == nil })
	}
	entry := &queueEntry{Upto: t.upto, Partition: t.p.partition, Events: make([][]byte, len(events))}
	size := 0
	for i, e := range events {
		entry.Events[i] = e.raw
		size += len(e.raw)
	}
	q := t.p.s.userPartition(u)
	w := write{stream: numbered(streamSync, q), subject: subjectSync(q, u), record: entry,
		note: func(t *take, n uint64) { t.sync[q] = max(t.sync[q], n) }}
	if t.p.fence != nil {
		w.queued = &storedEntry{user: u, events: events}
		return w
	}
	backlog := t.p.s.tellers[q].backlog
	w.note = func(t *take, n uint64) {
		t.sync[q] = max(t.sync[q], n)
		backlog.add(storedEntry{sequence: n, user: u, events: events, bytes: size})
	}
	return w
}

func noteMarks(t *take, n uint64) { t.marks = max(t.marks, n) }

// roomWrites are the writes of one room.
func (t *take) roomWrites(ctx context.Context, id chat.RoomID, in *touched) ([]write, error) {
	p := t.p.partition
	history, marks := numbered(streamHistory, p), numbered(streamMarks, p)
	var writes []write
	if in.record {
		writes = append(writes, write{stream: history, subject: subjectRoom(p, id), record: &roomRecord{Upto: t.upto, Room: in.room.Room.Clone()}})
	}
	sealed, err := t.p.seal(ctx, in.room, t.upto)
	if err != nil {
		return nil, err
	}
	for k := range in.pages {
		if held := in.room.reached[k]; held != nil {
			again := *held
			again.Upto = t.upto
			again.Messages = append([]chat.Message(nil), held.Messages...)
			failpoint("seal.amended")
			writes = append(writes, write{stream: history, subject: subjectPage(p, id, k), record: &again})
		}
	}
	for k, sealedPage := range sealed {
		if !t.p.rec.hasHistory(subjectPage(p, id, k), t.upto) {
			writes = append(writes, write{stream: history, subject: subjectPage(p, id, k), record: sealedPage})
		}
	}
	if len(in.messages) > 0 {
		entry := &roomEntry{Upto: t.upto, Last: in.room.Last, Messages: in.messages}
		if newest := in.room.newest; newest != nil && in.messages[len(in.messages)-1].Seq != newest.Seq {
			entry.Messages = append(entry.Messages, *newest)
		}
		writes = append(writes, write{stream: history, subject: subjectMessages(p, id), record: entry})
	}
	for u := range in.marks {
		if m := in.room.Room.Member(u); m != nil {
			writes = append(writes, write{stream: marks, subject: subjectMark(p, u, id), record: &markRecord{Upto: t.upto, Mark: chat.Mark{Read: m.Read, Muted: m.Muted}}, note: noteMarks})
		}
	}
	for u := range in.left {
		writes = append(writes, write{stream: marks, subject: subjectMark(p, u, id), record: &markRecord{Upto: t.upto, Mark: chat.Mark{Left: true}}, note: noteMarks})
	}
	for u, d := range in.drafts {
		writes = append(writes, write{stream: marks, subject: subjectDraft(p, u, id), record: &draftRecord{Upto: t.upto, Draft: d}, note: noteMarks})
	}
	return writes, nil
}

// reach is what the take has written, but for queues while it isn't done; nil where
// there is only one node.
func (t *take) reach(done bool) *reach {
	if !t.p.s.clustered() {
		return nil
	}
	r := &reach{Partition: t.p.partition, History: t.history, Marks: t.marks}
	if done {
		r.Sync = t.sync
	}
	return r
}

// answer sends the results to the nodes that committed the commands, once; who had them
// before all was done gets to know then what the queues hold.
func (t *take) answer(done bool) {
	for origin, results := range t.answers {
		t.answers[origin] = nil
		if origin == t.p.s.origin {
			t.p.s.deliver(results) // this very run: no need to go round by the server
			continue
		}
		data, err := encode(&resultMessage{Results: results, Reach: t.reach(done)})
		if err == nil {
			err = t.p.s.control.Publish(subjectResult(origin), data)
		}
		if err != nil {
			t.p.s.log.Warn("results were not sent; their senders will ask again", "to", origin, "error", err)
		}
	}
}

// advance is the checkpoint after this take.
func (t *take) advance(c checkpoint) checkpoint {
	c.Log = t.upto
	c.At = max(c.At, t.at)
	return c.behind(checkpoint{History: t.history, Sync: t.sync})
}

// behind moves the sequences of c up to those of another.
func (c checkpoint) behind(other checkpoint) checkpoint {
	c.History = max(c.History, other.History)
	next := append([]uint64(nil), other.Sync...)
	for q := range next {
		if q < len(c.Sync) {
			next[q] = max(next[q], c.Sync[q])
		}
	}
	c.Sync = next
	return c
}
