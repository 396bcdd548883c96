package jetstream

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
	"natter/internal/natstest"
)

// shut is a house whose store is closed while its server runs.
type shut struct {
	*house
	js jetstream.JetStream
	o  RepairOptions
}

func (h *house) shut(clean bool) *shut {
	h.t.Helper()
	if h.store != nil {
		h.stop()
	}
	h.nats = natstest.Start(h.t, h.dir, true)
	nc, err := h.nats.Connect("planter")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		h.t.Fatal(err)
	}
	return &shut{h, js, RepairOptions{Store: Options{Connect: h.nats.Connect, Partitions: 4, Node: "n1", Clean: clean, Replicas: 1,
		QueueRetention: h.retention, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Fatal: func(err error) { h.t.Error(err) }}}}
}

func (s *shut) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *shut) check() []Finding {
	s.t.Helper()
	found, err := Check(s.context(), s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func (s *shut) put(subject string, record any) {
	s.t.Helper()
	data, raw := record.([]byte)
	if !raw {
		data = must(encode(record))
	}
	if _, err := s.js.Publish(s.context(), subject, data); err != nil {
		s.t.Fatal(err)
	}
}

// newest is the newest record of a subject, and its sequence.
func (s *shut) newest(stream, subject string, into any) uint64 {
	s.t.Helper()
	st, err := s.js.Stream(s.context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := st.GetLastMsgForSubject(s.context(), subject)
	if err != nil {
		s.t.Fatalf("%s %s: %v", stream, subject, err)
	}
	if err := decode(m.Data, into); err != nil {
		s.t.Fatal(err)
	}
	return m.Sequence
}

func (s *shut) remove(stream string, seq uint64) {
	s.t.Helper()
	st, err := s.js.Stream(s.context(), stream)
	if err == nil {
		err = st.DeleteMsg(s.context(), seq)
	}
	if err != nil {
		s.t.Fatalf("%s at %d: %v", stream, seq, err)
	}
}

// lived makes a store with some of everything: two rooms, three pages, edits,
// reactions, deletions, marks, members who come and go.
func lived(t *testing.T, messages int) (h *house, group chat.RoomID) {
	t.Helper()
	h, group = open(t), chat.RoomID("gall")
	h.do(chat.Command{Op: chat.OpCreate, Room: group, By: "a", Name: "all", Users: []chat.UserID{"b", "c"}})
	pair := h.direct("a", "b")
	for i := range messages {
		by := chat.UserID("abc"[i%3 : i%3+1])
		seq := h.do(chat.Command{Op: chat.OpSend, Room: group, By: by, Text: fmt.Sprint("message ", i), Mentions: []chat.UserID{"b", "d"}}).Seq
		switch i % 20 {
		case 3:
			h.send(pair, "b", fmt.Sprint("aside ", i))
		case 5:
			h.do(chat.Command{Op: chat.OpEdit, Room: group, By: by, Seq: seq, Text: fmt.Sprint("message ", i, ", edited")})
		case 7:
			h.do(chat.Command{Op: chat.OpReact, Room: group, By: "a", Seq: max(seq/2, 1), Emoji: "👍"})
		case 11:
			h.do(chat.Command{Op: chat.OpDelete, Room: group, By: by, Seq: seq})
		case 13:
			h.do(chat.Command{Op: chat.OpRead, Room: group, By: "c", Seq: seq - 1})
		case 15:
			h.do(chat.Command{Op: chat.OpAdd, Room: group, By: "a", Users: []chat.UserID{"d"}})
		case 16:
			h.do(chat.Command{Op: chat.OpDraft, Room: group, By: "d", Text: fmt.Sprint("draft ", i)})
			h.do(chat.Command{Op: chat.OpDraft, Room: group, By: "b", Text: fmt.Sprint("draft ", i)})
			h.do(chat.Command{Op: chat.OpChange, Room: group, By: "a", Fields: chat.FieldHistory, History: [2]chat.HistoryVisible{"", chat.HistoryAll}[i/20%2]})
		case 17:
			h.do(chat.Command{Op: chat.OpRemove, Room: group, By: "d", Users: []chat.UserID{"d"}})
		}
	}
	return h, group
}

// A store that has lived, and was stopped in order and not, is clean.
func TestAHealthyStoreIsClean(t *testing.T) {
	h, group := lived(t, 400)
	for i, clean := range []bool{true, false, false, true} {
		s := h.shut(clean)
		if found := s.check(); len(found) > 0 {
			t.Fatalf("round %d: %+v", i, found)
		}
		h.nats.Stop()
		h.start(clean)
		for n := range 40 {
			seq := h.send(group, "b", fmt.Sprint("round ", i, n)).Seq
			h.do(chat.Command{Op: chat.OpEdit, Room: group, By: "b", Seq: seq, Text: "changed"})
		}
	}
	var told []string
	s := h.shut(false)
	s.o.Progress = func(stream string, read, last uint64) {
		if read == last {
			told = append(told, stream)
		}
	}
	found, left, err := Repair(s.context(), s.o)
	if err != nil || len(found)+len(left) > 0 {
		t.Fatalf("%+v, %+v, %v", found, left, err)
	}
	if len(told) < 4*4+2 {
		t.Errorf("progress was told of %v", told)
	}
}

// faults are what is planted, and what must be said of it.
var faults = map[string]struct {
	plant func(s *shut, p int, group chat.RoomID)
	says  string
}{
	"a page is missing": {func(s *shut, p int, group chat.RoomID) {
		s.remove(numbered(streamHistory, p), s.newest(numbered(streamHistory, p), subjectPage(p, group, 1), new(page)))
		for i := range 200 { // those it was sealed as before, too
			var older page
			st, _ := s.js.Stream(s.context(), numbered(streamHistory, p))
			m, err := st.GetLastMsgForSubject(s.context(), subjectPage(p, group, 1))
			if err != nil {
				return
			}
			if decode(m.Data, &older) != nil || i == 199 {
				s.t.Fatal("too many pages")
			}
			s.remove(numbered(streamHistory, p), m.Sequence)
		}
	}, "the page is missing"},
	"a page has another text": {func(s *shut, p int, group chat.RoomID) {
		var rec page
		s.newest(numbered(streamHistory, p), subjectPage(p, group, 0), &rec)
		rec.Messages[6].Text = "never said"
		s.put(subjectPage(p, group, 0), &rec)
	}, "message 7 differs"},
	"a page leads past the tail": {func(s *shut, p int, group chat.RoomID) {
		var rec page
		rec.After = s.newest(numbered(streamHistory, p), subjectPage(p, group, 1), &rec)
		s.newest(numbered(streamHistory, p), subjectMessages(p, group), new(roomEntry))
		rec.After += 1000
		s.put(subjectPage(p, group, 1), &rec)
	}, "leads past the tail"},
	"the last entry is missing": {func(s *shut, p int, group chat.RoomID) {
		s.remove(numbered(streamHistory, p), s.newest(numbered(streamHistory, p), subjectMessages(p, group), new(roomEntry)))
	}, "is in no entry"},
	"an entry of a sealed page is missing": {func(s *shut, p int, group chat.RoomID) {
		s.remove(numbered(streamHistory, p), s.entryOf(p, group, 10))
	}, "message 10 is in no entry"},
	"an entry can't be read": {func(s *shut, p int, group chat.RoomID) {
		s.put(subjectMessages(p, group), []byte{storedVersion, 0xff, 0x00})
	}, "decode *jetstream.roomEntry"},
	"a record can't be read": {func(s *shut, p int, group chat.RoomID) {
		s.put(subjectRoom(p, group), []byte{storedVersion, 0xa1})
	}, "decode *jetstream.roomRecord"},
	"a record is an old one": {func(s *shut, p int, group chat.RoomID) {
		var rec roomRecord
		s.newest(numbered(streamHistory, p), subjectRoom(p, group), &rec)
		rec.Room.Members = rec.Room.Members[:1]
		s.put(subjectRoom(p, group), &rec)
	}, "not what the log comes to"},
	"a mark beyond the last": {func(s *shut, p int, group chat.RoomID) {
		s.put(subjectMark(p, "b", group), &markRecord{Upto: 1, Mark: chat.Mark{Read: 9999}})
	}, "has read 9999 of"},
	"a mark of no room": {func(s *shut, _ int, _ chat.RoomID) {
		nowhere := chat.RoomID("gnowhere")
		s.put(subjectMark(partitionOf(string(nowhere), 4), "b", nowhere), &markRecord{Upto: 1, Mark: chat.Mark{Read: 1}})
	}, "a room that does not exist"},
	"a mark can't be read": {func(s *shut, p int, group chat.RoomID) {
		s.put(subjectMark(p, "c", group), []byte{})
	}, "it is empty"},
	"a draft of nobody": {func(s *shut, p int, group chat.RoomID) {
		s.put(subjectDraft(p, "zoe", group), &draftRecord{Upto: 1, Draft: chat.Draft{Text: "hi", At: 1}})
	}, "a draft of nobody in the room"},
	"a draft of no room": {func(s *shut, _ int, _ chat.RoomID) {
		nowhere := chat.RoomID("gnowhere")
		s.put(subjectDraft(partitionOf(string(nowhere), 4), "b", nowhere), &draftRecord{Upto: 1, Draft: chat.Draft{Text: "hi", At: 1}})
	}, "a draft of nobody in the room"},
	"a draft can't be read": {func(s *shut, p int, group chat.RoomID) {
		s.put(subjectDraft(p, "b", group), []byte{storedVersion, 0xff})
	}, "decode *jetstream.draftRecord"},
	"a queue names another's message": {func(s *shut, p int, group chat.RoomID) {
		event := must(encoding.Marshal(&chat.Event{Type: chat.EventMessage, Room: group, Message: &chat.Message{ID: 42, Seq: 5, Kind: chat.KindText, Sender: "a"}}))
		q := partitionOf("b", 4)
		s.put(subjectSync(q, "b"), &queueEntry{Upto: 1, Partition: p, Events: [][]byte{event}})
	}, "tells message 5 of room gall as 42"},
	"a queue can't be read": {func(s *shut, _ int, _ chat.RoomID) {
		s.put(subjectSync(partitionOf("b", 4), "b"), []byte{storedVersion, 1, 1, 200, 1})
	}, "an event is cut short"},
	"a queue lost an entry in the middle": {func(s *shut, _ int, _ chat.RoomID) {
		q := partitionOf("b", 4)
		last := s.newest(numbered(streamSync, q), subjectSync(q, "b"), new(queueEntry))
		s.remove(numbered(streamSync, q), s.before(numbered(streamSync, q), subjectSync(q, "b"), last))
		s.remove(numbered(streamSync, q), s.before(numbered(streamSync, q), subjectSync(q, "b"), last))
	}, "tells message"},
	"a queue lost its end": {func(s *shut, _ int, _ chat.RoomID) {
		q := partitionOf("b", 4)
		for range 3 {
			s.remove(numbered(streamSync, q), s.newest(numbered(streamSync, q), subjectSync(q, "b"), new(queueEntry)))
		}
	}, "lacks what partition"},
	"a stream is missing": {func(s *shut, p int, _ chat.RoomID) {
		if err := s.js.DeleteStream(s.context(), numbered(streamMarks, p)); err != nil {
			s.t.Fatal(err)
		}
	}, "the stream is missing"},
}

// copy is the same store, stopped, once more.
func (h *house) copy(t *testing.T) *house {
	t.Helper()
	c := &house{t: t, dir: t.TempDir(), retention: h.retention}
	c.ids.Store(h.ids.Load())
	if err := os.CopyFS(c.dir, os.DirFS(h.dir)); err != nil {
		t.Fatal(err)
	}
	return c
}

// entryOf is the newest entry that holds a message.
func (s *shut) entryOf(p int, room chat.RoomID, seq chat.Seq) (found uint64) {
	s.t.Helper()
	x, err := attach(s.context(), s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	defer x.close()
	err = x.s.scan(s.context(), numbered(streamHistory, p), 1, func(m stored) error {
		var entry roomEntry
		if m.Subject == subjectMessages(p, room) && decode(m.Data, &entry) == nil {
			for i := range entry.Messages {
				if entry.Messages[i].Seq == seq {
					found = m.Sequence
				}
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		s.t.Fatal("no such entry", err)
	}
	return found
}

// before is the sequence of a subject's newest entry before another.
func (s *shut) before(stream, subject string, seq uint64) (found uint64) {
	s.t.Helper()
	x, err := attach(s.context(), s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	defer x.close()
	err = x.s.scan(s.context(), stream, 1, func(m stored) error {
		if m.Subject == subject && m.Sequence < seq {
			found = m.Sequence
		}
		return nil
	})
	if err != nil || found == 0 {
		s.t.Fatal("nothing before", err)
	}
	return found
}

func TestPlantedFaultsAreFoundAndRepaired(t *testing.T) {
	first, group := lived(t, 150)
	texts, marks := first.texts(group), first.marksOf("c")
	first.stop()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			h, before := first.copy(t), slices.Clone(texts)
			s := h.shut(true)
			fault.plant(s, partitionOf(string(group), 4), group)
			found := s.check()
			if text := fmt.Sprint(found); !strings.Contains(text, fault.says) {
				t.Fatalf("found %s", text)
			}
			found, left, err := Repair(s.context(), s.o)
			if err != nil || len(found) == 0 || len(left) > 0 {
				t.Fatalf("found %+v\nleft %+v, %v", found, left, err)
			}
			if again := s.check(); len(again) > 0 {
				t.Fatalf("afterwards: %+v", again)
			}
			h.nats.Stop()
			for _, clean := range []bool{true, false} {
				h.start(clean)
				if after := h.texts(group); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Fatalf("history was\n%q, is\n%q", before, after)
				}
				if after := h.marksOf("c"); after != marks {
					t.Fatalf("c's marks were %s, are %s", marks, after)
				}
				seq := h.send(group, "b", "life goes on").Seq
				h.do(chat.Command{Op: chat.OpReact, Room: group, By: "b", Seq: 70, Emoji: "🎉"})
				before = append(before, "life goes on")
				if int(seq) != len(before) {
					t.Fatalf("the next message is %d of %d", seq, len(before))
				}
				h.stop()
			}
			if again := h.shut(false).check(); len(again) > 0 {
				t.Fatalf("after a start in order and one after a crash: %+v", again)
			}
		})
	}
}

// marksOf are a person's marks, as text.
func (h *house) marksOf(u chat.UserID) string {
	h.t.Helper()
	marks, err := h.store.History().Mine(context.Background(), u)
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprintf("%+v", marks)
}
