package edge

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// TestFramesBeforeHello: whoever doesn't begin with hello is told and let go.
func TestFramesBeforeHello(t *testing.T) {
	h := open(t)
	for name, text := range map[string]string{
		"ping": `{"op":"ping","ref":"7"}`,
		"send": `{"op":"send","ref":"7","room_id":"r","client_id":"c","text":"x"}`,
		"ack":  `{"op":"ack","ref":"7","cursor":"AQ"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := h.dial()
			s.text(text)
			s.refused("7", chat.KindUnauthenticated, "")
			s.closed(wire.CloseProtocolError)
		})
	}
	s := h.dial()
	s.text(`{"op":"he`)
	s.refused("", chat.KindInvalid, "op")
	s.closed(wire.CloseProtocolError)
}

// TestTokensOfHello: expired, forged, revoked, of nobody.
func TestTokensOfHello(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	gone := mina.again()
	mina.call("DELETE", "/v1/sessions/"+string(gone.DeviceID), nil).status(204)
	for name, token := range map[string]string{
		"none":          "",
		"nonsense":      "x",
		"revoked":       gone.AccessToken,
		"forged":        mina.AccessToken[:len(mina.AccessToken)-2] + "zz",
		"refresh token": mina.RefreshToken,
		"a cookie":      mina.cookie.Value,
	} {
		t.Run(name, func(t *testing.T) {
			s := h.dial()
			s.send(&wire.Hello{Ref: "h", Token: token})
			s.refused("h", chat.KindUnauthenticated, "")
			s.closed(wire.CloseUnauthenticated)
		})
	}
	h.ahead.Store(int64(16 * time.Minute))
	s := h.dial()
	s.send(&wire.Hello{Ref: "h", Token: mina.AccessToken})
	s.refused("h", chat.KindUnauthenticated, "")
	s.closed(wire.CloseUnauthenticated)
	mina.call("GET", "/v1/me", nil).refused(401, chat.KindUnauthenticated, "")
}

// TestATokenExpiresDuringASocket: the socket ends with it, after a grace; one
// that the cookie opened goes on.
func TestATokenExpiresDuringASocket(t *testing.T) {
	h := open(t, func(o *Options) { o.expiryGrace = time.Millisecond })
	mina := h.person("mina")
	h.ahead.Store(int64(15*time.Minute - 3*time.Second)) // the token has at most three seconds left
	s := mina.connect()
	browser := h.dial("Origin", "http://"+h.addr, "Cookie", cookieName+"="+mina.cookie.Value)
	browser.send(&wire.Hello{})
	next[*wire.Welcome](browser)
	s.closed(wire.CloseUnauthenticated)
	browser.alive()
}

// TestHelloInTime: a socket that says nothing is closed.
func TestHelloInTime(t *testing.T) {
	h := open(t, func(o *Options) { o.helloWithin = 50 * time.Millisecond })
	h.dial().closed(wire.CloseUnauthenticated)
}

// TestAHeartbeatIsLost: silence of two and a half beats ends a session, any
// frame keeps it.
func TestAHeartbeatIsLost(t *testing.T) {
	const beat = 400 * time.Millisecond
	h := open(t, func(o *Options) { o.Heartbeat = beat })
	s := h.person("mina").connect()
	half := time.NewTicker(beat / 2)
	defer half.Stop()
	for range 7 { // three and a half beats
		<-half.C
		s.alive()
	}
	began := time.Now()
	s.closed(wire.CloseHeartbeatLost)
	if silent := time.Since(began); silent < 2*beat {
		t.Errorf("closed after %s of silence", silent)
	}
}

// TestFramesThatEndASocket: what isn't a text frame of this protocol.
func TestFramesThatEndASocket(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	for name, c := range map[string]struct {
		do   func(*socket)
		code wire.CloseCode
	}{
		"binary": {func(s *socket) { _ = s.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"op":"ping"}`)) }, wire.CloseProtocolError},
		"invalid UTF-8": {func(s *socket) {
			s.text("{\"op\":\"send\",\"text\":\"\xff\"}")
		}, wire.CloseInvalidUTF8},
		"over 64 KiB": {func(s *socket) {
			s.text(`{"op":"ping","ref":"` + strings.Repeat("x", chat.MaxFrameBytes) + `"}`)
		}, wire.CloseTooLarge},
		"over 64 KiB in pieces": {func(s *socket) {
			w, err := s.ws.NextWriter(websocket.TextMessage)
			for range 100 {
				if err == nil {
					_, err = w.Write([]byte(strings.Repeat(" ", 4096)))
				}
			}
		}, wire.CloseTooLarge},
		"the client's goodbye": {func(s *socket) {
			_ = s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
		}, wire.CloseNormal},
	} {
		t.Run(name, func(t *testing.T) {
			s := mina.connect()
			c.do(s)
			s.closed(c.code)
		})
	}
	// Exactly 64 KiB passes.
	s := mina.connect()
	frame := `{"op":"ping","ref":"full"` + strings.Repeat(" ", chat.MaxFrameBytes-26) + `}`
	s.text(frame)
	until(s, func(f *wire.Pong) bool { return f.Ref == "full" })
}

// TestFramesThatAreRefused: the request fails, the socket lives.
func TestFramesThatAreRefused(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	room := string(mina.group("us"))
	s := mina.connect()
	for name, c := range map[string]struct {
		text  string
		ref   string
		code  chat.Kind
		field string
	}{
		"malformed":            {`{"ref":"7","op":`, "7", chat.KindInvalid, "op"},
		"no JSON":              {`hello`, "", chat.KindInvalid, ""},
		"unknown op":           {`{"op":"fly","ref":"7"}`, "7", chat.KindInvalid, "op"},
		"unknown field":        {`{"op":"ping","ref":"7","x":1}`, "7", chat.KindInvalid, "x"},
		"a second hello":       {`{"op":"hello","ref":"7"}`, "7", chat.KindInvalid, "op"},
		"wrong type":           {`{"op":"read","ref":"7","room_id":"` + room + `","seq":"1"}`, "7", chat.KindInvalid, "seq"},
		"no client_id":         {`{"op":"send","ref":"7","room_id":"` + room + `","text":"x"}`, "7", chat.KindInvalid, "client_id"},
		"empty text":           {`{"op":"send","ref":"7","room_id":"` + room + `","client_id":"` + uuid().String() + `","text":" "}`, "7", chat.KindInvalid, "text"},
		"text over the limit":  {`{"op":"send","ref":"7","room_id":"` + room + `","client_id":"` + uuid().String() + `","text":"` + strings.Repeat("x", 8001) + `"}`, "7", chat.KindTooLarge, "text"},
		"subject in a room":    {`{"op":"typing","ref":"7","room_id":"a.>"}`, "7", chat.KindInvalid, "room_id"},
		"cursor of nonsense":   {`{"op":"ack","ref":"7","cursor":"!"}`, "7", chat.KindInvalid, "cursor"},
		"status of nonsense":   {`{"op":"status","ref":"7","status":"offline"}`, "7", chat.KindInvalid, "status"},
		"201 people":           {`{"op":"watch","ref":"7","user_ids":["u1"` + strings.Repeat(`,"u1"`, 200) + `]}`, "7", chat.KindInvalid, "user_ids"},
		"emoji of letters":     {`{"op":"react","ref":"7","room_id":"` + room + `","seq":1,"emoji":"x"}`, "7", chat.KindInvalid, "emoji"},
		"edit to nothing":      {`{"op":"edit","ref":"7","room_id":"` + room + `","seq":1,"text":""}`, "7", chat.KindInvalid, "text"},
		"edit a system text":   {`{"op":"edit","ref":"7","room_id":"` + room + `","seq":1,"text":"x"}`, "7", chat.KindForbidden, ""},
		"read beyond the end":  {`{"op":"read","ref":"7","room_id":"` + room + `","seq":99}`, "7", chat.KindInvalid, "seq"},
		"delete of seq 0":      {`{"op":"delete","ref":"7","room_id":"` + room + `","seq":0}`, "7", chat.KindInvalid, "seq"},
		"a number beyond 2^53": {`{"op":"read","ref":"7","room_id":"` + room + `","seq":18446744073709551615}`, "7", chat.KindInvalid, "seq"},
	} {
		s.text(c.text)
		p := s.refused(c.ref, c.code, c.field)
		if p.Detail == "" || p.Status == 0 || p.Title == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	s.quiet()
}

// TestCursorsOfOthers: another's cursor and nonsense are refused, and another
// hello may follow.
func TestCursorsOfOthers(t *testing.T) {
	h := open(t)
	mina, joon := h.person("mina"), h.person("joon")
	var theirs wire.SyncAnswer
	joon.call("GET", "/v1/sync?limit=0", nil).status(200).into(&theirs)
	for _, cursor := range []string{theirs.Cursor, "nonsense", strings.Repeat("A", 100), "AQ"} {
		mina.call("GET", "/v1/sync?cursor="+cursor, nil).refused(400, chat.KindInvalid, "cursor")
		mina.call("GET", "/v1/sync/stream?cursor="+cursor, nil).refused(400, chat.KindInvalid, "cursor")
		s := mina.dial()
		s.send(&wire.Hello{Ref: "1", Token: mina.AccessToken, Cursor: cursor})
		s.refused("1", chat.KindInvalid, "cursor")
		s.send(&wire.Hello{Ref: "2", Token: mina.AccessToken})
		if w := next[*wire.Welcome](s); w.Ref != "2" {
			t.Errorf("welcome %+v", w)
		}
	}
	mina.call("GET", "/v1/sync?since_message=x", nil).refused(400, chat.KindInvalid, "since_message")
	mina.call("GET", "/v1/sync?since_message=1&cursor="+theirs.Cursor, nil).refused(400, chat.KindInvalid, "since_message")
	mina.call("GET", "/v1/sync?wait=51", nil).refused(400, chat.KindInvalid, "wait")
	mina.call("GET", "/v1/sync?limit=501", nil).refused(400, chat.KindInvalid, "limit")
}

// TestOrigins: whose pages may open a socket.
func TestOrigins(t *testing.T) {
	h := open(t, func(o *Options) {
		o.Origins, o.PublicURL = []string{"https://app.example"}, "https://chat.example"
	})
	mina := h.person("mina")
	cookie := cookieName + "=" + mina.cookie.Value
	for origin, want := range map[string]int{
		"http://" + h.addr:              101,
		"https://app.example":           101,
		"https://chat.example":          101,
		"http://app.example":            403,
		"https://evil.example":          403,
		"https://app.example.evil":      403,
		"https://xapp.example":          403,
		"https://app.example:444":       403,
		"null":                          403,
		"file://" + h.addr:              403,
		"https://app.example@evil.test": 403,
	} {
		s, res, err := h.tryDial("Origin", origin, "Cookie", cookie)
		if res == nil || res.StatusCode != want {
			t.Errorf("Origin %s: %v, %v; want %d", origin, res, err, want)
			continue
		}
		if want == 101 {
			s.send(&wire.Hello{})
			if w := next[*wire.Welcome](s); w.User.ID != mina.User.ID {
				t.Errorf("%s: welcome %+v", origin, w)
			}
		}
	}
	// Without an Origin it is no browser, and a cookie is no proof.
	s := h.dial("Cookie", cookie)
	s.send(&wire.Hello{Ref: "h"})
	s.refused("h", chat.KindUnauthenticated, "")
	s.closed(wire.CloseUnauthenticated)
	// No token in the address, and no other version.
	h.call("GET", "/v1/ws?token="+mina.AccessToken, nil, "Connection", "Upgrade", "Upgrade", "websocket").refused(400, chat.KindInvalid, "token")
	h.call("GET", "/v1/ws", nil, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "12").refused(400, chat.KindInvalid, "Sec-WebSocket-Key")
	h.call("POST", "/v1/ws", nil).refused(405, wire.CodeMethod, "")
}

// TestTheSubprotocolIsNegotiated, and nothing else is.
func TestTheSubprotocolIsNegotiated(t *testing.T) {
	h := open(t)
	d := websocket.Dialer{Subprotocols: []string{"other", subprotocol}, EnableCompression: true}
	ws, res, err := d.DialContext(t.Context(), "ws://"+h.addr+"/v1/ws", http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
	if ws.Subprotocol() != subprotocol || res.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("negotiated %q, %q", ws.Subprotocol(), res.Header.Get("Sec-WebSocket-Extensions"))
	}
}

// TestARevokedDeviceIsOut: its socket, its token, its long poll; the others stay.
func TestARevokedDeviceIsOut(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	lost := mina.again()
	s, stays := lost.connect(), mina.connect()
	polled := make(chan int, 1)
	go func() {
		polled <- lost.call("GET", "/v1/sync?wait=50", nil).StatusCode
	}()
	h.eventually("the poll waits", func() bool {
		h.edge.polls.mu.Lock()
		defer h.edge.polls.mu.Unlock()
		return len(h.edge.polls.of) == 1
	})
	mina.call("DELETE", "/v1/sessions/"+string(lost.DeviceID), nil).status(204)
	s.closed(wire.CloseRevoked)
	if code := <-polled; code != 200 {
		t.Errorf("the long poll ended with %d", code)
	}
	lost.call("GET", "/v1/me", nil).refused(401, chat.KindUnauthenticated, "")
	if e := next[*wire.EventFrame](stays); e.Event.Type != chat.EventSessionRevoked || e.Event.DeviceID != lost.DeviceID {
		t.Errorf("told %s", wire.Encode(e))
	}
	// A new password ends every other session too.
	other := mina.again()
	s = other.connect()
	mina.call("PUT", "/v1/me/password", obj{"old_password": password, "new_password": "another horse battery"}).status(204)
	s.closed(wire.CloseRevoked)
	stays.alive()
}

// TestTooManySockets: at the bound a device's newest socket takes the place of
// its oldest; another device finds no place.
func TestTooManySockets(t *testing.T) {
	h := open(t, func(o *Options) { o.MaxSocketsPerUser = 2 })
	mina := h.person("mina")
	phone := mina.again()
	oldest := mina.connect()
	second := mina.connect()
	s := phone.dial()
	s.send(&wire.Hello{Ref: "h", Token: phone.AccessToken})
	if p := s.refused("h", chat.KindTooMany, ""); p.Limit != 2 {
		t.Errorf("limit %d", p.Limit)
	}
	s.closed(wire.CloseTooMany)
	third := mina.connect()
	oldest.closed(wire.CloseTooMany)
	second.alive()
	_ = third.ws.Close()
	h.eventually("a place is free", func() bool {
		h.edge.hub.mu.Lock()
		defer h.edge.hub.mu.Unlock()
		return len(h.edge.hub.of[mina.User.ID]) == 1
	})
	phone.connect().alive()
	second.alive()
}

// TestRates: each class has its bucket; over it the frame is refused with the
// time to wait, and the socket lives.
func TestRates(t *testing.T) {
	h := open(t, func(o *Options) { o.RateLimits = true })
	mina := h.person("mina")
	room := string(mina.group("us"))
	s := mina.connect()
	refused := 0
	for range rates[RateSend].burst + 20 {
		s.send(&wire.Send{Ref: "s", RoomID: room, ClientID: uuid().String(), Text: "x"})
	}
	s.send(&wire.Ping{Ref: "end"})
	for {
		f, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := f.(*wire.Error); ok {
			refused++
			if e.Problem.Code != chat.KindTooMany || e.Problem.RetryAfterMS <= 0 || e.Problem.Limit == 0 {
				t.Fatalf("refused by %+v", e.Problem)
			}
		}
		if p, ok := f.(*wire.Pong); ok && p.Ref == "end" {
			break
		}
	}
	if refused == 0 || refused > 20 {
		t.Errorf("%d refused", refused)
	}
	for {
		a := mina.call("GET", "/v1/me", nil)
		if a.StatusCode == 429 {
			if p := a.refused(429, chat.KindTooMany, ""); p.RetryAfterMS <= 0 || a.Header.Get("Retry-After") == "" {
				t.Errorf("%+v, Retry-After %q", p, a.Header.Get("Retry-After"))
			}
			break
		}
		a.status(200)
	}
}

// TestClientIDsAndTime: from the future they are refused with our time; old
// ones are found in history, however old.
func TestClientIDsAndTime(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	id := mina.group("us")
	s := mina.connect()
	ahead := uuidAt(time.Now().Add(3 * time.Minute)).String()
	s.send(&wire.Send{Ref: "1", RoomID: string(id), ClientID: ahead, Text: "x"})
	if p := s.refused("1", chat.KindClockAhead, "client_id"); time.Since(p.ServerTime.Time()).Abs() > patience {
		t.Errorf("server_time %s", p.ServerTime)
	}
	path := "/v1/rooms/" + string(id) + "/messages"
	mina.call("POST", path, obj{"text": "x", "client_id": ahead}).refused(400, chat.KindClockAhead, "client_id")

	old := uuid().String()
	var first, again wire.Message
	mina.call("POST", path, obj{"text": "once", "client_id": old}).status(201).into(&first)
	mina.call("POST", path, obj{"text": "once", "client_id": old}).status(200).into(&again)
	if again.ID != first.ID || again.Seq != first.Seq || again.CreatedAt != first.CreatedAt {
		t.Errorf("the retry got %+v, first %+v", again, first)
	}
	h.ahead.Store(int64(7 * 24 * time.Hour))
	token, err := h.auth.SignIn(t.Context(), auth.Credentials{Username: "mina", Password: password})
	h.must(err)
	mina.AccessToken = token.AccessToken
	mina.call("POST", path, obj{"text": "once", "client_id": old}).status(200).into(&again)
	if again.ID != first.ID {
		t.Errorf("a week later it is another message: %+v", again)
	}
	late := mina.connect()
	late.send(&wire.Send{Ref: "2", RoomID: string(id), ClientID: old, Text: "once"})
	late.send(&wire.Send{Ref: "3", RoomID: string(id), ClientID: uuidAt(h.now()).String(), Text: "twice"})
	if sent := until(late, func(f *wire.Sent) bool { return true }); sent.Ref != "2" || sent.MessageID != first.ID || sent.Seq != first.Seq || sent.CreatedAt != first.CreatedAt {
		t.Errorf("sent %+v", sent)
	}
	if sent := until(late, func(f *wire.Sent) bool { return true }); sent.Ref != "3" || sent.Seq != first.Seq+1 {
		t.Errorf("after an old one: %+v", sent)
	}
}

// TestOrderOnASocket: what one socket sends stands in the room in that order,
// also when some must be looked up first.
func TestOrderOnASocket(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	id := mina.group("us")
	s := mina.connect()
	const n = 200
	for i := range n {
		at := h.now()
		if i%7 == 0 {
			at = at.Add(-time.Hour)
		}
		s.send(&wire.Send{Ref: "s", RoomID: string(id), ClientID: uuidAt(at).String(), Text: string(rune('가' + i))})
	}
	for i := range n {
		if sent := until(s, func(*wire.Sent) bool { return true }); int(sent.Seq) != i+2 {
			t.Fatalf("answer %d is seq %d", i, sent.Seq)
		}
	}
	for seq := 2; seq < n; seq += chat.MaxPage {
		page, err := h.history.Page(t.Context(), id, chat.Seq(seq), chat.Seq(seq+chat.MaxPage-1))
		h.must(err)
		for _, m := range page {
			if m.Text != string(rune('가'+int(m.Seq)-2)) {
				t.Fatalf("seq %d is %q", m.Seq, m.Text)
			}
		}
	}
}

// TestTheStoreIsDown: unavailable is said as it is, on both ways, and nothing of
// an unknown error leaves.
func TestTheStoreIsDown(t *testing.T) {
	var fail chat.Log
	h := open(t, func(o *Options) {
		fail = failing{o.Log}
		o.Log = fail
	})
	mina := h.person("mina")
	id := mina.group("us")
	s := mina.connect()
	for text, kind := range map[string]chat.Kind{"busy": chat.KindUnavailable, "broken": chat.KindInternal} {
		p := mina.call("POST", "/v1/rooms/"+string(id)+"/messages", obj{"text": text})
		status := map[chat.Kind]int{chat.KindUnavailable: 503, chat.KindInternal: 500}[kind]
		if got := p.refused(status, kind, ""); strings.Contains(got.Detail, "secret") {
			t.Errorf("leaked: %s", got.Detail)
		}
		s.send(&wire.Send{Ref: text, RoomID: string(id), ClientID: uuid().String(), Text: text})
		if got := s.refused(text, kind, ""); strings.Contains(got.Detail, "secret") {
			t.Errorf("leaked: %s", got.Detail)
		}
	}
	if !strings.Contains(h.logged.String(), "secret") {
		t.Error("the cause isn't in the log")
	}
	s.quiet()
}

// failing is a log that fails for some texts.
type failing struct{ chat.Log }

func (f failing) Append(ctx context.Context, c *chat.Command) (chat.Result, error) {
	switch c.Text {
	case "busy":
		return chat.Result{}, chat.Unavailable("the log is busy", time.Second)
	case "broken":
		return chat.Result{}, errors.New("secret of the disk")
	case "panic":
		panic("secret")
	}
	return f.Log.Append(ctx, c)
}
