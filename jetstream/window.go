package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"natter/chat"
)

// The window of client_ids as it was.
//
// A start needs what was sent in the last minutes before the place where it begins.
// All of it stands in history, but reading a message there costs as much as reading
// a message. So a single node writes with each checkpoint what was sent since the
// one before, and nothing else of it; each such record leads to the one before it:
//
//	checkpoint       log 90 | window ─┐
//	windowRecord     log 86 … 90 ◀────┘ ─┐
//	windowRecord     log 80 … 85 ◀───────┘ ─▶ … ─▶ one that is old enough, or gone
//
// A record counts only where its place in the log joins on to what leads to it: what
// a stretch of the log says is the same for ever. What stood before a record that is
// gone, doesn't join on, or was never written, is read in history.

// windowRecord is a message of window.<p>: what the log holds behind After, up to Log.
type windowRecord struct {
	// Before is the sequence of the record before this one, in the same stream, which
	// ends at After; 0: there is none.
	Before uint64 `cbor:"1,keyasint,omitempty"`
	// Since: what was sent up to After stands at or before this sequence of HISTORY-p.
	Since uint64 `cbor:"2,keyasint,omitempty"`
	// At is no earlier than the newest in Sent, and in the records before.
	At    chat.Millis `cbor:"3,keyasint"`
	Sent  []byte      `cbor:"4,keyasint"`
	After uint64      `cbor:"5,keyasint,omitempty"`
	Log   uint64      `cbor:"6,keyasint"`
}

// windowEnd is where the records of the window end, or those that count.
type windowEnd struct {
	record  uint64 // the newest; 0: there is none
	log     uint64 // what was sent behind it in the log is in none
	history uint64 // what was sent up to there stands at or before this in HISTORY-p
	err     error  // why the last checkpoint wasn't written
}

const (
	// windowBytes is how much a windowRecord tells before there is another one.
	windowBytes = 1 << 20
	// piecesMost is how many of them may wait to be written, some 1 million messages;
	// beyond it the next start reads those in history.
	piecesMost = 64
)

// appendSent appends what the window remembers of a message:
//
//	length, room | length, sender | client_id | id | seq | time
func appendSent(b []byte, c *chat.Command, res *chat.Result) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.Room)))
	b = append(b, c.Room...)
	b = binary.AppendUvarint(b, uint64(len(c.By)))
	b = append(b, c.By...)
	b = append(b, c.ClientID[:]...)
	b = binary.AppendUvarint(b, uint64(res.ID))
	b = binary.AppendUvarint(b, uint64(res.Seq))
	return binary.AppendUvarint(b, uint64(c.At))
}

var errSentCut = errors.New("what was sent is cut short")

// eachSent reads what appendSent wrote. names holds those that were read before.
func eachSent(b []byte, names map[string]string, each func(*chat.Message)) error {
	var m chat.Message
	for len(b) > 0 {
		room, rest, ok := cutName(b, names)
		if !ok {
			return errSentCut
		}
		sender, rest, ok := cutName(rest, names)
		if !ok || len(rest) < len(m.ClientID) {
			return errSentCut
		}
		copy(m.ClientID[:], rest)
		rest = rest[len(m.ClientID):]
		var numbers [3]uint64
		for i := range numbers {
			n, size := binary.Uvarint(rest)
			if size <= 0 {
				return errSentCut
			}
			numbers[i], rest = n, rest[size:]
		}
		m.Room, m.Sender = chat.RoomID(room), chat.UserID(sender)
		m.ID, m.Seq, m.CreatedAt = chat.MessageID(numbers[0]), chat.Seq(numbers[1]), chat.Millis(numbers[2])
		each(&m)
		b = rest
	}
	return nil
}

func cutName(b []byte, names map[string]string) (name string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	raw, rest := b[size:size+int(n)], b[size+int(n):]
	name, known := names[string(raw)]
	if !known {
		name = string(raw)
		names[name] = name
	}
	return name, rest, true
}

// windowAt is the client_id window as it was at a checkpoint.
func (s *Store) windowAt(ctx context.Context, p int, base checkpoint) (*chat.Window, error) {
	window := chat.NewWindow()
	if base.History == 0 {
		return window, nil
	}
	names := make(map[string]string)
	records, upto, err := s.windowRecords(ctx, p, base, names)
	if err != nil {
		return nil, err
	}
	if upto > 0 {
		if err := s.windowOfHistory(ctx, p, window, base.At, upto); err != nil {
			return nil, err
		}
	}
	for _, r := range slices.Backward(records) {
		if err := eachSent(r.Sent, names, window.Remember); err != nil {
			return nil, err
		}
	}
	return window, nil
}

// windowRecords reads the records a checkpoint leads to, newest first, and where what
// they don't tell ends in history; 0: they tell all that the window remembers.
func (s *Store) windowRecords(ctx context.Context, p int, base checkpoint, names map[string]string) (records []windowRecord, upto uint64, err error) {
	upto = base.History
	for at, log := base.Window, base.Log; at > 0; {
		m, err := s.reader.one(ctx, streamCheckpoint, ask{Seq: at})
		if errors.Is(err, errNone) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		r, err := readWindow(m, p, log, names)
		if err != nil {
			s.log.Warn("a record of the window is read in history instead", "at", at, "error", err)
			break
		}
		if r.At < base.At-chat.WindowKept {
			return records, 0, nil
		}
		records, upto, at, log = append(records, r), r.Since, r.Before, r.After
	}
	return records, upto, nil
}

// readWindow reads the windowRecord of partition p that ends at a place in the log.
func readWindow(m stored, p int, log uint64, names map[string]string) (r windowRecord, err error) {
	if m.Subject != subjectWindow(p) {
		return r, fmt.Errorf("%s at %d is not of partition %d's window", m.Subject, m.Sequence, p)
	}
	if err := decode(m.Data, &r); err != nil {
		return r, err
	}
	if r.Before >= m.Sequence || r.Log != log || r.After > log {
		return r, fmt.Errorf("%s at %d is of log %d to %d, not to %d, and leads to %d", m.Subject, m.Sequence, r.After, r.Log, log, r.Before)
	}
	return r, eachSent(r.Sent, names, func(*chat.Message) {})
}

// windowOfHistory puts into window what history holds from before the checkpoint's
// time up to a sequence. It is found by the stream's own time, which is that of
// writing: not before the messages' own, but for a clock that was set back.
func (s *Store) windowOfHistory(ctx context.Context, p int, window *chat.Window, at chat.Millis, upto uint64) error {
	start := (at - chat.WindowKept - windowMargin).Time()
	request := ask{NextFor: subjectMessages(p, "*"), StartTime: &start, Batch: 1000, MaxBytes: 8 << 20}
	for {
		found, err := s.reader.many(ctx, numbered(streamHistory, p), request)
		if err != nil {
			return err
		}
		for _, m := range found.Messages {
			if m.Sequence > upto {
				return nil
			}
			if err := rememberEntry(window, m); err != nil {
				return err
			}
			request.Seq, request.StartTime = m.Sequence+1, nil
		}
		if !found.More || len(found.Messages) == 0 {
			return nil
		}
	}
}

// windowMargin is for clocks that were set back a little.
const windowMargin = chat.Millis(60_000)

func rememberEntry(window *chat.Window, m stored) error {
	_, room, err := parseRoomSubject(m.Subject)
	if err != nil {
		return err
	}
	var entry roomEntry
	if err := decode(m.Data, &entry); err != nil {
		return fmt.Errorf("%s at %d: %w", m.Subject, m.Sequence, err)
	}
	for i := range entry.Messages {
		entry.Messages[i].Room = room
		window.Remember(&entry.Messages[i])
	}
	return nil
}
