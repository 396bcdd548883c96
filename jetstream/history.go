package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"natter/chat"
)

// history is the chat.History of a Store.
type history struct{ s *Store }

func parseRoomSubject(subject string) (kind string, id chat.RoomID, err error) {
	parts := strings.SplitN(subject, ".", 4)
	if len(parts) != 3 {
		return "", "", fmt.Errorf("%q is no subject of a room", subject)
	}
	return parts[0], chat.RoomID(parts[2]), nil
}

// parseMarkSubject reads the subject of a mark or a draft.
func parseMarkSubject(subject string) (chat.UserID, chat.RoomID, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 {
		return "", "", fmt.Errorf("%q is no subject of a mark", subject)
	}
	return chat.UserID(parts[2]), chat.RoomID(parts[3]), nil
}

// HistoryReads is how many reads of rooms and their pages were begun. Each may bring a
// block of a stream, of up to 4 MiB, into memory, until the next collections.
func (s *Store) HistoryReads() uint64 { return s.historyReads.Load() }

// HistoryStream names the stream of a partition's rooms and pages.
func HistoryStream(partition int) string { return numbered(streamHistory, partition) }

// ReadBack reads the first two entries of a block of a stream, backwards; the first has that
// sequence. nats-server takes it for the end of somebody's way back through the block, and
// lets go of the block if it wasn't written for 10 s (filestore.go, fetchMsgEx and
// msgForSeqLocked). In a cluster it asks the server of this node, if that has the stream.
func (s *Store) ReadBack(ctx context.Context, stream string, first uint64) error {
	for _, seq := range [...]uint64{first + 1, first} {
		if _, err := s.reader.one(ctx, stream, ask{Seq: seq}); err != nil && !errors.Is(err, errNone) {
			return err
		}
	}
	return nil
}

// Room implements chat.History.
func (h history) Room(ctx context.Context, id chat.RoomID) (*chat.Room, *chat.Message, error) {
	h.s.historyReads.Add(1)
	p := h.s.roomPartition(id)
	if err := h.s.authority(ctx, p, id); err != nil {
		return nil, nil, err
	}
	found, err := h.s.reader.many(ctx, numbered(streamHistory, p), ask{MultiLast: []string{subjectRoom(p, id), subjectMessages(p, id)}})
	if err != nil {
		return nil, nil, err
	}
	var room *chat.Room
	var newest *chat.Message
	for _, m := range found.Messages {
		kind, _, err := parseRoomSubject(m.Subject)
		if err != nil {
			return nil, nil, err
		}
		switch kind {
		case "room":
			var rec roomRecord
			if err := decode(m.Data, &rec); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", m.Subject, err)
			}
			room = &rec.Room
		case "msg":
			var entry roomEntry
			if err := decode(m.Data, &entry); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", m.Subject, err)
			}
			if n := len(entry.Messages); n > 0 {
				newest = &entry.Messages[n-1]
				newest.Room = id
			}
		}
	}
	if room == nil || room.Closed {
		return nil, nil, chat.NotFound("room")
	}
	return room, newest, h.s.readMarks(ctx, p, room)
}

// readMarks fills in the members' read marks.
func (s *Store) readMarks(ctx context.Context, p int, room *chat.Room) error {
	if len(room.Members) == 0 {
		return nil
	}
	subjects := make([]string, len(room.Members))
	for i := range room.Members {
		room.Members[i].Read = room.Members[i].ReadFrom()
		subjects[i] = subjectMark(p, room.Members[i].User, room.ID)
	}
	found, err := s.reader.many(ctx, numbered(streamMarks, p), ask{MultiLast: subjects})
	if err != nil {
		return err
	}
	for _, m := range found.Messages {
		u, _, err := parseMarkSubject(m.Subject)
		if err != nil {
			return err
		}
		var rec markRecord
		if err := decode(m.Data, &rec); err != nil {
			return fmt.Errorf("%s: %w", m.Subject, err)
		}
		if member := room.Member(u); member != nil && !rec.Mark.Left {
			member.Read, member.Muted = max(member.Read, rec.Mark.Read), rec.Mark.Muted
		}
	}
	return nil
}

// Mine implements chat.History.
func (h history) Mine(ctx context.Context, u chat.UserID) ([]chat.Mark, error) {
	var marks []chat.Mark
	for p := range h.s.o.Partitions {
		found, err := h.mine(ctx, p, u)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			_, room, err := parseMarkSubject(m.Subject)
			if err != nil {
				return nil, err
			}
			var rec markRecord
			if err := decode(m.Data, &rec); err != nil {
				return nil, fmt.Errorf("%s: %w", m.Subject, err)
			}
			rec.Mark.User, rec.Mark.Room = u, room
			marks = append(marks, rec.Mark)
		}
	}
	return marks, nil
}

// mine reads a person's marks of one partition: in one request, or, for who has
// been in over a thousand rooms there, by going through the stream.
func (h history) mine(ctx context.Context, p int, u chat.UserID) ([]stored, error) {
	stream, subject := numbered(streamMarks, p), subjectMark(p, u, "*")
	found, err := h.s.reader.many(ctx, stream, ask{MultiLast: []string{subject}, MaxBytes: 8 << 20})
	if !errors.Is(err, errTooMany) {
		return found.Messages, err
	}
	newest := make(map[string]stored) // the stream keeps some older ones too
	for next := uint64(1); ; {
		found, err := h.s.reader.many(ctx, stream, ask{Seq: next, NextFor: subject, Batch: 1000})
		if err != nil {
			return nil, err
		}
		for _, m := range found.Messages {
			newest[m.Subject] = m
		}
		if !found.More || len(found.Messages) == 0 {
			return slices.Collect(maps.Values(newest)), nil
		}
		next = found.Messages[len(found.Messages)-1].Sequence + 1
	}
}

// Page implements chat.History: the sealed pages in one request, and the tail
// after them in another, however deep in the room.
func (h history) Page(ctx context.Context, id chat.RoomID, from, to chat.Seq) ([]chat.Message, error) {
	h.s.historyReads.Add(1)
	p := h.s.roomPartition(id)
	from = max(from, 1)
	newest, err := h.s.reader.last(ctx, numbered(streamHistory, p), subjectMessages(p, id))
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entry roomEntry
	if err := decode(newest.Data, &entry); err != nil {
		return nil, fmt.Errorf("%s: %w", newest.Subject, err)
	}
	to = min(to, entry.Last, from+chat.MaxPage-1)
	if from > to {
		return nil, nil
	}
	sealed := uint64(entry.Last) / chat.PageMessages
	sealedTo := chat.Seq(sealed * chat.PageMessages)
	var messages []chat.Message
	if from <= sealedTo {
		if messages, err = h.s.readPages(ctx, p, id, from, min(to, sealedTo)); err != nil {
			return nil, err
		}
	}
	if to > sealedTo {
		tail, err := h.s.readTail(ctx, p, id, sealed, max(from, sealedTo+1), to, ^uint64(0))
		if err != nil {
			return nil, err
		}
		messages = append(messages, tail...)
	}
	return messages, nil
}

// readPages reads the messages from..to, all of them in sealed pages.
func (s *Store) readPages(ctx context.Context, p int, id chat.RoomID, from, to chat.Seq) ([]chat.Message, error) {
	var subjects []string
	for k := (uint64(from) - 1) / chat.PageMessages; k <= (uint64(to)-1)/chat.PageMessages; k++ {
		subjects = append(subjects, subjectPage(p, id, k))
	}
	found, err := s.reader.many(ctx, numbered(streamHistory, p), ask{MultiLast: subjects, MaxBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	if len(found.Messages) != len(subjects) {
		return nil, unavailable("read", string(id), fmt.Errorf("%d of %d pages", len(found.Messages), len(subjects)))
	}
	// The answer is in the order of the stream; a page that was sealed again
	// comes after younger ones.
	held := make(map[string]*page, len(subjects))
	for _, m := range found.Messages {
		rec := new(page)
		if err := decode(m.Data, rec); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Subject, err)
		}
		held[m.Subject] = rec
	}
	messages := make([]chat.Message, 0, int(to-from)+1)
	for _, subject := range subjects {
		for _, m := range held[subject].Messages {
			if m.Seq >= from && m.Seq <= to {
				m.Room = id
				messages = append(messages, m)
			}
		}
	}
	return messages, nil
}

// readPage reads one sealed page as of when.
func (s *Store) readPage(ctx context.Context, p int, id chat.RoomID, k uint64, when ask) (*page, error) {
	subject := subjectPage(p, id, k)
	when.MultiLast = []string{subject}
	found, err := s.reader.many(ctx, numbered(streamHistory, p), when)
	if err != nil {
		return nil, err
	}
	if len(found.Messages) != 1 {
		return nil, fmt.Errorf("%s is missing", subject)
	}
	rec := new(page)
	if err := decode(found.Messages[0].Data, rec); err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	for i := range rec.Messages {
		rec.Messages[i].Room = id
	}
	return rec, nil
}

// readTail reads the messages from..to, which lie after the sealed pages, from
// the room's entries up to the log sequence upto. A newer form of a message
// replaces an older one.
func (s *Store) readTail(ctx context.Context, p int, id chat.RoomID, sealed uint64, from, to chat.Seq, upto uint64) ([]chat.Message, error) {
	next := uint64(1)
	if sealed > 0 {
		last, err := s.readPage(ctx, p, id, sealed-1, ask{})
		if err != nil {
			return nil, err
		}
		next = last.After + 1
	}
	held := make([]chat.Message, int(to-from)+1)
	for {
		found, err := s.reader.many(ctx, numbered(streamHistory, p), ask{Seq: next, NextFor: subjectMessages(p, id), Batch: readPage, MaxBytes: 16 << 20})
		if err != nil {
			return nil, err
		}
		for _, m := range found.Messages {
			next = m.Sequence + 1
			var entry roomEntry
			if err := decode(m.Data, &entry); err != nil {
				return nil, fmt.Errorf("%s at %d: %w", m.Subject, m.Sequence, err)
			}
			if entry.Upto > upto {
				continue
			}
			for _, message := range entry.Messages {
				if message.Seq >= from && message.Seq <= to {
					message.Room = id
					held[message.Seq-from] = message
				}
			}
		}
		if !found.More || len(found.Messages) == 0 {
			break
		}
	}
	messages := held[:0]
	for _, m := range held {
		if m.Seq != 0 {
			messages = append(messages, m)
		}
	}
	return messages, nil
}

// Find implements chat.History: it goes back through the room, newest first,
// until the messages are older than since. A room's messages never go back in
// time, so nothing lies beyond.
func (h history) Find(ctx context.Context, id chat.RoomID, by chat.UserID, client chat.ClientID, since chat.Millis) (*chat.Message, error) {
	if why := h.s.held.Load(); why != nil {
		return nil, why // what can't be found on a disk that failed may be there
	}
	_, newest, err := h.Room(ctx, id)
	if err != nil || newest == nil {
		return nil, err
	}
	for to := newest.Seq; to > 0; {
		from := chat.Seq(1)
		if to > chat.MaxPage {
			from = to - chat.MaxPage + 1
		}
		messages, err := h.Page(ctx, id, from, to)
		if err != nil {
			return nil, err
		}
		for i := len(messages) - 1; i >= 0; i-- {
			switch m := &messages[i]; {
			case m.CreatedAt < since:
				return nil, nil
			case m.Sender == by && m.ClientID == client:
				return m, nil
			}
		}
		to = from - 1
	}
	return nil, nil
}
