package edge

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// refusal is a request that must not pass.
type refusal struct {
	what, method, path string
	body               any
	headers            []string
	status             int
	code               chat.Kind
	field              string
}

// TestWhoIsNobodyGetsNothing walks every route: without a token, with a forged
// one, with an empty one, all alike.
func TestWhoIsNobodyGetsNothing(t *testing.T) {
	h := open(t)
	for _, r := range h.edge.Routes() {
		if r.Access != SignedIn {
			continue
		}
		path := strings.NewReplacer("{room_id}", "g1", "{user_id}", "u1", "{seq}", "1", "{emoji}", "%F0%9F%91%8D", "{device_id}", "v1").Replace(r.Path)
		for _, headers := range [][]string{
			nil,
			{"Authorization", "Bearer na_forged"},
			{"Authorization", "Bearer "},
			{"Authorization", "Basic bWluYTpwdw=="},
			{"Authorization", "na_forged"},
			{"Cookie", cookieName + "=nc_forged", "X-Natter", "1"},
		} {
			h.call(r.Method, path, nil, headers...).refused(401, chat.KindUnauthenticated, "")
		}
	}
}

// TestBodiesAreReadStrictly: one strict decoder, whichever the route.
func TestBodiesAreReadStrictly(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	room := "/v1/rooms/" + string(mina.group("us")) + "/messages"
	invalid := func(what, body, field string) refusal {
		return refusal{what, "POST", room, body, nil, 400, chat.KindInvalid, field}
	}
	for _, c := range []refusal{
		invalid("malformed", `{"text":`, "text"),
		invalid("no JSON", `hello`, ""),
		invalid("an array", `[]`, ""),
		invalid("nothing", ``, ""),
		invalid("null", `null`, ""),
		invalid("trailing garbage", `{"text":"x"} {}`, ""),
		invalid("unknown field", `{"text":"x","admin":true}`, "admin"),
		invalid("the server's own fields", `{"text":"x","seq":9}`, "seq"),
		invalid("another's name", `{"text":"x","sender_id":"u1"}`, "sender_id"),
		invalid("schema link", `{"text":"x","$schema":"y"}`, "$schema"),
		invalid("duplicate name", `{"text":"x","text":"y"}`, "text"),
		invalid("wrong type", `{"text":5}`, "text"),
		invalid("null text", `{"text":null}`, "text"),
		invalid("number as a string", `{"text":"x","reply_to":"1"}`, "reply_to"),
		invalid("invalid UTF-8", "{\"text\":\"a\xff\"}", "text"),
		invalid("lone surrogate", `{"text":"\ud83d"}`, "text"),
		invalid("deep", `{"text":`+strings.Repeat("[", 5000), "text"),
		invalid("byte order mark", "\ufeff{}", ""),
		{"as text", "POST", room, `{"text":"x"}`, []string{"Content-Type", "text/plain"}, 415, wire.CodeContentType, ""},
		{"as a form", "POST", room, `text=x`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, wire.CodeContentType, ""},
		{"without a type", "POST", room, `{"text":"x"}`, []string{"Content-Type", ""}, 415, wire.CodeContentType, ""},
		{"in another charset", "POST", room, `{"text":"x"}`, []string{"Content-Type", "application/json; charset=utf-16"}, 415, wire.CodeContentType, ""},
		{"compressed", "POST", room, `{"text":"x"}`, []string{"Content-Encoding", "gzip"}, 415, wire.CodeContentType, ""},
		{"over the body's limit", "POST", room, `{"text":"` + strings.Repeat("x", chat.MaxBodyBytes) + `"}`, nil, 413, chat.KindTooLarge, ""},
		{"a body where none belongs", "GET", "/v1/me", `{}`, nil, 400, chat.KindInvalid, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := mina.call(c.method, c.path, c.body, c.headers...)
			a.t = t
			a.refused(c.status, c.code, c.field)
		})
	}
	if m := mina.post(chat.RoomID(strings.Split(room, "/")[3]), "x"); m.Seq != 2 {
		t.Errorf("a refused message took a seq: %+v", m)
	}
}

// TestTextsHaveLimits: every limit by its name, and what no text may be.
func TestTextsHaveLimits(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	id := mina.group("us")
	room := "/v1/rooms/" + string(id)
	long := strings.Repeat("가", chat.MaxTextRunes)
	mina.post(id, long)
	for _, c := range []refusal{
		{"text over the limit", "POST", room + "/messages", obj{"text": long + "가"}, nil, 413, chat.KindTooLarge, "text"},
		{"empty text", "POST", room + "/messages", obj{"text": ""}, nil, 400, chat.KindInvalid, "text"},
		{"no text", "POST", room + "/messages", obj{}, nil, 400, chat.KindInvalid, "text"},
		{"only spaces", "POST", room + "/messages", obj{"text": " \n\t\u3000"}, nil, 400, chat.KindInvalid, "text"},
		{"only what can't be seen", "POST", room + "/messages", obj{"text": "\u200b\u200d\u2060\u3164"}, nil, 400, chat.KindInvalid, "text"},
		{"reply to the future", "POST", room + "/messages", obj{"text": "x", "reply_to": 99}, nil, 400, chat.KindInvalid, "reply_to"},
		{"client_id of another version", "POST", room + "/messages", obj{"text": "x", "client_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479"}, nil, 400, chat.KindInvalid, "client_id"},
		{"client_id of nonsense", "POST", room + "/messages", obj{"text": "x", "client_id": "1"}, nil, 400, chat.KindInvalid, "client_id"},
		{"name with a control character", "PATCH", "/v1/me", obj{"name": "mi\x07na"}, nil, 400, chat.KindInvalid, "name"},
		{"name with a line break", "PATCH", "/v1/me", obj{"name": "mi\nna"}, nil, 400, chat.KindInvalid, "name"},
		{"name that turns around", "PATCH", "/v1/me", obj{"name": "mina\u202exe.gpj"}, nil, 400, chat.KindInvalid, "name"},
		{"name too long", "PATCH", "/v1/me", obj{"name": strings.Repeat("x", 65)}, nil, 413, chat.KindTooLarge, "name"},
		{"name empty", "PATCH", "/v1/me", obj{"name": " "}, nil, 400, chat.KindInvalid, "name"},
		{"room name with a control character", "PATCH", room, obj{"name": "a\x00b"}, nil, 400, chat.KindInvalid, "name"},
		{"group with a bidirectional name", "POST", "/v1/rooms", obj{"kind": "group", "name": "a\u2066b"}, nil, 400, chat.KindInvalid, "name"},
		{"topic too long", "PATCH", room, obj{"topic": strings.Repeat("x", 257)}, nil, 413, chat.KindTooLarge, "topic"},
		{"no change", "PATCH", room, obj{}, nil, 400, chat.KindInvalid, ""},
		{"mute and rename", "PATCH", room, obj{"muted": true, "name": "x"}, nil, 400, chat.KindInvalid, "muted"},
		{"visibility of nonsense", "PATCH", "/v1/me", obj{"presence_visibility": "some"}, nil, 400, chat.KindInvalid, "presence_visibility"},
		{"avatar of nonsense", "PATCH", "/v1/me", obj{"avatar_id": "../x"}, nil, 400, chat.KindInvalid, "avatar_id"},
		{"read beyond the end", "PUT", room + "/read", obj{"seq": 99}, nil, 400, chat.KindInvalid, "seq"},
		{"read of nothing", "PUT", room + "/read", obj{}, nil, 400, chat.KindInvalid, "seq"},
		{"draft over the limit", "PUT", room + "/draft", obj{"text": long + "가"}, nil, 413, chat.KindTooLarge, "text"},
		{"draft that replies to the future", "PUT", room + "/draft", obj{"text": "x", "reply_to": 99}, nil, 400, chat.KindInvalid, "reply_to"},
		{"draft that replies to what no room has", "PUT", room + "/draft", obj{"text": "x", "reply_to": uint64(1) << 60}, nil, 400, chat.KindInvalid, "reply_to"},
		{"history of nonsense", "PATCH", room, obj{"history": "some"}, nil, 400, chat.KindInvalid, "history"},
		{"history of nothing", "PATCH", room, obj{"history": ""}, nil, 400, chat.KindInvalid, "history"},
		{"mute and history", "PATCH", room, obj{"muted": true, "history": "all"}, nil, 400, chat.KindInvalid, "muted"},
		{"group with a history of nonsense", "POST", "/v1/rooms", obj{"kind": "group", "name": "x", "history": "none"}, nil, 400, chat.KindInvalid, "history"},
		{"direct room with a history", "POST", "/v1/rooms", obj{"kind": "direct", "user_id": "u1", "history": "all"}, nil, 400, chat.KindInvalid, "kind"},
		{"emoji of letters", "PUT", room + "/messages/1/reactions/abc", nil, nil, 400, chat.KindInvalid, "emoji"},
		{"emoji of half an escape", "PUT", room + "/messages/1/reactions/%F0%9F", nil, nil, 400, chat.KindInvalid, "emoji"},
		{"seq of letters", "DELETE", room + "/messages/abc", nil, nil, 400, chat.KindInvalid, "seq"},
		{"seq 0", "DELETE", room + "/messages/0", nil, nil, 400, chat.KindInvalid, "seq"},
		{"seq over 2^64", "DELETE", room + "/messages/99999999999999999999", nil, nil, 400, chat.KindInvalid, "seq"},
		{"message that isn't there", "DELETE", room + "/messages/77", nil, nil, 404, chat.KindNotFound, ""},
		{"role of nonsense", "PATCH", room + "/members/" + string(mina.User.ID), obj{"role": "king"}, nil, 400, chat.KindInvalid, "role"},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := mina.call(c.method, c.path, c.body, c.headers...)
			a.t = t
			p := a.refused(c.status, c.code, c.field)
			if c.code == chat.KindTooLarge && p.Limit == 0 {
				t.Errorf("the limit isn't named: %s", a.body)
			}
		})
	}
}

// TestMemberListsAreChecked: strangers, duplicates, oneself, 101 people.
func TestMemberListsAreChecked(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	try := func(body obj) *answer { return mina.call("POST", "/v1/rooms", body) }
	group := func(ids ...any) obj { return obj{"kind": "group", "name": "us", "member_ids": ids} }
	try(group("u404")).refused(404, chat.KindNotFound, "member_ids")
	try(group("no/id")).refused(400, chat.KindInvalid, "member_ids")
	try(group(joon.User.ID, joon.User.ID)).refused(400, chat.KindInvalid, "member_ids")
	try(group(mina.User.ID)).refused(400, chat.KindInvalid, "member_ids")
	try(group(nil)).refused(400, chat.KindInvalid, "member_ids")
	crowd := make([]any, chat.MaxMembers)
	for i := range crowd {
		crowd[i] = "u404"
	}
	if p := try(group(crowd...)).refused(400, chat.KindInvalid, "member_ids"); p.Limit != 100 {
		t.Errorf("limit %d", p.Limit)
	}
	try(obj{"kind": "cabal"}).refused(400, chat.KindInvalid, "kind")
	try(obj{"kind": "direct", "user_id": mina.User.ID}).refused(400, chat.KindInvalid, "user_id")
	try(obj{"kind": "direct", "user_id": "u404"}).refused(404, chat.KindNotFound, "user_id")
	try(obj{"kind": "direct"}).refused(400, chat.KindInvalid, "user_id")
	try(obj{"kind": "group", "name": "x", "user_id": joon.User.ID}).refused(400, chat.KindInvalid, "user_id")

	// The direct room of two is one, whoever asks, and asking again is 200.
	var one, two wire.Room
	mina.call("POST", "/v1/rooms", obj{"kind": "direct", "user_id": joon.User.ID}).status(201).into(&one)
	joon.call("POST", "/v1/rooms", obj{"kind": "direct", "user_id": mina.User.ID}).status(200).into(&two)
	if one.ID != two.ID {
		t.Errorf("two direct rooms: %s, %s", one.ID, two.ID)
	}
	// The same Idempotency-Key makes one group.
	mina.call("POST", "/v1/rooms", group(joon.User.ID), "Idempotency-Key", "k1").status(201).into(&one)
	mina.call("POST", "/v1/rooms", group(joon.User.ID), "Idempotency-Key", "k1").status(200).into(&two)
	if one.ID != two.ID {
		t.Errorf("two groups of one key: %s, %s", one.ID, two.ID)
	}
}

// TestStrangersLearnNothing: a room of others answers as one that isn't there,
// byte for byte, on every call and over the socket.
func TestStrangersLearnNothing(t *testing.T) {
	h := open(t)
	mina, joon, eve := h.person("mina"), h.person("joon"), h.person("eve")
	theirs := mina.group("us", joon)
	mina.post(theirs, "secret")
	s := eve.connect()
	for _, r := range h.edge.Routes() {
		if !strings.Contains(r.Path, "{room_id}") {
			continue
		}
		bodies := map[string]any{
			"PATCH /v1/rooms/{room_id}":                   obj{"name": "mine"},
			"PATCH /v1/rooms/{room_id}/members/{user_id}": obj{"role": "owner"},
			"POST /v1/rooms/{room_id}/messages":           obj{"text": "hi"},
			"PATCH /v1/rooms/{room_id}/messages/{seq}":    obj{"text": "hi"},
			"PUT /v1/rooms/{room_id}/read":                obj{"seq": 1},
			"PUT /v1/rooms/{room_id}/draft":               obj{"text": "hi"},
		}
		ask := func(room chat.RoomID) string {
			path := strings.NewReplacer("{room_id}", string(room), "{user_id}", string(eve.User.ID), "{seq}", "1", "{emoji}", "%F0%9F%91%8D").Replace(r.Path)
			a := eve.call(r.Method, path, bodies[r.Method+" "+r.Path])
			p := a.refused(404, chat.KindNotFound, "")
			return strings.ReplaceAll(string(a.body), p.RequestID, "")
		}
		if real, none := ask(theirs), ask("g404"); real != none {
			t.Errorf("%s %s: %s for a room of others, %s for none", r.Method, r.Path, real, none)
		}
		// Others' names aren't shown either.
		path := strings.NewReplacer("{room_id}", "a.b", "{user_id}", "u1", "{seq}", "1", "{emoji}", "%F0%9F%91%8D").Replace(r.Path)
		eve.call(r.Method, path, bodies[r.Method+" "+r.Path]).refused(400, chat.KindInvalid, "room_id")
	}
	for _, room := range []chat.RoomID{theirs, "g404"} {
		for ref, f := range map[string]wire.Frame{
			"send":    &wire.Send{Ref: "send", RoomID: string(room), ClientID: uuid().String(), Text: "hi"},
			"read":    &wire.Read{Ref: "read", RoomID: string(room), Seq: 1},
			"edit":    &wire.Edit{Ref: "edit", RoomID: string(room), Seq: 1, Text: "hi"},
			"delete":  &wire.Delete{Ref: "delete", RoomID: string(room), Seq: 1},
			"react":   &wire.React{Ref: "react", RoomID: string(room), Seq: 1, Emoji: "👍"},
			"draft":   &wire.SetDraft{Ref: "draft", RoomID: string(room), Text: "hi"},
			"undraft": &wire.SetDraft{Ref: "undraft", RoomID: string(room)},
			"typing":  &wire.Typing{Ref: "typing", RoomID: string(room)},
			// An old client_id asks history first.
			"old": &wire.Send{Ref: "old", RoomID: string(room), ClientID: uuidAt(h.now().Add(-time.Hour)).String(), Text: "hi"},
		} {
			s.send(f)
			if p := s.refused(ref, chat.KindNotFound, ""); p.Detail != "there is no such room" {
				t.Errorf("%s: %q", ref, p.Detail)
			}
		}
	}
	mina.connect().quiet()
}

// TestAddressesAreKnown: unknown paths, methods and parameters.
func TestAddressesAreKnown(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	for _, c := range []refusal{
		{"unknown path", "GET", "/v1/nothing", nil, nil, 404, chat.KindNotFound, ""},
		{"unknown path below", "POST", "/v1/me/x", nil, nil, 404, chat.KindNotFound, ""},
		{"later issue", "GET", "/v1/contacts", nil, nil, 404, chat.KindNotFound, ""},
		{"trailing slash", "GET", "/v1/me/", nil, nil, 404, chat.KindNotFound, ""},
		{"other case", "GET", "/V1/me", nil, nil, 404, chat.KindNotFound, ""},
		{"traversal", "GET", "/v1/rooms/..%2f..%2fme", nil, nil, 400, chat.KindInvalid, "room_id"},
		{"encoded id", "GET", "/v1/rooms/%67%31", nil, nil, 400, chat.KindInvalid, "room_id"},
		{"wrong method", "DELETE", "/v1/me", nil, nil, 405, wire.CodeMethod, ""},
		{"wrong method on the app", "POST", "/", nil, nil, 405, wire.CodeMethod, ""},
		{"TRACE", "TRACE", "/v1/me", nil, nil, 405, wire.CodeMethod, ""},
		{"unknown parameter", "GET", "/v1/me?admin=1", nil, nil, 400, chat.KindInvalid, "admin"},
		{"token in the address", "GET", "/v1/rooms?access_token=x", nil, nil, 400, chat.KindInvalid, "access_token"},
		{"limit of letters", "GET", "/v1/rooms?limit=many", nil, nil, 400, chat.KindInvalid, "limit"},
		{"limit over the limit", "GET", "/v1/rooms?limit=101", nil, nil, 400, chat.KindInvalid, "limit"},
		{"limit 0", "GET", "/v1/rooms?limit=0", nil, nil, 400, chat.KindInvalid, "limit"},
		{"negative limit", "GET", "/v1/rooms?limit=-1", nil, nil, 400, chat.KindInvalid, "limit"},
		{"page of nonsense", "GET", "/v1/rooms?page=!", nil, nil, 400, chat.KindInvalid, "page"},
		{"two ways to page", "GET", "/v1/rooms/g1/messages?before=1&after=1", nil, nil, 400, chat.KindInvalid, "after"},
		{"presence of nonsense", "GET", "/v1/presence?user_id=a%2Fb", nil, nil, 400, chat.KindInvalid, "user_id"},
		{"region of nonsense", "GET", "/v1/nodes?region=..", nil, nil, 400, chat.KindInvalid, "region"},
		{"no user", "GET", "/v1/users/u404", nil, nil, 404, chat.KindNotFound, ""},
		{"no session", "DELETE", "/v1/sessions/v404", nil, nil, 404, chat.KindNotFound, ""},
		{"no WebSocket", "GET", "/v1/ws", nil, nil, 426, wire.CodeUpgrade, ""},
		{"too long", "GET", "/v1/me", nil, []string{"X-Long", strings.Repeat("x", 9000)}, 431, wire.CodeHeaders, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := mina.call(c.method, c.path, c.body, c.headers...)
			a.t = t
			if c.method == "HEAD" {
				a.status(c.status)
				return
			}
			a.refused(c.status, c.code, c.field)
		})
	}
}

// TestCookiesAreForBrowsers: who gets one, what it may do, and its end.
func TestCookiesAreForBrowsers(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	c := mina.cookie
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure || c.Expires.Before(time.Now()) {
		t.Fatalf("cookie %+v", c)
	}
	if a := h.call("POST", "/v1/sessions", obj{"username": "mina", "password": password}).status(201); a.cookie() != nil {
		t.Error("a page of another site would have got a cookie")
	}
	cookie := []string{"Cookie", cookieName + "=" + c.Value}
	h.call("GET", "/v1/me", nil, cookie...).status(200)
	h.call("PATCH", "/v1/me", obj{"name": "Eve"}, cookie...).refused(403, chat.KindForbidden, "")
	h.call("PATCH", "/v1/me", obj{"name": "Mina"}, append(cookie, "X-Natter", "1")...).status(200)
	gone := h.call("DELETE", "/v1/sessions/current", nil, append(cookie, "X-Natter", "1")...).status(204).cookie()
	if gone == nil || gone.Value != "" || gone.Expires.After(time.Now()) {
		t.Errorf("the cookie stays: %+v", gone)
	}
	h.call("GET", "/v1/me", nil, cookie...).refused(401, chat.KindUnauthenticated, "")
	mina.call("GET", "/v1/me", nil).refused(401, chat.KindUnauthenticated, "")

	secure := open(t, func(o *Options) { o.Secure = true })
	if c := secure.person("mina").cookie; c == nil || !c.Secure {
		t.Errorf("over TLS: %+v", c)
	}
	if secure.call("GET", "/healthz", nil).Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS over TLS")
	}
}

// TestEveryAnswerIsHardened walks answers of all sorts for the headers they
// must carry, and for what they must not.
func TestEveryAnswerIsHardened(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	for _, a := range []*answer{
		mina.call("GET", "/v1/me", nil, "Origin", "https://evil.example"),
		mina.call("GET", "/v1/nothing", nil),
		mina.call("POST", "/v1/rooms", `{`),
		mina.call("GET", "/", nil),
		mina.call("GET", "/v1/me", nil, "X-Long", strings.Repeat("x", 9000)),
		h.call("OPTIONS", "/v1/me", nil, "Origin", "https://evil.example", "Access-Control-Request-Method", "PATCH"),
	} {
		for name, want := range map[string]string{
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
			"Content-Security-Policy":    contentPolicy,
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s %d: %s is %q", a.what, a.StatusCode, name, got)
			}
		}
		for name := range a.Header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Server" {
				t.Errorf("%s: %s", a.what, name)
			}
		}
		if a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", a.what)
		}
	}
}
