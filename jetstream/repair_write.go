package jetstream

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// repair deletes what is to go. With again a replay follows, which must begin as
// far back as it can; without, what is missing is written.
func (x *inspection) repair(ctx context.Context, again bool) error {
	for _, d := range x.drop {
		st, err := x.s.js.Stream(ctx, d.stream)
		if err == nil {
			err = st.DeleteMsg(ctx, d.seq)
		}
		if err != nil {
			return fmt.Errorf("delete %s at %d: %w", d.stream, d.seq, err)
		}
		failpoint("repair.deleted")
	}
	for stream, before := range x.purge {
		if err := x.purgeStream(ctx, stream, jetstream.WithPurgeSequence(before)); err != nil {
			return err
		}
	}
	if again {
		for p := range x.logs {
			if x.replay && x.logs[p].first <= 1 { // the log holds everything: from nothing
				if err := x.purgeStream(ctx, streamCheckpoint, jetstream.WithPurgeSubject(subjectCheckpoint(p))); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := x.write(ctx); err != nil {
		return err
	}
	return x.newCheckpoints(ctx)
}

func (x *inspection) purgeStream(ctx context.Context, stream string, what jetstream.StreamPurgeOpt) error {
	st, err := x.s.js.Stream(ctx, stream)
	if err == nil {
		err = st.Purge(ctx, what)
	}
	if err != nil {
		return fmt.Errorf("purge %s: %w", stream, err)
	}
	failpoint("repair.purged")
	return nil
}

func (x *inspection) put(ctx context.Context, subject string, rec any) error {
	data, err := encode(rec)
	if err != nil {
		return err
	}
	if _, err := x.s.js.Publish(ctx, subject, data); err != nil {
		return fmt.Errorf("write %s: %w", subject, err)
	}
	failpoint("repair.written")
	return nil
}

// write appends what is missing. Its Upto is the log's end: all of the log is in
// it, or will never be.
func (x *inspection) write(ctx context.Context) error {
	want := map[chat.RoomID]*roomSeen{}
	for _, r := range x.rooms {
		if len(r.missing) > 0 && !r.odd {
			want[r.id] = r
		}
	}
	for k, held := range x.marks {
		if r := x.rooms[k.room]; held.wrong && r != nil && !r.odd {
			want[k.room] = r
		}
	}
	states, err := x.restored(ctx, want)
	if err != nil {
		return err
	}
	ends := make([]uint64, len(x.logs))
	for p := range ends {
		if _, ends[p], err = x.s.bounds(ctx, numbered(streamHistory, p)); err != nil {
			return err
		}
	}
	if err := x.writeMessages(ctx, states); err != nil {
		return err
	}
	for _, r := range x.rooms {
		horizon := x.logs[r.partition].last
		if r.rewrite {
			if err := x.put(ctx, subjectRoom(r.partition, r.id), &roomRecord{Upto: horizon, Room: r.applied.Room.Clone()}); err != nil {
				return err
			}
		}
		for k := range r.newPages {
			if err := x.writePage(ctx, r, k, ends[r.partition]); err != nil {
				return err
			}
		}
	}
	for k, held := range x.marks {
		if held.wrong {
			p := x.s.roomPartition(k.room)
			rec := &markRecord{Upto: x.logs[p].last, Mark: x.newMark(k, states[k.room])}
			if err := x.put(ctx, subjectMark(p, k.user, k.room), rec); err != nil {
				return err
			}
		}
	}
	for k, held := range x.drafts {
		if held.wrong {
			p := x.s.roomPartition(k.room)
			if err := x.put(ctx, subjectDraft(p, k.user, k.room), x.goneDraft(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeMessages appends entries with the messages that none holds.
func (x *inspection) writeMessages(ctx context.Context, states map[chat.RoomID]*chat.RoomState) error {
	told := map[chat.RoomID]*roomSeen{}
	for _, r := range x.rooms {
		for _, held := range r.missing {
			if held.queue && !held.log && !held.page {
				told[r.id] = r
			}
		}
	}
	queued := map[chat.RoomID]map[chat.Seq]chat.Message{}
	if len(told) > 0 {
		var err error
		if queued, err = x.fromQueues(ctx, told); err != nil {
			return err
		}
	}
	for _, r := range x.rooms {
		var messages []chat.Message
		for seq, held := range r.missing {
			m, err := x.find1(ctx, r, seq, held, states[r.id], queued[r.id])
			if err != nil {
				return err
			}
			if m != nil {
				messages = append(messages, *m)
			}
		}
		slices.SortFunc(messages, func(a, b chat.Message) int { return int(a.Seq) - int(b.Seq) })
		if err := x.writeEntries(ctx, r, messages); err != nil {
			return err
		}
	}
	return nil
}

// find1 is a missing message by whoever still has it; nil if nobody has.
func (x *inspection) find1(ctx context.Context, r *roomSeen, seq chat.Seq, held *missing, state *chat.RoomState, queued map[chat.Seq]chat.Message) (*chat.Message, error) {
	if held.log && state != nil {
		if m := state.Find(seq); m != nil {
			return m, nil
		}
	}
	if held.page {
		rec, err := x.s.readPage(ctx, r.partition, r.id, (uint64(seq)-1)/chat.PageMessages, 0)
		if err != nil {
			return nil, err
		}
		return &rec.Messages[(seq-1)%chat.PageMessages], nil
	}
	if m, ok := queued[seq]; ok {
		return &m, nil
	}
	return nil, nil
}

// writeEntries appends messages, a page's worth at a time; each entry ends with the
// room's newest, as all do.
func (x *inspection) writeEntries(ctx context.Context, r *roomSeen, messages []chat.Message) error {
	if len(messages) == 0 {
		return nil
	}
	last := max(r.last, messages[len(messages)-1].Seq)
	newest := messages[len(messages)-1]
	if newest.Seq != last {
		held, err := x.s.readTail(ctx, r.partition, r.id, 0, last, last, ^uint64(0))
		if err != nil {
			return err
		}
		if len(held) != 1 {
			return fmt.Errorf("room %s: message %d was there and is gone", r.id, last)
		}
		newest = held[0]
	}
	for chunk := range slices.Chunk(messages, chat.PageMessages) {
		entry := &roomEntry{Upto: x.logs[r.partition].last, Last: last, Messages: slices.Clone(chunk)}
		if chunk[len(chunk)-1].Seq != last {
			entry.Messages = append(entry.Messages, newest)
		}
		if err := x.put(ctx, subjectMessages(r.partition, r.id), entry); err != nil {
			return err
		}
	}
	return nil
}

// writePage seals a page again from the entries. end is HISTORY's last sequence
// before anything was appended.
func (x *inspection) writePage(ctx context.Context, r *roomSeen, k, end uint64) error {
	from := chat.Seq(k*chat.PageMessages) + 1
	messages, err := x.s.readTail(ctx, r.partition, r.id, 0, from, from+chat.PageMessages-1, ^uint64(0))
	if err != nil {
		return err
	}
	if len(messages) != chat.PageMessages {
		return nil // something could not be found; the next look says so again
	}
	if uint64(len(r.firstAt)) > k+1 {
		end = r.firstAt[k+1] - 1
	}
	return x.put(ctx, subjectPage(r.partition, r.id, k), &page{Upto: x.logs[r.partition].last, After: end, Messages: messages})
}

// newCheckpoints replaces the checkpoints by two of the end of everything: a start
// begins with the older, which is as much older as it wants. The old ones go last:
// without any, a start would begin with nothing, however little of the log is left.
func (x *inspection) newCheckpoints(ctx context.Context) error {
	next := make([]checkpoint, len(x.logs))
	var sync []uint64
	for q := range x.logs {
		_, last, err := x.s.bounds(ctx, numbered(streamSync, q))
		if err != nil {
			return err
		}
		sync = append(sync, last)
	}
	for p := range x.logs {
		_, last, err := x.s.bounds(ctx, numbered(streamHistory, p))
		if err != nil {
			return err
		}
		next[p] = checkpoint{Log: x.logs[p].last, History: last, Sync: sync, At: max(x.logs[p].at, x.logs[p].newest)}
	}
	_, before, err := x.s.bounds(ctx, streamCheckpoint)
	if err != nil {
		return err
	}
	for p := range next {
		older := next[p]
		older.At -= reachBack
		for _, c := range []checkpoint{older, next[p]} {
			if err := x.put(ctx, subjectCheckpoint(p), &c); err != nil {
				return err
			}
		}
	}
	failpoint("repair.kept")
	return x.purgeStream(ctx, streamCheckpoint, jetstream.WithPurgeSequence(before+1))
}
