package jetstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"natter/chat"
)

func (h *house) draftOf(u chat.UserID, room chat.RoomID) string {
	h.t.Helper()
	held, err := h.store.Drafts().Of(context.Background(), u, room)
	if err != nil {
		h.t.Fatal(err)
	}
	return held[room].Text
}

// Drafts survive a stop in order and a crash, and are then known well enough to
// tell the same again from another.
func TestDraftsSurviveARestart(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "minsu", Text: "half a"})
	h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "jiwoo", Text: "gone soon"})
	h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "jiwoo"})
	for i, clean := range []bool{true, false, true} {
		h.stop()
		h.start(clean)
		if got := h.draftOf("minsu", room) + "|" + h.draftOf("jiwoo", room); got != "half a|" {
			t.Fatalf("round %d: %q", i, got)
		}
		if res := h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "jiwoo"}); clean && !res.Retry {
			t.Errorf("round %d: no draft, deleted, came to %+v", i, res)
		}
		if res := h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "minsu", Text: "half a"}); clean && !res.Retry {
			t.Errorf("round %d: the same draft came to %+v", i, res)
		}
	}
	events, _ := h.queue("minsu", chat.Cursor{})
	if told := slices.DeleteFunc(events, func(e *chat.Event) bool { return e.Type != chat.EventDraft }); len(told) == 0 || told[len(told)-1].Draft.Text != "half a" {
		t.Errorf("minsu was told %v", told)
	}
}

// A crash at any moment leaves the newest draft that was answered, or a newer one.
func TestDraftsSurviveACrash(t *testing.T) {
	h := open(t)
	room := h.direct("minsu", "jiwoo")
	for i := range 50 {
		h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "minsu", Text: fmt.Sprint("draft ", i)})
		h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "jiwoo", Text: strings.Repeat("글", 1+i%3)})
	}
	h.do(chat.Command{Op: chat.OpDraft, Room: room, By: "jiwoo"})
	dir := t.TempDir()
	copyStore(t, h.dir, dir)
	crashed := &house{t: t, dir: dir, retention: h.retention}
	crashed.ids.Store(1 << 60)
	crashed.start(false)
	if got := crashed.draftOf("minsu", room) + "|" + crashed.draftOf("jiwoo", room); got != "draft 49|" {
		t.Fatalf("%q", got)
	}
	events, _ := crashed.queue("minsu", chat.Cursor{})
	last := ""
	for _, e := range events {
		if e.Type == chat.EventDraft {
			last = e.Draft.Text
		}
	}
	if last != "draft 49" {
		t.Errorf("minsu's queue ends with %q", last)
	}
}

// What a take tells of one draft is its newest; the events around it stay, in
// their order.
func TestATakeTellsTheNewestDraft(t *testing.T) {
	take := &take{queues: map[chat.UserID][]*event{}, told: map[draftKey]int{}}
	for i, e := range []chat.Event{
		{Type: chat.EventDraft, Room: "g"}, {Type: chat.EventRead, Room: "g"}, {Type: chat.EventDraft, Room: "h"},
		{Type: chat.EventDraft, Room: "g"}, {Type: chat.EventRead, Room: "h"}, {Type: chat.EventDraft, Room: "g"},
	} {
		take.tell("u", &e, &event{raw: []byte{byte(i)}})
		take.tell("v", &e, &event{raw: []byte{byte(i)}})
	}
	var left [][]byte
	for _, e := range take.queues["u"] {
		if e != nil {
			left = append(left, e.raw)
		}
	}
	if got := fmt.Sprint(left); got != "[[1] [2] [4] [5]]" || len(take.queues["v"]) != 6 {
		t.Errorf("told %s", got)
	}
}

// A person has a draft in as many rooms as a page has; the longest of them fit.
func TestDraftsOfManyRooms(t *testing.T) {
	h := open(t)
	long := strings.Repeat("😀", chat.MaxTextRunes)
	var rooms []chat.RoomID
	for i := range chat.MaxPage {
		rooms = append(rooms, h.direct("minsu", chat.UserID(fmt.Sprint("u", i))))
		h.do(chat.Command{Op: chat.OpDraft, Room: rooms[i], By: "minsu", Text: long})
	}
	held, err := h.store.Drafts().Of(t.Context(), "minsu", rooms...)
	if err != nil || len(held) != len(rooms) || held[rooms[99]].Text != long {
		t.Fatalf("%d drafts, %v", len(held), err)
	}
}
