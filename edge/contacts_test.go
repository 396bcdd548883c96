package edge

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// asks puts a contact, which must pass, and returns it.
func (p *person) asks(other *person) wire.Contact {
	p.t.Helper()
	var c wire.Contact
	p.call("PUT", "/v1/contacts/"+string(other.User.ID), nil).status(200).into(&c)
	return c
}

func (p *person) drops(other *person) {
	p.t.Helper()
	p.call("DELETE", "/v1/contacts/"+string(other.User.ID), nil).status(204)
}

func (p *person) blocks(other *person) {
	p.t.Helper()
	p.call("PUT", "/v1/blocks/"+string(other.User.ID), nil).status(204)
}

func (p *person) unblocks(other *person) {
	p.t.Helper()
	p.call("DELETE", "/v1/blocks/"+string(other.User.ID), nil).status(204)
}

// befriend makes the two friends.
func (p *person) befriend(other *person) {
	p.t.Helper()
	p.asks(other)
	if c := other.asks(p); c.State != chat.ContactFriend {
		p.t.Fatalf("accepting makes %+v", c)
	}
}

// contacts are the person's, as "name state".
func (p *person) contacts() string {
	p.t.Helper()
	var got wire.Contacts
	p.call("GET", "/v1/contacts", nil).status(200).into(&got)
	text := ""
	for _, c := range got.Contacts {
		if c.Since == 0 {
			p.t.Errorf("a contact without since: %+v", c)
		}
		text += fmt.Sprintf("%s %s, ", c.User.Username, c.State)
	}
	return text
}

func (p *person) blocked() string {
	p.t.Helper()
	var got wire.Blocks
	p.call("GET", "/v1/blocks", nil).status(200).into(&got)
	text := ""
	for _, b := range got.Blocks {
		if b.Since == 0 {
			p.t.Errorf("a block without since: %+v", b)
		}
		text += b.User.Username + ", "
	}
	return text
}

// hearsContact checks that the next event is of that contact.
func (s *socket) hearsContact(who *person, state chat.ContactState) {
	s.t.Helper()
	e := until(s, func(*wire.EventFrame) bool { return true }).Event
	if e.Type != chat.EventContact || e.Contact == nil || e.Contact.User != who.User || e.Contact.State != state ||
		(e.Contact.Since == 0) != (state == chat.ContactNone) || e.UserID != "" || e.Blocked != nil {
		s.t.Errorf("told %s, want contact %s %s", wire.Marshal(e), who.User.Username, state)
	}
}

func (s *socket) hearsBlock(who *person, blocked bool) {
	s.t.Helper()
	e := until(s, func(*wire.EventFrame) bool { return true }).Event
	if e.Type != chat.EventBlock || e.UserID != who.User.ID || e.Blocked == nil || *e.Blocked != blocked || e.Contact != nil {
		s.t.Errorf("told %s, want block %s %v", wire.Marshal(e), who.User.Username, blocked)
	}
}

// TestContacts: asked, accepted, removed, declined, taken back; said twice it is
// once; all devices of both are told, and nobody else.
func TestContacts(t *testing.T) {
	h := open(t)
	mina, joon, eve := h.person("mina"), h.person("joon"), h.person("eve")
	phone, laptop, his, hers := mina.connect(), mina.again().connect(), joon.connect(), eve.connect()
	told := func(a, b chat.ContactState) {
		t.Helper()
		phone.hearsContact(joon, a)
		laptop.hearsContact(joon, a)
		his.hearsContact(mina, b)
	}
	none := chat.ContactNone

	if c := mina.asks(joon); c.State != chat.ContactOutgoing || c.User != joon.User || c.Since == 0 {
		t.Errorf("asking answers %+v", c)
	}
	told(chat.ContactOutgoing, chat.ContactIncoming)
	if again := mina.asks(joon); again.State != chat.ContactOutgoing {
		t.Errorf("asking again answers %+v", again)
	}
	if mina.contacts() != "joon outgoing, " || joon.contacts() != "mina incoming, " || eve.contacts() != "" {
		t.Errorf("mina has %q, joon %q, eve %q", mina.contacts(), joon.contacts(), eve.contacts())
	}
	if c := joon.asks(mina); c.State != chat.ContactFriend {
		t.Errorf("accepting answers %+v", c)
	}
	told(chat.ContactFriend, chat.ContactFriend)
	h.ahead.Add(int64(time.Second))
	eve.asks(mina)
	phone.hearsContact(eve, chat.ContactIncoming)
	laptop.hearsContact(eve, chat.ContactIncoming)
	hers.hearsContact(mina, chat.ContactOutgoing)
	if got := mina.contacts(); got != "eve incoming, joon friend, " {
		t.Errorf("mina has %q", got)
	}
	joon.drops(mina)
	joon.drops(mina)
	told(none, none)
	joon.asks(mina)
	told(chat.ContactIncoming, chat.ContactOutgoing)
	joon.drops(mina) // taken back
	told(none, none)
	joon.asks(mina)
	told(chat.ContactIncoming, chat.ContactOutgoing)
	mina.drops(joon) // declined
	told(none, none)
	p := joon.call("PUT", "/v1/contacts/"+string(mina.User.ID), nil).refused(429, chat.KindTooMany, "")
	if after := time.Duration(p.RetryAfterMS) * time.Millisecond; after < 23*time.Hour || after > 24*time.Hour {
		t.Errorf("asking again is refused for %v", after)
	}
	h.ahead.Add(int64(25 * time.Hour))
	h.call("GET", "/v1/me", nil, "Authorization", "Bearer "+joon.AccessToken).refused(401, chat.KindUnauthenticated, "") // a day has passed
	again := joon.again()
	again.asks(mina)
	told(chat.ContactIncoming, chat.ContactOutgoing)
	phone.quiet()
	laptop.quiet()
	his.quiet()
	hers.quiet()
}

// TestContactRefusals: oneself, people who don't exist, and what is no id.
func TestContactRefusals(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	for _, path := range []string{"/v1/contacts/", "/v1/blocks/"} {
		for _, method := range []string{"PUT", "DELETE"} {
			mina.call(method, path+string(mina.User.ID), nil).refused(400, chat.KindInvalid, "user_id")
			mina.call(method, path+url.PathEscape("a b"), nil).refused(400, chat.KindInvalid, "user_id")
			mina.call(method, path+"u1", `{}`).refused(400, chat.KindInvalid, "")
		}
		mina.call("PUT", path+"udoesnotexist", nil).refused(404, chat.KindNotFound, "user_id")
		mina.call("DELETE", path+"udoesnotexist", nil).status(204)
		mina.call("GET", path[:len(path)-1]+"?state=friend", nil).refused(400, chat.KindInvalid, "state")
	}
	if mina.contacts() != "" || mina.blocked() != "" {
		t.Errorf("mina has %q and blocks %q", mina.contacts(), mina.blocked())
	}
}

// TestAskingHasARate of its own: accepting doesn't spend it, nor asking again.
func TestAskingHasARate(t *testing.T) {
	h := open(t, func(o *Options) { o.RateLimits = true })
	mina := h.person("mina")
	burst := rates[RateContact].burst
	others := make([]*person, burst+1)
	for i := range others {
		if i == 25 { // signing up has a rate too
			h.ahead.Add(int64(time.Minute))
		}
		others[i] = h.person(fmt.Sprintf("p%02d", i))
	}
	for i, other := range others[:burst] {
		if i%10 == 0 {
			h.ahead.Add(int64(time.Second)) // the rate of writing
		}
		mina.asks(other)
	}
	last := others[burst]
	if p := mina.call("PUT", "/v1/contacts/"+string(last.User.ID), nil).refused(429, chat.KindTooMany, ""); p.RetryAfterMS == 0 || p.Limit != int64(burst) {
		t.Errorf("refused with %+v", p)
	}
	mina.asks(others[0])
	last.asks(mina)
	mina.asks(last)
}

// TestBlocks: the blocker's devices alone are told of it; friendship ends, what
// the blocked one asks isn't shown until the block is lifted.
func TestBlocks(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	mina.befriend(joon)
	hers, also, his := mina.connect(), mina.again().connect(), joon.connect()
	both := func(hear func(*socket)) { hear(hers); hear(also) }
	mina.blocks(joon)
	mina.blocks(joon)
	both(func(s *socket) { s.hearsContact(joon, chat.ContactNone); s.hearsBlock(joon, true) })
	his.hearsContact(mina, chat.ContactNone)
	if mina.blocked() != "joon, " || joon.blocked() != "" || joon.contacts()+mina.contacts() != "" {
		t.Errorf("mina blocks %q, joon %q; contacts %q, %q", mina.blocked(), joon.blocked(), mina.contacts(), joon.contacts())
	}
	// He asks: it looks sent, and she doesn't see it. She can't ask.
	if c := joon.asks(mina); c.State != chat.ContactOutgoing {
		t.Errorf("he is answered %+v", c)
	}
	his.hearsContact(mina, chat.ContactOutgoing)
	if mina.contacts() != "" || joon.contacts() != "mina outgoing, " {
		t.Errorf("mina has %q, joon %q", mina.contacts(), joon.contacts())
	}
	mina.call("PUT", "/v1/contacts/"+string(joon.User.ID), nil).refused(409, chat.KindConflict, "user_id")
	mina.drops(joon)
	// She lifts the block and sees what he has asked.
	mina.unblocks(joon)
	mina.unblocks(joon)
	both(func(s *socket) { s.hearsContact(joon, chat.ContactIncoming); s.hearsBlock(joon, false) })
	if mina.contacts() != "joon incoming, " || mina.blocked() != "" {
		t.Errorf("mina has %q, blocks %q", mina.contacts(), mina.blocked())
	}
	hers.quiet()
	also.quiet()
	his.quiet()
	// He is found, and she too, block or not.
	mina.blocks(joon)
	var found wire.Users
	joon.call("GET", "/v1/users?query=mina", nil).status(200).into(&found)
	if len(found.Users) != 1 {
		t.Errorf("he finds %+v", found)
	}
	joon.call("GET", "/v1/users/"+string(mina.User.ID), nil).status(200)
}

// TestABlockStopsADirectRoom: nothing new passes, either way, by HTTP or by frame;
// who is blocked isn't told so; what was said stays, and so do groups.
func TestABlockStopsADirectRoom(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room, group := mina.direct(joon), mina.group("us", joon)
	mina.post(room, "hers")
	old := obj{"client_id": uuid().String(), "text": "his"}
	joon.call("POST", "/v1/rooms/"+string(room)+"/messages", old).status(201)
	hers, his := mina.connect(), joon.connect()
	mina.blocks(joon)
	hers.hearsBlock(joon, true)
	path := "/v1/rooms/" + string(room)
	refusedAll := func(p *person, s *socket, own string, status int, code chat.Kind) {
		t.Helper()
		refused := func(a *answer) {
			t.Helper()
			a.refused(status, code, "")
		}
		refused(p.call("POST", path+"/messages", obj{"client_id": uuid().String(), "text": "x"}))
		refused(p.call("POST", path+"/messages", obj{"client_id": uuidAt(time.Now().Add(-time.Hour)).String(), "text": "x"}))
		refused(p.call("PATCH", path+"/messages/"+own, obj{"text": "x"}))
		refused(p.call("PUT", path+"/messages/1/reactions/"+url.PathEscape("👍"), nil))
		seq := uint64(own[0] - '0')
		for ref, f := range map[string]wire.Frame{
			"send":   &wire.Send{Ref: "send", RoomID: string(room), ClientID: uuid().String(), Text: "x"},
			"edit":   &wire.Edit{Ref: "edit", RoomID: string(room), Seq: seq, Text: "x"},
			"react":  &wire.React{Ref: "react", RoomID: string(room), Seq: 1, Emoji: "👍"},
			"typing": &wire.Typing{Ref: "typing", RoomID: string(room)},
		} {
			s.send(f)
			s.refused(ref, code, "")
		}
	}
	refusedAll(joon, his, "2", 403, chat.KindForbidden)
	refusedAll(mina, hers, "1", 409, chat.KindConflict)
	// A retry of what was sent before is answered as ever.
	joon.call("POST", path+"/messages", old).status(200)
	his.send(&wire.Send{Ref: "retry", RoomID: string(room), ClientID: old["client_id"].(string), Text: "his"})
	if f := next[*wire.Sent](his); f.Ref != "retry" || f.Seq != 2 {
		t.Errorf("a retry is answered %+v", f)
	}
	// Reading is one's own matter; what was taken back is told.
	his.send(&wire.Read{Ref: "read", RoomID: string(room), Seq: 1})
	until(his, func(f *wire.OK) bool { return f.Ref == "read" })
	mina.call("PUT", path+"/read", obj{"seq": 2}).status(204)
	until(hers, func(f *wire.EventFrame) bool { return f.Event.Type == chat.EventRead && f.Event.UserID == mina.User.ID })
	for _, p := range []*person{mina, joon} {
		var got wire.Room
		var all wire.Members
		p.call("GET", path, nil).status(200).into(&got)
		p.call("GET", path+"/members", nil).status(200).into(&all)
		for _, m := range append(got.Members, all.Members...) {
			if m.User.ID == p.User.ID && m.ReadSeq != 2 || m.User.ID != p.User.ID && m.ReadSeq != 0 {
				t.Errorf("%s sees that %s has read %d", p.User.Username, m.User.Username, m.ReadSeq)
			}
		}
	}
	joon.call("DELETE", path+"/messages/2", nil).status(204)
	for _, s := range []*socket{hers, his} {
		if e := next[*wire.EventFrame](s); e.Event.Type != chat.EventDeleted {
			t.Errorf("told %s", wire.Encode(e))
		}
	}
	// A draft is nobody else's, and may wait for the block to end.
	joon.call("PUT", path+"/draft", obj{"text": "later"}).status(204)
	if e := next[*wire.EventFrame](his); e.Event.Type != chat.EventDraft || e.Event.RoomID != room {
		t.Errorf("told %s", wire.Encode(e))
	}
	hers.quiet() // neither his typing nor his reading, nor anything else
	his.quiet()
	// The group goes on.
	joon.post(group, "in the group")
	hers.message("in the group")
	his.send(&wire.Typing{RoomID: string(group)})
	next[*wire.TypingFrame](hers)
	mina.unblocks(joon)
	hers.hearsBlock(joon, false)
	joon.post(room, "again")
	hers.message("again")
}

// TestABlockEndsDelivered: the sender hears no more of what the other's device has.
func TestABlockEndsDelivered(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	room := mina.direct(joon)
	sender, receiver := joon.connect(), mina.connect()
	joon.post(room, "one")
	at := receiver.message("one").Cursor
	sender.message("one")
	mina.blocks(joon)
	receiver.hearsBlock(joon, true)
	receiver.send(&wire.Ack{Cursor: at})
	receiver.alive()
	sender.quiet()
}

// TestABlockedPersonFindsNobody: who wants to open the direct room with a blocker
// is answered to the byte as for somebody who doesn't exist; the blocker is told
// why, and still finds the room that is there.
func TestABlockedPersonFindsNobody(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	mina.blocks(joon)
	opens := func(p *person, other chat.UserID) *answer {
		return p.call("POST", "/v1/rooms", obj{"kind": "direct", "user_id": other})
	}
	check := func() {
		t.Helper()
		here, nowhere := opens(joon, mina.User.ID).refused(404, chat.KindNotFound, "user_id"), opens(joon, "udoesnotexist").refused(404, chat.KindNotFound, "user_id")
		here.RequestID, nowhere.RequestID = "", ""
		if *here != *nowhere {
			t.Errorf("%+v, of nobody %+v", here, nowhere)
		}
	}
	check()
	opens(mina, joon.User.ID).refused(409, chat.KindConflict, "user_id")
	// A room that was never made isn't there, whoever knows what it would be called.
	room := chat.DirectRoomID(mina.User.ID, joon.User.ID)
	for _, id := range []chat.RoomID{room, "dnothing"} {
		for _, p := range []*person{joon, mina} {
			p.call("POST", "/v1/rooms/"+string(id)+"/messages", obj{"client_id": uuid().String(), "text": "x"}).refused(404, chat.KindNotFound, "")
			p.call("PUT", "/v1/rooms/"+string(id)+"/messages/1/reactions/"+url.PathEscape("👍"), nil).refused(404, chat.KindNotFound, "")
			p.call("PUT", "/v1/rooms/"+string(id)+"/read", obj{"seq": 1}).refused(404, chat.KindNotFound, "")
		}
	}
	his := joon.connect()
	for ref, f := range map[string]wire.Frame{
		"send":   &wire.Send{Ref: "send", RoomID: string(room), ClientID: uuid().String(), Text: "x"},
		"edit":   &wire.Edit{Ref: "edit", RoomID: string(room), Seq: 1, Text: "x"},
		"typing": &wire.Typing{Ref: "typing", RoomID: string(room)},
	} {
		his.send(f)
		his.refused(ref, chat.KindNotFound, "")
	}
	mina.unblocks(joon)
	if got := mina.direct(joon); got != room {
		t.Errorf("the room is %s", got)
	}
	mina.blocks(joon)
	check()
	opens(mina, joon.User.ID).status(200)
}

// TestABlockHidesPresence, both ways, and lifting it shows it again.
func TestABlockHidesPresence(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	mina.direct(joon)
	mina.group("us", joon)
	mina.connect()
	joon.connect()
	look := func(p, at *person) wire.Presence {
		t.Helper()
		var got wire.Presences
		p.call("GET", "/v1/presence?user_id="+string(at.User.ID), nil).status(200).into(&got)
		return got.Presence[0]
	}
	if look(mina, joon).Status != wire.Online || look(joon, mina).Status != wire.Online {
		t.Error("those of one direct room don't see each other")
	}
	mina.blocks(joon)
	for _, got := range []wire.Presence{look(mina, joon), look(joon, mina)} {
		if got.Status != wire.Offline || got.LastSeen != 0 {
			t.Errorf("seen over a block: %+v", got)
		}
	}
	mina.unblocks(joon)
	if look(joon, mina).Status != wire.Online {
		t.Error("still hidden after unblocking")
	}
}

// TestWhoWatchesIsToldOfABlock as of somebody who leaves, and of its end as of
// somebody who comes; who doesn't watch isn't told anything.
func TestWhoWatchesIsToldOfABlock(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	mina.group("us", joon)
	hers, his, unwatching := mina.connect(), joon.connect(), joon.again().connect()
	his.send(&wire.Watch{Ref: "w", UserIDs: []string{string(mina.User.ID)}})
	until(his, presenceOf(mina.User.ID, wire.Online))
	mina.blocks(joon)
	if f := next[*wire.PresenceFrame](his); f.Status != wire.Offline || f.LastSeen != 0 || f.UserID != mina.User.ID {
		t.Errorf("told %s", wire.Encode(f))
	}
	hers.send(&wire.SetStatus{Ref: "s", Status: wire.Away})
	until(hers, func(f *wire.OK) bool { return f.Ref == "s" })
	his.quiet()
	mina.unblocks(joon)
	if f := next[*wire.PresenceFrame](his); f.Status != wire.Away {
		t.Errorf("told %s", wire.Encode(f))
	}
	unwatching.quiet()
}

// TestFriendshipShowsPresence to friends only, from the acceptance on, without
// watching, and until it ends.
func TestFriendshipShowsPresence(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	mina.call("PATCH", "/v1/me", obj{"presence_visibility": "friends"}).status(200)
	mina.direct(joon)
	mina.connect()
	his := joon.connect()
	his.send(&wire.Watch{Ref: "w", UserIDs: []string{string(mina.User.ID)}})
	until(his, presenceOf(mina.User.ID, wire.Offline))
	his.quiet() // sharing a room is no friendship
	mina.befriend(joon)
	until(his, presenceOf(mina.User.ID, wire.Online))
	mina.drops(joon)
	until(his, presenceOf(mina.User.ID, wire.Offline))
	his.send(&wire.Watch{Ref: "w", UserIDs: []string{}})
	until(his, func(f *wire.OK) bool { return f.Ref == "w" })
	mina.befriend(joon)
	until(his, presenceOf(mina.User.ID, wire.Online))
	mina.blocks(joon)
	until(his, presenceOf(mina.User.ID, wire.Offline))
}

// TestContactEventsAreNewest: of two events that overtook each other both tell
// what is by then, and an account this node hasn't seen is asked of the store.
func TestContactEventsAreNewest(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	his := joon.connect()
	asked, err := h.edge.Contacts.Act(t.Context(), mina.User.ID, joon.User.ID, chat.ActAsk)
	h.must(err)
	taken, err := h.edge.Contacts.Act(t.Context(), mina.User.ID, joon.User.ID, chat.ActDrop)
	h.must(err)
	h.eventually("the watch has come by", func() bool { pairs, _ := h.edge.Contacts.Size(); return pairs == 0 })
	who, err := h.auth.Verify(joon.AccessToken)
	h.must(err)
	for _, done := range []chat.Event{{Revision: taken.Revision, Pair: &taken.After}, {Revision: asked.Revision, Pair: &asked.After}} {
		done.Type = chat.EventContact
		h.edge.tell(context.Background(), who, done, joon.User.ID)
	}
	his.hearsContact(mina, chat.ContactNone)
	his.hearsContact(mina, chat.ContactNone)
	// Of somebody who is nowhere there is the id.
	p := chat.NewPair(joon.User.ID, "unowhere")
	p.Friends = 1795000000000
	h.edge.tell(context.Background(), who, chat.Event{Type: chat.EventContact, Pair: &p, Revision: 1 << 40}, joon.User.ID)
	if e := next[*wire.EventFrame](his).Event; e.Contact == nil || e.Contact.User != (wire.User{ID: "unowhere"}) || e.Contact.State != chat.ContactFriend {
		t.Errorf("told %s", wire.Marshal(e))
	}
}
