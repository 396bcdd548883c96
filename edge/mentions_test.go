package edge

import (
	"slices"
	"strings"
	"testing"

	"natter/chat"
	"natter/wire"
)

// TestMentions: usernames in a text become the ids of members, on both ways of
// sending and editing, wherever the message is read.
func TestMentions(t *testing.T) {
	h := open(t)
	mina, joon, bora, eve := h.person("mina"), h.person("joon"), h.person("bora.kim"), h.person("eve")
	id := mina.group("us", joon, bora)
	room := "/v1/rooms/" + string(id) + "/messages"
	s := joon.connect()
	wants := func(what string, got []chat.UserID, want ...*person) {
		t.Helper()
		var ids []chat.UserID
		for _, p := range want {
			ids = append(ids, p.User.ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%s mentions %v, want %v", what, got, ids)
		}
	}
	// Eve is no member, Mina speaks, nobody is called nemo; an address is none.
	text := "@BORA.KIM, @joon. @eve @mina @nemo joon@joon.example @joon"
	m := mina.post(id, text)
	wants("the answer", m.Mentions, bora, joon)
	wants("the event", s.message(text).Event.Message.Mentions, bora, joon)
	var page wire.Messages
	bora.call("GET", room+"?limit=1", nil).status(200).into(&page)
	wants("history", page.Messages[0].Mentions, bora, joon)
	var rooms wire.Rooms
	bora.call("GET", "/v1/rooms", nil).status(200).into(&rooms)
	wants("the last message", rooms.Rooms[0].LastMessage.Mentions, bora, joon)
	if a := mina.call("POST", room, obj{"text": "nobody"}).status(201); strings.Contains(string(a.body), "mentions") {
		t.Errorf("without mentions: %s", a.body)
	}

	// An edit names anew, over the socket and over HTTP.
	s.send(&wire.Send{Ref: "1", RoomID: string(id), ClientID: uuid().String(), Text: "hi @mina"})
	sent := s.message("hi @mina").Event.Message
	wants("sent by frame", sent.Mentions, mina)
	s.send(&wire.Edit{Ref: "2", RoomID: string(id), Seq: uint64(sent.Seq), Text: "hi @bora.kim!"})
	wants("edited by frame", s.message("hi @bora.kim!").Event.Message.Mentions, bora)
	bora.call("PUT", room+"/4/reactions/%F0%9F%91%8D", nil).status(204)
	wants("with a reaction", s.message("hi @bora.kim!").Event.Message.Mentions, bora)
	var edited, again wire.Message
	joon.call("PATCH", room+"/4", obj{"text": "hi all"}).status(200).into(&edited)
	wants("edited by HTTP", edited.Mentions)
	joon.call("PATCH", room+"/4", obj{"text": "hi @mina @eve"}).status(200).into(&again)
	wants("edited again", again.Mentions, mina)

	// Who is in by then is mentioned, and not in what was said before.
	mina.call("PUT", "/v1/rooms/"+string(id)+"/members/"+string(eve.User.ID), nil).status(204)
	m = mina.post(id, "@eve")
	wants("after she came", m.Mentions, eve)
	mina.call("DELETE", room+"/2", nil).status(204)
	page = wire.Messages{}
	bora.call("GET", room+"?limit=1&before=3", nil).status(200).into(&page)
	wants("the deleted message", page.Messages[0].Mentions)

	// A retry is answered with whom the message mentions.
	body := obj{"client_id": uuid().String(), "text": "@joon?"}
	mina.call("POST", room, body).status(201)
	var retried wire.Message
	mina.call("POST", room, body).status(200).into(&retried)
	wants("the retry", retried.Mentions, joon)
}
