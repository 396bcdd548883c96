package edge

import (
	"strconv"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// TestEditWindow: as long as the operator says, by frame and by HTTP; deleting
// isn't bound by it.
func TestEditWindow(t *testing.T) {
	h := open(t, func(o *Options) { o.EditWindow = 15 * time.Minute })
	var server wire.Server
	h.call("GET", "/v1/server", nil).status(200).into(&server)
	if server.Limits["edit_window_ms"] != 900_000 {
		t.Errorf("limits %v", server.Limits)
	}
	mina := h.person("mina")
	id := mina.group("us")
	message := "/v1/rooms/" + string(id) + "/messages/2"
	mina.post(id, "one")
	h.ahead.Store(int64(14 * time.Minute))
	mina.call("PATCH", message, obj{"text": "two"}).status(200)
	h.ahead.Store(int64(16 * time.Minute))
	var again wire.Session
	h.call("POST", "/v1/sessions", obj{"username": "mina", "password": password}).status(201).into(&again)
	mina.Session = again
	if p := mina.call("PATCH", message, obj{"text": "three"}).refused(403, chat.KindForbidden, "seq"); p.Limit != 900_000 {
		t.Errorf("limit %d", p.Limit)
	}
	mina.call("PATCH", message, obj{"text": "two"}).status(200) // there already
	s := mina.connect()
	s.send(&wire.Edit{Ref: "e", RoomID: string(id), Seq: 2, Text: "three"})
	if p := s.refused("e", chat.KindForbidden, "seq"); p.Limit != 900_000 {
		t.Errorf("limit %d", p.Limit)
	}
	mina.call("PUT", message+"/reactions/%F0%9F%91%8D", nil).status(204)
	mina.call("DELETE", message, nil).status(204)
}

// TestWhatANewMemberSees: from joining on, or all of it with nothing to catch up.
func TestWhatANewMemberSees(t *testing.T) {
	h := open(t)
	mina, joon, bora, dana := h.person("mina"), h.person("joon"), h.person("bora"), h.person("dana")
	var made wire.Room
	mina.call("POST", "/v1/rooms", obj{"kind": "group", "name": "open", "history": "all", "member_ids": []chat.UserID{joon.User.ID}}).status(201).into(&made)
	if made.History != chat.HistoryAll {
		t.Errorf("made %+v", made)
	}
	if r := mina.direct(joon); r == "" {
		t.Error("no direct room")
	}
	room := "/v1/rooms/" + string(made.ID)
	for i := 2; i <= 70; i++ {
		mina.post(made.ID, strconv.Itoa(i))
	}
	mina.call("PUT", room+"/members/"+string(bora.User.ID), nil).status(204)
	s := bora.connect()
	entry := func(p *person) wire.RoomEntry {
		t.Helper()
		var rooms wire.Rooms
		p.call("GET", "/v1/rooms", nil).status(200).into(&rooms)
		return rooms.Rooms[0]
	}
	if e := entry(bora); e.Unread != 1 || e.ReadSeq != 70 || e.LastSeq != 71 || e.LastMessage == nil || e.Room.History != chat.HistoryAll {
		t.Errorf("bora's entry %+v", e)
	}
	var page wire.Messages
	for query, want := range map[string]struct {
		first, last   chat.Seq
		before, after bool
	}{
		"limit=10":           {62, 71, true, false},
		"before=6&limit=10":  {1, 5, false, true},
		"after=0&limit=3":    {1, 3, false, true},
		"around=10&limit=4":  {8, 11, true, true},
		"around=1&limit=100": {1, 71, false, false},
		"before=1":           {0, 0, false, true},
	} {
		page = wire.Messages{}
		bora.call("GET", room+"/messages?"+query, nil).status(200).into(&page)
		n := len(page.Messages)
		if want.first == 0 {
			if n != 0 {
				t.Errorf("%s: %d messages", query, n)
			}
			continue
		}
		if n == 0 || page.Messages[0].Seq != want.first || page.Messages[n-1].Seq != want.last || page.MoreBefore != want.before || page.MoreAfter != want.after {
			t.Errorf("%s: %d messages, more %v %v: %+v", query, n, page.MoreBefore, page.MoreAfter, page.Messages)
		}
	}
	// What she sees she may quote, react to, and is told of.
	bora.call("PUT", room+"/messages/5/reactions/%F0%9F%91%8D", nil).status(204)
	bora.call("POST", room+"/messages", obj{"text": "about the fifth", "reply_to": 5}).status(201)
	mina.call("PATCH", room+"/messages/9", obj{"text": "nine"}).status(200)
	if e := until(s, func(f *wire.EventFrame) bool { return f.Event.Type == chat.EventEdited }); e.Event.Message.Seq != 9 {
		t.Errorf("told %s", wire.Encode(e))
	}

	// The setting changes for those to come, and is said in the room.
	joon.call("PATCH", room, obj{"history": "joined"}).refused(403, chat.KindForbidden, "")
	var changed wire.Room
	mina.call("PATCH", room, obj{"history": "joined"}).status(200).into(&changed)
	if changed.History != chat.HistoryJoined {
		t.Errorf("changed to %+v", changed)
	}
	said := until(s, func(f *wire.EventFrame) bool { return f.Event.Message != nil && f.Event.Message.System != nil })
	if y := said.Event.Message.System; y.Action != chat.ActionHistory || y.Name != "joined" || y.UserIDs == nil {
		t.Errorf("said %s", wire.Encode(said))
	}
	mina.call("PUT", room+"/members/"+string(dana.User.ID), nil).status(204)
	d := dana.connect()
	dana.call("GET", room+"/messages?after=0", nil).status(200).into(&page)
	if len(page.Messages) != 1 || page.Messages[0].System == nil || page.MoreBefore {
		t.Errorf("dana reads %+v", page.Messages)
	}
	dana.call("PUT", room+"/messages/5/reactions/%F0%9F%91%8D", nil).refused(404, chat.KindNotFound, "")
	if e := entry(dana); e.Unread != 1 {
		t.Errorf("dana's entry %+v", e)
	}
	bora.call("GET", room+"/messages?after=0&limit=2", nil).status(200).into(&page)
	if len(page.Messages) != 2 || page.Messages[0].Seq != 1 {
		t.Errorf("bora now reads %+v", page.Messages)
	}
	// What was before her is amended without a word to her.
	mina.call("PATCH", room+"/messages/9", obj{"text": "NINE"}).status(200)
	mina.post(made.ID, "hello dana")
	if e := next[*wire.EventFrame](d); e.Event.Message == nil || e.Event.Message.Text != "hello dana" {
		t.Errorf("dana is told %s", wire.Encode(e))
	}
}
