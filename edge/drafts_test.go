package edge

import (
	"strings"
	"testing"

	"natter/chat"
	"natter/wire"
)

// draftIn is the person's draft of a room by their list, which must agree with the
// room itself.
func (p *person) draftIn(id chat.RoomID) *wire.Draft {
	p.t.Helper()
	var rooms wire.Rooms
	p.call("GET", "/v1/rooms", nil).status(200).into(&rooms)
	var one wire.OneRoom
	p.call("GET", "/v1/rooms/"+string(id), nil).status(200).into(&one)
	for _, e := range rooms.Rooms {
		if e.Room.ID != id {
			continue
		}
		if (e.Draft == nil) != (one.Draft == nil) || e.Draft != nil && *e.Draft != *one.Draft {
			p.t.Fatalf("in the list %+v, in the room %+v", e.Draft, one.Draft)
		}
		return e.Draft
	}
	p.t.Fatalf("no room %s", id)
	return nil
}

// TestDrafts: one's own, on all one's devices, on every way in and out.
func TestDrafts(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	id := mina.direct(joon)
	other := mina.group("us", joon)
	path := "/v1/rooms/" + string(id) + "/draft"
	phone, tablet, joons := mina.connect(), mina.again().connect(), joon.connect()
	cursor := mina.sync("?limit=0").Cursor
	told := func(s *socket) *wire.Draft {
		t.Helper()
		e := until(s, func(f *wire.EventFrame) bool { return f.Event.Type == chat.EventDraft })
		if e.Event.RoomID != id {
			t.Errorf("told %s", wire.Encode(e))
		}
		return e.Event.Draft
	}
	mina.post(id, "hello")
	mina.call("PUT", path, obj{"text": "안녕, Joon", "reply_to": 1}).status(204)
	for _, s := range []*socket{phone, tablet} {
		if d := told(s); d == nil || d.Text != "안녕, Joon" || d.ReplyTo != 1 || d.UpdatedAt == 0 {
			t.Errorf("told %+v", d)
		}
	}
	if d := mina.draftIn(id); d == nil || d.Text != "안녕, Joon" || d.ReplyTo != 1 || d.UpdatedAt == 0 {
		t.Errorf("the draft is %+v", d)
	}
	if d := mina.draftIn(other); d != nil {
		t.Errorf("another room's draft is %+v", d)
	}
	if d := joon.draftIn(id); d != nil {
		t.Errorf("joon sees %+v", d)
	}

	// By frame; the same again is no news; an empty text takes it away.
	phone.send(&wire.SetDraft{Ref: "d1", RoomID: string(id), Text: "  안녕"})
	until(phone, func(f *wire.OK) bool { return f.Ref == "d1" })
	if d := told(tablet); d == nil || d.Text != "  안녕" || d.ReplyTo != 0 {
		t.Errorf("told %+v", d)
	}
	mina.call("PUT", path, obj{"text": "  안녕"}).status(204)
	mina.call("PUT", path, obj{"text": ""}).status(204)
	if d := told(tablet); d != nil {
		t.Errorf("told %+v", d)
	}
	mina.call("DELETE", path, nil).status(204)
	tablet.alive()
	mina.call("PUT", path, obj{"text": "again"}).status(204)
	told(tablet)
	phone.send(&wire.SetDraft{Ref: "d2", RoomID: string(id)})
	until(phone, func(f *wire.OK) bool { return f.Ref == "d2" })
	if d := told(tablet); d != nil || mina.draftIn(id) != nil {
		t.Errorf("told %+v, there is %+v", d, mina.draftIn(id))
	}
	tablet.quiet()
	phone.send(&wire.SetDraft{Ref: "d3", RoomID: string(id), Text: strings.Repeat("x", chat.MaxTextRunes+1)})
	if p := phone.refused("d3", chat.KindTooLarge, "text"); p.Limit != chat.MaxTextRunes {
		t.Errorf("limit %d", p.Limit)
	}

	// By polling and by a stream, the same.
	var texts []string
	for _, e := range mina.sync("?cursor=" + cursor + "&limit=500").Events {
		if e.Type == chat.EventDraft && e.Draft != nil {
			texts = append(texts, e.Draft.Text)
		} else if e.Type == chat.EventDraft {
			texts = append(texts, "gone")
		}
	}
	if got := strings.Join(texts, ","); got != "안녕, Joon,  안녕,gone,again,gone" {
		t.Errorf("polling tells %s", got)
	}
	lines, stop := mina.stream("Last-Event-ID", cursor)
	defer stop()
	lines.until(`data: {"type":"draft","room_id":"` + string(id) + `","draft":{"text":"안녕, Joon","reply_to":1,"updated_at":"`)
	lines.until(`data: {"type":"draft","room_id":"` + string(id) + `"}`)

	// Joon has heard of the message, and of nothing else.
	joons.message("hello")
	joons.quiet()
}

// TestDraftsGoWithTheirPerson: who has left and comes again begins with none.
func TestDraftsGoWithTheirPerson(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	id := mina.group("us", joon)
	room := "/v1/rooms/" + string(id)
	joon.call("PUT", room+"/draft", obj{"text": "not yet"}).status(204)
	joon.call("DELETE", room+"/members/"+string(joon.User.ID), nil).status(204)
	joon.call("PUT", room+"/draft", obj{"text": "still"}).refused(404, chat.KindNotFound, "")
	mina.call("PUT", room+"/members/"+string(joon.User.ID), nil).status(204)
	if d := joon.draftIn(id); d != nil {
		t.Errorf("joon is back with %+v", d)
	}
}

// TestDraftsHaveARateOfTheirOwn: who writes drafts without end is told to wait, in
// that room, and may still send, read, and keep a draft elsewhere.
func TestDraftsHaveARateOfTheirOwn(t *testing.T) {
	h := open(t, func(o *Options) { o.RateLimits = true })
	mina := h.person("mina")
	id, other := mina.group("us"), mina.group("them")
	s := mina.connect()
	refused := func() *wire.Problem {
		t.Helper()
		for i := range 10 * rates[RateDraft].burst {
			s.send(&wire.SetDraft{Ref: "d", RoomID: string(id), Text: strings.Repeat("x", i+1)})
			var p *wire.Problem
			for p == nil {
				f, err := s.read()
				h.must(err)
				if ok, is := f.(*wire.OK); is && ok.Ref == "d" {
					break
				}
				if e, is := f.(*wire.Error); is {
					p = &e.Problem
				}
			}
			if p != nil {
				return p
			}
		}
		t.Fatal("there is no end")
		return nil
	}
	if p := refused(); p.Code != chat.KindTooMany || p.RetryAfterMS <= 0 || p.Limit != int64(rates[RateDraft].burst) {
		t.Errorf("refused with %+v", p)
	}
	mina.call("PUT", "/v1/rooms/"+string(id)+"/draft", obj{"text": "x"}).refused(429, chat.KindTooMany, "")
	mina.call("PUT", "/v1/rooms/"+string(other)+"/draft", obj{"text": "x"}).status(204)
	mina.call("PUT", "/v1/rooms/"+string(id)+"/read", obj{"seq": 1}).status(204)
	mina.post(id, "sent all the same")
}
