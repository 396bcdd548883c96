package story

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// roomCalls is everything that can be asked of a room over HTTP.
func roomCalls(someone chat.UserID) []struct {
	method, path string
	body         any
} {
	name := "another name"
	return []struct {
		method, path string
		body         any
	}{
		{"GET", "", nil},
		{"PATCH", "", wire.ChangeRoom{Name: &name}},
		{"DELETE", "", nil},
		{"GET", "/members", nil},
		{"PUT", "/members/" + string(someone), nil},
		{"PATCH", "/members/" + string(someone), wire.ChangeMember{Role: "admin"}},
		{"DELETE", "/members/" + string(someone), nil},
		{"GET", "/messages", nil},
		{"GET", "/messages?before=5&limit=2", nil},
		{"POST", "/messages", wire.PostMessage{ClientID: client.NewKey().String(), Text: "let me in"}},
		{"PATCH", "/messages/1", wire.PatchMessage{Text: "mine now"}},
		{"DELETE", "/messages/1", nil},
		{"PUT", "/messages/1/reactions/%F0%9F%91%8D", nil},
		{"DELETE", "/messages/1/reactions/%F0%9F%91%8D", nil},
		{"PUT", "/read", wire.PutRead{Seq: 1}},
	}
}

// roomFrames is everything that can be asked of a room over a socket.
func roomFrames(room chat.RoomID) map[string]func(ref string) wire.Frame {
	id := string(room)
	return map[string]func(ref string) wire.Frame{
		"send": func(ref string) wire.Frame {
			return &wire.Send{Ref: ref, RoomID: id, ClientID: client.NewKey().String(), Text: "let me in"}
		},
		"read":    func(ref string) wire.Frame { return &wire.Read{Ref: ref, RoomID: id, Seq: 1} },
		"edit":    func(ref string) wire.Frame { return &wire.Edit{Ref: ref, RoomID: id, Seq: 1, Text: "x"} },
		"delete":  func(ref string) wire.Frame { return &wire.Delete{Ref: ref, RoomID: id, Seq: 1} },
		"react":   func(ref string) wire.Frame { return &wire.React{Ref: ref, RoomID: id, Seq: 1, Emoji: "👍"} },
		"unreact": func(ref string) wire.Frame { return &wire.Unreact{Ref: ref, RoomID: id, Seq: 1, Emoji: "👍"} },
	}
}

// TestStrangersLearnNothing: to who is no member a room answers exactly as one
// that does not exist, whatever is asked, and nothing of it reaches them.
func TestStrangersLearnNothing(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob, eve := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob"), harness.SignUp(t, node, "Eve")
	annPhone, evePhone := ann.Online("", nil), eve.Online("", nil)
	for kind, room := range map[string]chat.RoomID{"direct": ann.DirectWith(bob), "group": ann.GroupWith("secret", bob)} {
		annPhone.Says(room, "between us")
		before := len(history(t, ann, room))
		missing := chat.RoomID("gdoesnotexist")
		if kind == "direct" {
			missing = chat.DirectRoomID(eve.ID(), "unobody")
		}
		for _, c := range roomCalls(eve.ID()) {
			got := ask(t, eve, c.method, "/v1/rooms/"+string(room)+c.path, c.body)
			want := ask(t, eve, c.method, "/v1/rooms/"+string(missing)+c.path, c.body)
			if got != want || got.Status != http.StatusNotFound || got.Code != chat.KindNotFound {
				t.Errorf("%s: %s %s: %+v; of no room: %+v", kind, c.method, c.path, got, want)
			}
		}
		for op, frame := range roomFrames(room) {
			if err := evePhone.Do(harness.Context(t), frame); client.CodeOf(err) != chat.KindNotFound {
				t.Errorf("%s: %s: %v", kind, op, err)
			}
		}
		evePhone.Typing(room)
		if after := len(history(t, ann, room)); after != before {
			t.Errorf("%s: %d messages became %d", kind, before, after)
		}
	}
	// Behind a message of Eve's own, nothing of theirs can still be on its way.
	own := eve.DirectWith(ann)
	evePhone.Says(own, "hello")
	evePhone.HearsText(own, "hello")
	for _, e := range evePhone.Events() {
		if e.Message != nil && e.Message.RoomID != own || e.Room != nil && e.Room.ID != own {
			t.Errorf("Eve was told %s", wire.Marshal(e))
		}
	}
	rooms, err := eve.Rooms(harness.Context(t))
	if err != nil || len(rooms) != 1 {
		t.Errorf("Eve lists %d rooms: %v", len(rooms), err)
	}
}

// TestNobodyWithoutToken: without a session, or with one that was ended, there
// is nothing to see but the door.
func TestNobodyWithoutToken(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob")
	room := ann.DirectWith(bob)
	gone := ann.AnotherDevice("tablet")
	session := gone.Session()
	if err := gone.SignOut(harness.Context(t)); err != nil {
		t.Fatal(err)
	}
	forged := session
	forged.AccessToken = session.AccessToken[:len(session.AccessToken)-4] + "AAAA"
	for who, s := range map[string]wire.Session{"nobody": {}, "signed out": session, "forged": forged, "nonsense": {AccessToken: "x"}} {
		a := client.NewAccount(node.URL(), harness.HTTP(t))
		a.Adopt(s)
		p := &harness.Person{Account: a}
		calls := []string{"/v1/me", "/v1/rooms", "/v1/users?query=a", "/v1/sync", "/v1/sessions", "/v1/rooms/" + string(room)}
		for _, path := range calls {
			if got := ask(t, p, "GET", path, nil); got.Status != http.StatusUnauthorized || got.Code != chat.KindUnauthenticated {
				t.Errorf("%s: GET %s: %+v", who, path, got)
			}
		}
	}
}

// TestExMemberReadsNothingLater: who left or was removed reads nothing of the
// room any more, and is told nothing of what is said later.
func TestExMemberReadsNothingLater(t *testing.T) {
	node := harness.StartNode(t)
	ann, bob, cat := harness.SignUp(t, node, "Ann"), harness.SignUp(t, node, "Bob"), harness.SignUp(t, node, "Cat")
	room := ann.GroupWith("a group", bob, cat)
	annPhone, bobPhone, catPhone := ann.Online("", nil), bob.Online("", nil), cat.Online("", nil)
	annPhone.Says(room, "welcome")
	bobPhone.HearsText(room, "welcome")
	catPhone.HearsText(room, "welcome")
	if err := ann.RemoveMember(harness.Context(t), room, bob.ID()); err != nil {
		t.Fatal(err)
	}
	if err := cat.RemoveMember(harness.Context(t), room, cat.ID()); err != nil {
		t.Fatal(err)
	}
	annPhone.Says(room, "now that they are gone")
	for _, ex := range []struct {
		*harness.Person
		phone *harness.Phone
	}{{bob, bobPhone}, {cat, catPhone}} {
		ex.phone.Hears("that the room is left", func(e *wire.Event) bool { return e.Type == chat.EventRoomLeft && e.RoomID == room })
		for _, c := range roomCalls(ex.ID()) {
			if got := ask(t, ex.Person, c.method, "/v1/rooms/"+string(room)+c.path, c.body); got.Status != http.StatusNotFound {
				t.Errorf("%s: %s %s: %+v", ex.Username, c.method, c.path, got)
			}
		}
		for op, frame := range roomFrames(room) {
			if err := ex.phone.Do(harness.Context(t), frame); client.CodeOf(err) != chat.KindNotFound {
				t.Errorf("%s: %s: %v", ex.Username, op, err)
			}
		}
		own := ex.DirectWith(ann)
		annPhone.Says(own, "still friends")
		ex.phone.HearsText(own, "still friends")
		for _, text := range ex.phone.Texts(room) {
			if text != "welcome" {
				t.Errorf("%s was told %q", ex.Username, text)
			}
		}
	}
	// Who comes back sees what is said from then on.
	if err := ann.AddMember(harness.Context(t), room, bob.ID()); err != nil {
		t.Fatal(err)
	}
	annPhone.Says(room, "welcome back")
	bobPhone.HearsText(room, "welcome back")
	for _, text := range bobPhone.Texts(room) {
		if text == "now that they are gone" {
			t.Errorf("Bob was told %q", text)
		}
	}
	for _, m := range history(t, bob, room) {
		if m.Text == "now that they are gone" {
			t.Errorf("Bob reads %q", m.Text)
		}
	}
}

// TestRevokedSocketCloses: a revoked session's socket closes within a second,
// with 4501, and its tokens are dead.
func TestRevokedSocketCloses(t *testing.T) {
	node := harness.StartNode(t)
	ann := harness.SignUp(t, node, "Ann")
	stolen := ann.AnotherDevice("stolen phone")
	phone, thief := ann.Online("", nil), stolen.Online("", nil)
	revoked := time.Now()
	if err := ann.Call(harness.Context(t), http.MethodDelete, "/v1/sessions/"+string(stolen.Session().DeviceID), nil, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-thief.Done():
	case <-time.After(harness.Patience):
		t.Fatal("the revoked socket stays open")
	}
	if took := time.Since(revoked); took > time.Second {
		t.Errorf("it took %s", took)
	}
	var refused *client.Refused
	if err := thief.Err(); !errors.As(err, &refused) || refused.Code != wire.CloseRevoked {
		t.Errorf("it ended with %v", err)
	}
	if got := ask(t, stolen, "GET", "/v1/me", nil); got.Status != http.StatusUnauthorized {
		t.Errorf("its access token: %+v", got)
	}
	if err := stolen.Refresh(harness.Context(t)); client.CodeOf(err) != chat.KindUnauthenticated {
		t.Errorf("its refresh token: %v", err)
	}
	if phone.State() != client.Live {
		t.Errorf("the other device is %s", phone.State())
	}
}

// ask makes a call that must be refused, and returns how, without what differs
// from call to call.
func ask(t *testing.T, p *harness.Person, method, path string, body any) wire.Problem {
	t.Helper()
	err := p.Call(harness.Context(t), method, path, body, nil)
	var problem *wire.Problem
	if !errors.As(err, &problem) {
		t.Errorf("%s %s was not refused: %v", method, path, err)
		return wire.Problem{}
	}
	same := *problem
	same.RequestID = ""
	if strings.Contains(same.Detail, "goroutine ") {
		t.Errorf("%s %s tells a stack: %s", method, path, same.Detail)
	}
	return same
}

// history is a room's newest messages as p reads them.
func history(t *testing.T, p *harness.Person, room chat.RoomID) []wire.Message {
	t.Helper()
	page, err := p.Messages(harness.Context(t), room, client.Span{Limit: chat.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	return page.Messages
}
