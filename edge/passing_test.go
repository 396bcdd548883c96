package edge

import (
	"testing"

	"natter/chat"
	"natter/wire"
)

func presenceOf(u chat.UserID, status wire.Status) func(*wire.PresenceFrame) bool {
	return func(f *wire.PresenceFrame) bool { return f.UserID == u && f.Status == status }
}

// TestPresence: pushed to who watches and shares a room, fetched by them, seen
// by nobody else, and as far as the person lets themselves be seen.
func TestPresence(t *testing.T) {
	h := open(t)
	mina, joon, eve := h.person("mina"), h.person("joon"), h.person("eve")
	mina.befriend(joon)
	watching, spying := joon.connect(), eve.connect()
	watch := &wire.Watch{Ref: "w", UserIDs: []string{string(mina.User.ID), "u404"}}
	for _, s := range []*socket{watching, spying} {
		s.send(watch)
		until(s, func(f *wire.OK) bool { return f.Ref == "w" })
	}
	until(watching, presenceOf(mina.User.ID, wire.Offline))
	look := func(p *person) wire.Status {
		var got wire.Presences
		p.call("GET", "/v1/presence?user_id="+string(mina.User.ID)+"&user_id=u404", nil).status(200).into(&got)
		if len(got.Presence) != 2 {
			t.Fatalf("presence %+v", got)
		}
		for _, one := range got.Presence {
			if one.UserID == mina.User.ID {
				return one.Status
			}
		}
		t.Fatalf("presence %+v", got)
		return ""
	}
	if got := look(joon); got != wire.Offline {
		t.Errorf("before she comes: %s", got)
	}
	laptop := mina.connect()
	until(watching, presenceOf(mina.User.ID, wire.Online))
	if look(joon) != wire.Online || look(eve) != wire.Offline || look(mina) != wire.Online {
		t.Errorf("joon sees %s, eve %s, mina herself %s", look(joon), look(eve), look(mina))
	}
	// Away when all devices are, online when one is.
	phone := mina.connect()
	laptop.send(&wire.SetStatus{Ref: "s", Status: wire.Away})
	until(laptop, func(f *wire.OK) bool { return f.Ref == "s" })
	watching.quiet()
	phone.send(&wire.SetStatus{Ref: "s", Status: wire.Away})
	until(watching, presenceOf(mina.User.ID, wire.Away))
	// One device gone is nothing; a short absence is nothing either.
	_ = phone.ws.Close()
	_ = laptop.ws.Close()
	gone := until(watching, presenceOf(mina.User.ID, wire.Offline))
	if gone.LastSeen == 0 {
		t.Error("offline without last_seen")
	}
	// Nobody may see her: she is offline to all but herself.
	laptop = mina.connect()
	until(watching, presenceOf(mina.User.ID, wire.Online))
	mina.call("PATCH", "/v1/me", obj{"presence_visibility": "nobody"}).status(200)
	until(watching, presenceOf(mina.User.ID, wire.Offline))
	if look(joon) != wire.Offline || look(mina) != wire.Online {
		t.Errorf("joon sees %s, mina herself %s", look(joon), look(mina))
	}
	if e := until(laptop, func(f *wire.EventFrame) bool { return f.Event.Type == chat.EventSettings }); e.Event.PresenceVisibility != "nobody" {
		t.Errorf("settings %s", wire.Encode(e))
	}
	// A room mate sees her only when she is visible to everyone.
	bora := h.person("bora")
	mina.group("us", bora)
	mina.call("PATCH", "/v1/me", obj{"presence_visibility": "everyone"}).status(200)
	until(watching, presenceOf(mina.User.ID, wire.Online))
	if look(bora) != wire.Online {
		t.Error("everyone doesn't include a room mate")
	}
	mina.call("PATCH", "/v1/me", obj{"presence_visibility": "friends"}).status(200)
	if look(bora) != wire.Offline || look(joon) != wire.Online {
		t.Error("friends are whom one is a friend of, and not all one shares a room with")
	}
	// Watching is replaced, not added to.
	mina.call("PATCH", "/v1/me", obj{"presence_visibility": "everyone"}).status(200)
	mate := bora.connect()
	mate.send(&wire.Watch{Ref: "w", UserIDs: []string{string(mina.User.ID)}})
	until(mate, presenceOf(mina.User.ID, wire.Online))
	mate.send(&wire.Watch{Ref: "none", UserIDs: []string{}})
	until(mate, func(f *wire.OK) bool { return f.Ref == "none" })
	laptop.send(&wire.SetStatus{Ref: "s", Status: wire.Away})
	until(laptop, func(f *wire.OK) bool { return f.Ref == "s" })
	mate.quiet()
	spying.quiet()
}

// TestTyping goes to the others in the room, on all their devices, and to
// nobody else.
func TestTyping(t *testing.T) {
	h := open(t)
	mina, joon, eve := h.person("mina"), h.person("joon"), h.person("eve")
	room := mina.direct(joon)
	writes, phone, laptop, stranger := mina.connect(), joon.connect(), joon.again().connect(), eve.connect()
	writes.send(&wire.Typing{RoomID: string(room)})
	for _, s := range []*socket{phone, laptop} {
		if f := next[*wire.TypingFrame](s); f.RoomID != room || f.UserID != mina.User.ID {
			t.Errorf("typing %+v", f)
		}
	}
	writes.quiet()
	stranger.quiet()
}

// TestDelivered: the sender hears when a device of the other one has it.
func TestDelivered(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room, group := mina.direct(joon), mina.group("us", joon)
	sender, receiver := mina.connect(), joon.connect()
	mina.post(group, "no tick in a group")
	mina.post(room, "one")
	mina.post(room, "two")
	at := receiver.message("two").Cursor
	sender.message("two")
	receiver.send(&wire.Ack{Cursor: at})
	if f := next[*wire.Delivered](sender); f.RoomID != room || f.UserID != joon.User.ID || f.Seq != 2 {
		t.Errorf("delivered %+v", f)
	}
	receiver.send(&wire.Ack{Cursor: at})
	receiver.alive()
	sender.quiet()
}

// TestProfilesAreTold to one's own devices and to those one talks with.
func TestProfilesAreTold(t *testing.T) {
	h := open(t)
	mina, joon, eve := h.person("mina"), h.person("joon"), h.person("eve")
	mina.direct(joon)
	own, friend, stranger := mina.connect(), joon.connect(), eve.connect()
	var me wire.Me
	mina.call("PATCH", "/v1/me", obj{"name": "김미나", "locale": "ko", "settings": obj{"theme": "dark"}}).status(200).into(&me)
	if me.Name != "김미나" || me.Settings["theme"] != "dark" || me.Locale != "ko" {
		t.Errorf("me %+v", me)
	}
	for _, s := range []*socket{own, friend} {
		if e := next[*wire.EventFrame](s); e.Event.Type != chat.EventProfile || e.Event.User.Name != "김미나" {
			t.Errorf("told %s", wire.Encode(e))
		}
	}
	if e := next[*wire.EventFrame](own); e.Event.Type != chat.EventSettings || e.Event.Settings["theme"] != "dark" {
		t.Errorf("told %s", wire.Encode(e))
	}
	friend.quiet()
	stranger.quiet()
	me = wire.Me{}
	mina.call("PATCH", "/v1/me", obj{"settings": obj{"theme": nil}}).status(200).into(&me)
	if _, there := me.Settings["theme"]; there {
		t.Error("null doesn't remove a setting")
	}
}
