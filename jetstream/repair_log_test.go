package jetstream

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// The log has gone by age: messages come back from their page, and from a queue; a
// queue that can't is cut off, and who was before the cut is reset.
func TestARepairWithoutTheWholeLog(t *testing.T) {
	h, group := lived(t, 150)
	p, q := partitionOf(string(group), 4), partitionOf("b", 4)
	early, err := h.store.Queues().Head(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	h.send(group, "a", "the one before last")
	h.send(group, "a", "the last")
	texts := h.texts(group)
	s := h.shut(true)
	for n := range 4 {
		log, err := s.js.Stream(s.context(), numbered(streamLog, n))
		if err != nil {
			t.Fatal(err)
		}
		before := log.CachedInfo().State.LastSeq // all of it but the last batch
		if err := log.Purge(s.context(), jetstream.WithPurgeSequence(max(before, 1))); err != nil {
			t.Fatal(err)
		}
	}
	if found := s.check(); len(found) > 0 {
		t.Fatalf("without the old log: %+v", found)
	}
	seqOf := func(text string) chat.Seq {
		for i := range texts {
			if texts[i] == text {
				return chat.Seq(i + 1)
			}
		}
		t.Fatalf("nobody said %q", text)
		return 0
	}
	s.remove(numbered(streamHistory, p), s.entryOf(p, group, 10))
	s.remove(numbered(streamHistory, p), s.newest(numbered(streamHistory, p), subjectPage(p, group, 1), new(page)))
	s.remove(numbered(streamHistory, p), s.entryOf(p, group, seqOf("the one before last")))
	found, left, err := Repair(s.context(), s.o)
	if err != nil || len(found) < 3 || len(left) > 0 {
		t.Fatalf("found %+v\nleft %+v, %v", found, left, err)
	}
	s.put(subjectSync(q, "b"), []byte{storedVersion, 1, 1, 200, 1})
	s.age()
	s.put(subjectMark(p, "c", group), []byte{})
	found, left, err = Repair(s.context(), s.o)
	if err != nil || len(found) != 2 || len(left) > 0 {
		t.Fatalf("found %+v\nleft %+v, %v", found, left, err)
	}
	h.nats.Stop()
	h.start(true)
	if after := h.texts(group); fmt.Sprint(after) != fmt.Sprint(texts) {
		t.Fatalf("history was\n%q, is\n%q", texts, after)
	}
	if batch, err := h.store.Queues().Read(context.Background(), "b", early, 100); err != nil || !batch.Reset {
		t.Fatalf("an old cursor is answered with %+v, %v", batch, err)
	}
	h.send(group, "c", "life goes on")
	if found := h.shut(true).check(); len(found) > 0 {
		t.Fatalf("afterwards: %+v", found)
	}
}

// age puts checkpoints behind everything there is, so that no replay reaches it.
func (s *shut) age() {
	s.t.Helper()
	x, err := attach(s.context(), s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	defer x.close()
	for range 2 {
		if err := x.lookCheckpoints(s.context()); err != nil {
			s.t.Fatal(err)
		}
		for p := range x.logs {
			c := checkpoint{Log: x.logs[p].last, At: x.logs[p].newest + 2*reachBack}
			if _, c.History, err = x.s.bounds(s.context(), numbered(streamHistory, p)); err != nil {
				s.t.Fatal(err)
			}
			for q := range x.logs {
				_, last, err := x.s.bounds(s.context(), numbered(streamSync, q))
				if err != nil {
					s.t.Fatal(err)
				}
				c.Sync = append(c.Sync, last)
			}
			s.put(subjectCheckpoint(p), &c)
		}
	}
}

// What nobody has any more is said, and nothing is made up for it.
func TestWhatCantBeRepairedIsLeft(t *testing.T) {
	h, group := lived(t, 10)
	p := partitionOf(string(group), 4)
	s := h.shut(true)
	var entry roomEntry
	s.newest(numbered(streamHistory, p), subjectMessages(p, group), &entry)
	entry.Upto++
	entry.Messages[len(entry.Messages)-1].ID++
	s.put(subjectMessages(p, group), &entry)
	found, left, err := Repair(s.context(), s.o)
	if err != nil || len(found) == 0 || len(left) == 0 || !strings.Contains(fmt.Sprint(left), "by the log at") {
		t.Fatalf("found %+v\nleft %+v, %v", found, left, err)
	}
	for _, f := range left {
		if f.Repairable {
			t.Errorf("left, and repairable: %+v", f)
		}
	}
}
