package edge

import (
	"sync"
	"testing"
	"time"

	"natter/auth"
	"natter/chat"
	"natter/contacts"
	"natter/internal/memory"
	"natter/wire"
)

// town is two nodes over the same stores.
type town struct {
	board *memory.Board
	seen  *memory.Seen
	a, b  *house
}

func twoNodes(t *testing.T, change ...func(*Options)) *town {
	t.Helper()
	w := &town{board: memory.NewBoard(), seen: memory.NewSeen()}
	w.a = open(t, append(change, func(o *Options) { o.NodeID, o.Roster, o.Seen = "a", w.board.Roster("a"), w.seen })...)
	w.b = open(t, append(change, func(o *Options) {
		o.NodeID, o.Roster, o.Seen = "b", w.board.Roster("b"), w.seen
		o.Log, o.History, o.Drafts, o.Queues, o.News = w.a.log, w.a.history, w.a.history, w.a.queues, w.a.news
		second, err := auth.Open(t.Context(), auth.Options{Records: w.a.records, NewID: o.NewID, Now: o.Now, Log: o.Logger})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Close)
		o.Auth = second
		pairs, err := contacts.Open(t.Context(), contacts.Options{Records: w.a.pairs, Now: o.Now, Log: o.Logger})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pairs.Close)
		o.Contacts = pairs
	})...)
	return w
}

// at is p as a client of another node.
func (p *person) at(h *house) *person { return &person{house: h, Session: p.Session, cookie: p.cookie} }

// look is how p sees u over HTTP.
func (p *person) look(u chat.UserID) wire.Presence {
	p.t.Helper()
	var got wire.Presences
	p.call("GET", "/v1/presence?user_id="+string(u), nil).status(200).into(&got)
	return got.Presence[0]
}

func (s *socket) watch(users ...chat.UserID) {
	s.t.Helper()
	ids := []string{}
	for _, u := range users {
		ids = append(ids, string(u))
	}
	s.send(&wire.Watch{Ref: "w", UserIDs: ids})
	until(s, func(f *wire.OK) bool { return f.Ref == "w" })
}

func (s *socket) status(status wire.Status) {
	s.t.Helper()
	s.send(&wire.SetStatus{Ref: "s", Status: status})
	until(s, func(f *wire.OK) bool { return f.Ref == "s" })
}

// TestPresenceOnAllNodes: it doesn't matter on which node who is and who looks.
func TestPresenceOnAllNodes(t *testing.T) {
	w := twoNodes(t)
	mina, joon := w.a.person("mina"), w.a.person("joon")
	mina.direct(joon)
	u := mina.User.ID
	watching := joon.at(w.b).connect() // by a token of the other node, at once
	watching.watch(u)
	until(watching, presenceOf(u, wire.Offline))
	phone := mina.connect()
	until(watching, presenceOf(u, wire.Online))
	for _, h := range []*house{w.a, w.b} {
		if got := joon.at(h).look(u); got.Status != wire.Online {
			t.Errorf("on node %s she is %s", h.edge.NodeID, got.Status)
		}
	}
	// Away when all devices say so, wherever they are.
	phone.status(wire.Away)
	until(watching, presenceOf(u, wire.Away))
	laptop := mina.again().at(w.b).connect()
	until(watching, presenceOf(u, wire.Online))
	laptop.status(wire.Away)
	until(watching, presenceOf(u, wire.Away))
	phone.status(wire.Online)
	until(watching, presenceOf(u, wire.Online))
	// One device less is nothing; hopping to another node isn't either.
	_ = laptop.ws.Close()
	other := mina.at(w.b).connect()
	_ = phone.ws.Close()
	watching.alive()
	_ = other.ws.Close()
	gone := until(watching, func(f *wire.PresenceFrame) bool { return f.UserID == u && f.Status != wire.Online })
	if gone.Status != wire.Offline || gone.LastSeen == 0 {
		t.Errorf("told %s", wire.Encode(gone))
	}
	for _, h := range []*house{w.a, w.b} {
		h.eventually("she is offline there, with the time", func() bool {
			got := joon.at(h).look(u)
			return got.Status == wire.Offline && got.LastSeen != 0
		})
	}
}

// TestVisibilityOnAllNodes: what she changes on one node holds on the other, for a
// friend and for who only shares a room.
func TestVisibilityOnAllNodes(t *testing.T) {
	w := twoNodes(t)
	mina, joon, hana := w.a.person("mina"), w.a.person("joon"), w.a.person("hana")
	mina.befriend(joon)
	mina.direct(hana)
	u := mina.User.ID
	w.b.eventually("they are friends there", func() bool {
		p, _ := w.b.edge.Contacts.Pair(u, joon.User.ID)
		return p.Friends != 0
	})
	mina.connect()
	watching := joon.at(w.b).connect()
	watching.watch(u)
	until(watching, presenceOf(u, wire.Online))
	for visibility, status := range map[string]wire.Status{"nobody": wire.Offline, "friends": wire.Online} {
		mina.call("PATCH", "/v1/me", obj{"presence_visibility": "nobody"}).status(200)
		until(watching, presenceOf(u, wire.Offline))
		mina.call("PATCH", "/v1/me", obj{"presence_visibility": visibility}).status(200)
		if visibility != "nobody" {
			until(watching, presenceOf(u, status))
		}
		w.b.eventually("it holds there", func() bool { return joon.at(w.b).look(u).Status == status })
		w.b.eventually("it hides her from others", func() bool { return hana.at(w.b).look(u).Status == wire.Offline })
		mina.call("PATCH", "/v1/me", obj{"presence_visibility": "everyone"}).status(200)
		w.b.eventually("she is seen again", func() bool { return hana.at(w.b).look(u).Status == wire.Online })
		watching.alive()
	}
}

// TestANodeDies: its people are gone after the linger, with the time the others
// noticed; those who came back elsewhere in time never were.
func TestANodeDies(t *testing.T) {
	w := twoNodes(t)
	mina, joon, hana := w.a.person("mina"), w.a.person("joon"), w.a.person("hana")
	mina.direct(joon)
	hana.direct(joon)
	mina.connect()
	hana.connect()
	watching := joon.at(w.b).connect()
	watching.watch(mina.User.ID, hana.User.ID)
	w.b.eventually("both are here", func() bool {
		return joon.at(w.b).look(mina.User.ID).Status == wire.Online && joon.at(w.b).look(hana.User.ID).Status == wire.Online
	})
	hana.at(w.b).connect() // her phone is quick
	watching.alive()
	died := chat.MillisOf(time.Now())
	w.board.Live("a", false)
	gone := until(watching, func(f *wire.PresenceFrame) bool { return f.Status == wire.Offline })
	if gone.UserID != mina.User.ID || chat.Millis(gone.LastSeen) < died {
		t.Errorf("told %s", wire.Encode(gone))
	}
	if got := joon.at(w.b).look(hana.User.ID); got.Status != wire.Online {
		t.Errorf("hana is %s", got.Status)
	}
	w.b.eventually("the living node keeps the time", func() bool {
		at, err := w.seen.Get(t.Context(), mina.User.ID)
		return err == nil && at >= died
	})
	// The node was only cut off.
	w.board.Live("a", true)
	until(watching, presenceOf(mina.User.ID, wire.Online))
}

// TestFriendsAreTold without watching; others aren't.
func TestFriendsAreTold(t *testing.T) {
	var friends sync.Map
	w := twoNodes(t, func(o *Options) {
		o.Friends = func(u chat.UserID) []chat.UserID {
			if f, ok := friends.Load(u); ok {
				return []chat.UserID{f.(chat.UserID)}
			}
			return nil
		}
	})
	mina, joon, eve := w.a.person("mina"), w.a.person("joon"), w.a.person("eve")
	friends.Store(mina.User.ID, joon.User.ID)
	friends.Store(joon.User.ID, mina.User.ID)
	mina.direct(eve)
	u := mina.User.ID
	here, there, stranger := joon.connect(), joon.at(w.b).connect(), eve.at(w.b).connect()
	phone := mina.connect()
	for _, s := range []*socket{here, there} {
		until(s, presenceOf(u, wire.Online))
	}
	phone.status(wire.Away)
	for _, s := range []*socket{here, there} {
		until(s, presenceOf(u, wire.Away))
	}
	late := joon.at(w.b).connect() // who comes later is told how they are
	until(late, presenceOf(u, wire.Away))
	mina.call("PATCH", "/v1/me", obj{"presence_visibility": "nobody"}).status(200)
	for _, s := range []*socket{here, there, late} {
		until(s, presenceOf(u, wire.Offline))
	}
	stranger.quiet()
}

// TestLastSeenSurvives the end of the node, and is told as far as one may look.
func TestLastSeenSurvives(t *testing.T) {
	seen := memory.NewSeen()
	h := open(t, func(o *Options) { o.Seen = seen })
	mina, joon, eve := h.person("mina"), h.person("joon"), h.person("eve")
	mina.direct(joon)
	const at = chat.Millis(1767225600123)
	seen.Put(mina.User.ID, at) // by a node that is no more
	if got := joon.look(mina.User.ID); chat.Millis(got.LastSeen) != at {
		t.Errorf("a friend sees %v", got)
	}
	if got := eve.look(mina.User.ID); got.LastSeen != 0 {
		t.Errorf("a stranger sees %v", got)
	}
	watching := joon.connect()
	watching.watch(mina.User.ID)
	if f := until(watching, presenceOf(mina.User.ID, wire.Offline)); chat.Millis(f.LastSeen) != at {
		t.Errorf("told %s", wire.Encode(f))
	}
	// Coming is kept too: a node that dies can't say when people went.
	mina.connect()
	until(watching, presenceOf(mina.User.ID, wire.Online))
	if got, _ := seen.Get(t.Context(), mina.User.ID); got <= at {
		t.Errorf("kept %v", got)
	}
}

// TestASignUpIsKnownOnEveryNode at once: who signs up on one node is found, and
// written to, on another that hasn't heard of them.
func TestASignUpIsKnownOnEveryNode(t *testing.T) {
	w := twoNodes(t)
	joon := w.a.person("joon")
	for range 20 {
		mina := w.a.person("mina" + string(uuid().String()[24:]))
		var got wire.User
		joon.at(w.b).call("GET", "/v1/users/"+string(mina.User.ID), nil).status(200).into(&got)
		if got != mina.User {
			t.Fatalf("there she is %+v, want %+v", got, mina.User)
		}
		joon.at(w.b).call("POST", "/v1/rooms", obj{"kind": "direct", "user_id": mina.User.ID}).status(201)
		mina.at(w.b).call("GET", "/v1/me", nil).status(200)
	}
}

// TestARevocationOnAnotherNode closes the sockets here.
func TestARevocationOnAnotherNode(t *testing.T) {
	w := twoNodes(t)
	mina := w.a.person("mina")
	there := mina.at(w.b).connect()
	mina.call("DELETE", "/v1/sessions/current", nil).status(204)
	there.closed(wire.CloseRevoked)
	mina.at(w.b).call("GET", "/v1/me", nil).status(401)
}

// TestManyPlaces folds what the other nodes tell: rounds, runs that end, live again
// and are replaced, and leaves nothing behind.
func TestManyPlaces(t *testing.T) {
	h := open(t)
	r := h.edge.roster
	placed := func(node, run string, u chat.UserID, d chat.DeviceID, s chat.Standing) {
		r.changed(chat.RosterChange{Kind: chat.RosterPlaced, Node: node, Run: run, User: u, Device: d, Standing: s})
	}
	is := func(when string, u chat.UserID, want chat.Standing) {
		t.Helper()
		r.mu.Lock()
		defer r.mu.Unlock()
		got := chat.Gone
		if p := r.here[u]; p != nil {
			got = r.standing(p)
		}
		if got != want {
			t.Errorf("%s: %s stands at %d, want %d", when, u, got, want)
		}
	}
	kind := func(k chat.RosterKind, node, run string) {
		r.changed(chat.RosterChange{Kind: k, Node: node, Run: run})
	}
	kind(chat.RosterBegan, "", "")
	placed("b", "1", "u1", "v1", chat.Here)
	is("before its node is known", "u1", chat.Gone)
	kind(chat.RosterLives, "b", "1")
	kind(chat.RosterLives, "c", "1")
	is("its node lives", "u1", chat.Here)
	placed("c", "1", "u1", "v1", chat.Away)
	placed("b", "1", "u1", "v1", chat.Gone)
	is("the same device on another node", "u1", chat.Away)
	kind(chat.RosterEnds, "c", "1")
	is("that node is gone", "u1", chat.Gone)
	kind(chat.RosterLives, "c", "2")
	is("it lives again, under another run", "u1", chat.Gone)
	placed("c", "2", "u1", "v1", chat.Here)
	is("and says so", "u1", chat.Here)
	kind(chat.RosterBegan, "", "")
	placed("c", "2", "u2", "v2", chat.Here)
	is("during another round", "u1", chat.Here)
	kind(chat.RosterReady, "", "")
	is("whom it didn't tell", "u1", chat.Gone)
	is("whom it told", "u2", chat.Here)
	placed("c", "2", "u2", "v2", chat.Gone)
	h.eventually("nobody is left", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.here) == 0
	})
}

// TestNewsKeepTheirOrder: whatever goroutines tell it, the last that watchers hear
// is what is.
func TestNewsKeepTheirOrder(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	mina.direct(joon)
	watching := joon.connect()
	watching.watch(mina.User.ID)
	devices := []*socket{mina.connect(), mina.connect()}
	done := make(chan struct{})
	for i, s := range devices {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 50 {
				_ = s.ws.WriteMessage(1, wire.Encode(&wire.SetStatus{Status: wire.Away}))
				_ = s.ws.WriteMessage(1, wire.Encode(&wire.SetStatus{Status: []wire.Status{wire.Online, wire.Away}[i]}))
			}
		}()
	}
	<-done
	<-done
	for _, s := range devices {
		s.status(wire.Away)
	}
	h.eventually("she is away", func() bool { return joon.look(mina.User.ID).Status == wire.Away })
	watching.send(&wire.Ping{Ref: "end"})
	last := wire.Offline
	for {
		f, err := watching.read()
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := f.(*wire.PresenceFrame); ok {
			last = p.Status
		}
		if p, ok := f.(*wire.Pong); ok && p.Ref == "end" {
			break
		}
	}
	if last != wire.Away {
		t.Errorf("she is away, and %s is what was told last", last)
	}
}
