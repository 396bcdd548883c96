package edge

import (
	"strconv"
	"testing"

	"natter/chat"
	"natter/wire"
)

// TestTwoPeopleTalk is the whole way once: sign up, find each other, talk over
// the socket, on two devices, and read it back.
func TestTwoPeopleTalk(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"asynchronous log": func(*Options) {},
		"synchronous log":  func(o *Options) { o.Log = syncLog{o.Log} },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, change)
			mina, joon := h.person("mina"), h.person("joon")
			var found wire.Users
			mina.call("GET", "/v1/users?query=joo", nil).status(200).into(&found)
			if len(found.Users) != 1 || found.Users[0].ID != joon.User.ID {
				t.Fatalf("found %+v", found)
			}
			phone, laptop, tablet := mina.connect(), joon.connect(), joon.again().connect()
			room := mina.direct(joon)
			for _, s := range []*socket{phone, laptop, tablet} {
				if e := next[*wire.EventFrame](s); e.Event.Room == nil || e.Event.Room.ID != room || e.Event.Room.MemberCount != 2 || e.Event.Room.Role != chat.RoleMember {
					t.Fatalf("the room's event: %s", wire.Encode(e))
				}
			}
			id := uuid()
			phone.send(&wire.Send{Ref: "1", RoomID: string(room), ClientID: id.String(), Text: "안녕"})
			sent := until(phone, func(*wire.Sent) bool { return true })
			if sent.Ref != "1" || sent.Seq != 1 {
				t.Fatalf("sent %s", wire.Encode(sent))
			}
			for _, s := range []*socket{laptop, tablet} {
				m := s.message("안녕").Event.Message
				if m.ID != sent.MessageID || m.Seq != 1 || m.SenderID != mina.User.ID || m.RoomID != room || m.ClientID != wire.ClientID(id) || m.CreatedAt != sent.CreatedAt {
					t.Fatalf("message %+v, sent %+v", m, sent)
				}
			}
			// The same client_id again is the same message, and nobody hears it twice.
			phone.send(&wire.Send{Ref: "2", RoomID: string(room), ClientID: id.String(), Text: "안녕"})
			if again := until(phone, func(f *wire.Sent) bool { return f.Ref == "2" }); again.MessageID != sent.MessageID || again.Seq != 1 || again.CreatedAt != sent.CreatedAt {
				t.Fatalf("the retry got %s", wire.Encode(again))
			}
			laptop.quiet()

			laptop.send(&wire.Read{Ref: "r", RoomID: string(room), Seq: 1})
			until(laptop, func(f *wire.OK) bool { return f.Ref == "r" })
			read := until(phone, func(f *wire.EventFrame) bool { return f.Event.Type == chat.EventRead })
			if read.Event.Seq != 1 || read.Event.UserID != joon.User.ID {
				t.Fatalf("read event %s", wire.Encode(read))
			}
			var rooms wire.Rooms
			joon.call("GET", "/v1/rooms", nil).status(200).into(&rooms)
			if len(rooms.Rooms) != 1 || rooms.Rooms[0].Unread != 0 || rooms.Rooms[0].LastSeq != 1 || rooms.Rooms[0].LastMessage.Text != "안녕" {
				t.Fatalf("rooms %+v", rooms)
			}
		})
	}
}

// TestADeviceComesBack: what was missed comes first, then synced, then live.
func TestADeviceComesBack(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	s := joon.connect()
	mina.post(room, "one")
	cursor := s.message("one").Cursor
	_ = s.ws.Close()
	for i := range 250 {
		mina.post(room, strconv.Itoa(i))
	}
	back := joon.dial()
	back.send(&wire.Hello{Token: joon.AccessToken, Cursor: cursor})
	if w := next[*wire.Welcome](back); w.Cursor != cursor || w.Node != "n1" || w.DeviceID != joon.DeviceID {
		t.Fatalf("welcome %s", wire.Encode(w))
	}
	for i := range 250 {
		if e := next[*wire.EventFrame](back); e.Event.Message.Text != strconv.Itoa(i) {
			t.Fatalf("event %d is %s", i, wire.Encode(e))
		}
	}
	next[*wire.Synced](back)
	mina.post(room, "live")
	back.message("live")
}

// TestADeviceGoesOnFromItsAck: a hello without a cursor starts at what this
// device acked, not at what was sent to it, and not at another device's.
func TestADeviceGoesOnFromItsAck(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	phone := joon.connect()
	for i := range 3 {
		mina.post(room, strconv.Itoa(i))
	}
	acked := phone.message("1").Cursor
	phone.message("2")
	phone.send(&wire.Ack{Cursor: acked})
	phone.alive()
	_ = phone.ws.Close()
	back := joon.dial()
	back.send(&wire.Hello{Token: joon.AccessToken})
	if w := next[*wire.Welcome](back); w.Cursor != acked {
		t.Errorf("welcome at %s, acked was %s", w.Cursor, acked)
	}
	if e := next[*wire.EventFrame](back); e.Event.Message.Text != "2" {
		t.Errorf("went on with %s", wire.Encode(e))
	}
	next[*wire.Synced](back)
	joon.again().connect().quiet() // a device that never acked starts at now
}
