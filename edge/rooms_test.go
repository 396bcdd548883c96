package edge

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// TestRoomsNewestFirst: pages, unread counts, read marks, mute.
func TestRoomsNewestFirst(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	var ids []chat.RoomID
	for i := range 5 {
		ids = append(ids, mina.group("room "+strconv.Itoa(i), joon))
		mina.eventually("the clock ticks", ticks())
	}
	joon.post(ids[1], "one")
	joon.post(ids[1], "two")
	mina.eventually("the clock ticks", ticks())
	joon.post(ids[3], "three")
	var all []wire.RoomEntry
	for page := ""; ; {
		var got wire.Rooms
		mina.call("GET", "/v1/rooms?limit=2&page="+page, nil).status(200).into(&got)
		all = append(all, got.Rooms...)
		if page = got.Next; page == "" {
			break
		}
	}
	if want := fmt.Sprint(ids[3], ids[1], ids[4], ids[2], ids[0]); fmt.Sprint(all[0].Room.ID, all[1].Room.ID, all[2].Room.ID, all[3].Room.ID, all[4].Room.ID) != want {
		t.Fatalf("%d rooms in order %+v, want %s", len(all), all, want)
	}
	if e := all[1]; e.Unread != 2 || e.ReadSeq != 1 || e.LastSeq != 3 || e.LastMessage.Text != "two" || e.Muted || e.Room.Role != chat.RoleOwner || e.Room.MemberCount != 2 {
		t.Errorf("entry %+v", e)
	}
	mina.call("PUT", "/v1/rooms/"+string(ids[1])+"/read", obj{"seq": 3}).status(204)
	mina.call("PUT", "/v1/rooms/"+string(ids[1])+"/read", obj{"seq": 2}).status(204) // backward is nothing
	mina.call("PATCH", "/v1/rooms/"+string(ids[1]), obj{"muted": true}).status(200)
	var got wire.Rooms
	mina.call("GET", "/v1/rooms", nil).status(200).into(&got)
	if e := got.Rooms[1]; e.Unread != 0 || e.ReadSeq != 3 || !e.Muted {
		t.Errorf("after reading: %+v", e)
	}
	var members wire.Members
	mina.call("GET", "/v1/rooms/"+string(ids[1])+"/members", nil).status(200).into(&members)
	if len(members.Members) != 2 || members.Members[0].ReadSeq != 3 || members.Members[1].User.Username != "joon" {
		t.Errorf("members %+v", members)
	}
}

// ticks tells whether the millisecond has changed since it was made.
func ticks() func() bool {
	began := chat.MillisOf(time.Now())
	return func() bool { return chat.MillisOf(time.Now()) > began }
}

// TestMembersComeAndGo: who comes sees what follows, who goes sees nothing.
func TestMembersComeAndGo(t *testing.T) {
	h := open(t)
	mina, joon, bora := h.person("mina"), h.person("joon"), h.person("bora")
	id := mina.group("us", joon)
	room := "/v1/rooms/" + string(id)
	mina.post(id, "before")
	s := bora.connect()
	mina.call("PUT", room+"/members/"+string(bora.User.ID), obj{"role": "admin"}).status(204)
	if e := next[*wire.EventFrame](s); e.Event.Type != chat.EventRoom || e.Event.Room.MemberCount != 3 || len(e.Event.Room.Members) != 3 {
		t.Errorf("told %s", wire.Encode(e))
	}
	var page wire.Messages
	bora.call("GET", room+"/messages", nil).status(200).into(&page)
	if len(page.Messages) == 0 || page.Messages[0].System == nil || page.Messages[0].System.Action != chat.ActionJoined || page.MoreBefore {
		t.Errorf("bora reads %+v", page)
	}
	bora.call("GET", room+"/messages?before=3", nil).status(200).into(&page)
	if len(page.Messages) != 0 {
		t.Errorf("bora reads what was before her: %+v", page)
	}
	for _, call := range []*answer{
		bora.call("PUT", room+"/messages/2/reactions/%F0%9F%91%8D", nil),
		bora.call("DELETE", room+"/messages/2", nil),
		bora.call("PATCH", room+"/messages/2", obj{"text": "mine"}),
	} {
		call.refused(404, chat.KindNotFound, "")
	}
	var rooms wire.Rooms
	bora.call("GET", "/v1/rooms", nil).status(200).into(&rooms)
	if e := rooms.Rooms[0]; e.Unread > 2 || e.LastMessage == nil {
		t.Errorf("bora's entry %+v", e)
	}
	bora.call("DELETE", room+"/members/"+string(joon.User.ID), nil).status(204)
	for _, call := range []*answer{
		joon.call("GET", room, nil), joon.call("GET", room+"/messages", nil), joon.call("POST", room+"/messages", obj{"text": "x"}),
		joon.call("PUT", room+"/members/"+string(joon.User.ID), nil),
	} {
		call.refused(404, chat.KindNotFound, "")
	}
	bora.call("DELETE", room, nil).refused(403, chat.KindForbidden, "")
	bora.call("PATCH", room+"/members/"+string(mina.User.ID), obj{"role": "member"}).refused(403, chat.KindForbidden, "")
	mina.call("PUT", room+"/members/u404", nil).refused(404, chat.KindNotFound, "user_id")
	bora.call("DELETE", room+"/members/"+string(bora.User.ID), nil).status(204)
	mina.call("DELETE", room, nil).status(204)
	mina.call("GET", room, nil).refused(404, chat.KindNotFound, "")
}

// TestPagesOfHistory: before, after, around, at both ends.
func TestPagesOfHistory(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	id := mina.group("us")
	for i := 2; i <= 150; i++ {
		mina.post(id, strconv.Itoa(i))
	}
	for query, want := range map[string]struct {
		first, last   chat.Seq
		before, after bool
	}{
		"":                      {101, 150, true, false},
		"?limit=100":            {51, 150, true, false},
		"?before=51&limit=100":  {1, 50, false, true},
		"?before=1000&limit=10": {141, 150, true, false},
		"?before=1":             {0, 0, false, true},
		"?after=0&limit=10":     {1, 10, false, true},
		"?after=145":            {146, 150, true, false},
		"?after=150":            {0, 0, true, false},
		"?after=9999":           {0, 0, true, false},
		"?around=75&limit=10":   {70, 79, true, true},
		"?around=1&limit=10":    {1, 10, false, true},
		"?around=150&limit=10":  {145, 150, true, false},
		"?around=999&limit=10":  {145, 150, true, false},
		"?around=5&limit=1":     {5, 5, true, true},
	} {
		var page wire.Messages
		mina.call("GET", "/v1/rooms/"+string(id)+"/messages"+query, nil).status(200).into(&page)
		var first, last chat.Seq
		if n := len(page.Messages); n > 0 {
			first, last = page.Messages[0].Seq, page.Messages[n-1].Seq
			if int(last-first) != n-1 {
				t.Errorf("%s has holes", query)
			}
		}
		if first != want.first || last != want.last || page.MoreBefore != want.before || page.MoreAfter != want.after {
			t.Errorf("%s: %d to %d, more before %v, after %v; want %+v", query, first, last, page.MoreBefore, page.MoreAfter, want)
		}
	}
}

// TestMessagesChange: edit, react, delete, by HTTP and by frame; every event
// has the whole current form.
func TestMessagesChange(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	id := mina.direct(joon)
	m := mina.post(id, "helo")
	at := "/v1/rooms/" + string(id) + "/messages/" + strconv.Itoa(int(m.Seq))
	s := joon.connect()
	var now wire.Message
	mina.call("PATCH", at, obj{"text": "hello"}).status(200).into(&now)
	if now.Text != "hello" || now.EditedAt == 0 || now.ID != m.ID {
		t.Errorf("edited %+v", now)
	}
	if e := next[*wire.EventFrame](s); e.Event.Type != chat.EventEdited || e.Event.Message.Text != "hello" || e.Event.Message.RoomID != id {
		t.Errorf("told %s", wire.Encode(e))
	}
	joon.call("PATCH", at, obj{"text": "mine"}).refused(403, chat.KindForbidden, "")
	s.send(&wire.React{Ref: "r", RoomID: string(id), Seq: uint64(m.Seq), Emoji: "👍"})
	until(s, func(f *wire.OK) bool { return f.Ref == "r" })
	mina.call("PUT", at+"/reactions/"+"%F0%9F%91%8D", nil).status(204)
	e := until(s, func(f *wire.EventFrame) bool {
		return f.Event.Type == chat.EventReaction && len(f.Event.Message.Reactions[0].UserIDs) == 2
	})
	if r := e.Event.Message.Reactions; len(r) != 1 || r[0].Emoji != "👍" {
		t.Errorf("reactions %+v", r)
	}
	joon.call("DELETE", at+"/reactions/"+"%F0%9F%91%8D", nil).status(204)
	mina.call("DELETE", at, nil).status(204)
	e = until(s, func(f *wire.EventFrame) bool { return f.Event.Type == chat.EventDeleted })
	if d := e.Event.Message; d.Text != "" || d.DeletedAt == 0 || len(d.Reactions) != 0 {
		t.Errorf("deleted %+v", d)
	}
	mina.call("PATCH", at, obj{"text": "back"}).refused(410, chat.KindGone, "")
	if strings.Contains(string(mina.call("GET", "/v1/rooms/"+string(id)+"/messages", nil).body), "hello") {
		t.Error("a deleted text can be read")
	}
}
