package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/goleak"

	"natter/auth"
	"natter/chat"
	"natter/internal/memory"
	"natter/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps these for the life of the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// patience is how long a condition may take before a test gives up.
const patience = 10 * time.Second

// house is an edge on a real port over the seams in memory.
type house struct {
	t       *testing.T
	edge    *Edge
	addr    string
	log     *memory.Log
	history *memory.History
	queues  *memory.Queues
	news    *memory.News
	auth    *auth.Service
	logged  *logged
	ahead   atomic.Int64 // nanoseconds the house's clock is ahead
	http    *http.Client
}

// logged is what the house has logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// syncLog hides that memory.Log is asynchronous too.
type syncLog struct{ chat.Log }

func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

func open(t *testing.T, change ...func(*Options)) *house {
	t.Helper()
	h := &house{
		t: t, history: memory.NewHistory(), queues: memory.NewQueues(), news: memory.NewNews(), logged: &logged{},
		http: &http.Client{Transport: &http.Transport{}, Timeout: patience},
	}
	h.log = memory.NewLog(h.history, h.queues)
	var last atomic.Uint64
	last.Store(uint64(time.Now().UnixMilli()) << 20)
	newID := func() (chat.MessageID, error) { return chat.MessageID(last.Add(1)), nil }
	logger := slog.New(slog.NewTextHandler(h.logged, nil))
	var err error
	h.auth, err = auth.Open(t.Context(), auth.Options{Records: memory.NewRecords(), NewID: newID, Now: h.now, Log: logger})
	h.must(err)
	o := Options{
		Log: h.log, History: h.history, Drafts: h.history, Queues: h.queues, News: h.news, Cursors: memory.NewCursors(), Auth: h.auth,
		NewID: newID, Now: h.now, NodeID: "n1", Version: "test", Logger: logger, linger: 50 * time.Millisecond,
		PortableSockets: strings.HasPrefix(t.Name(), "TestPortableSockets/"),
	}
	for _, c := range change {
		c(&o)
	}
	h.edge, err = New(o)
	h.must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.edge.Serve(ln) }()
	t.Cleanup(func() {
		h.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.edge.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		h.log.Close()
		h.auth.Close()
		if t.Failed() {
			t.Logf("logged:\n%s", h.logged)
		}
	})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// person is somebody with a session.
type person struct {
	*house
	wire.Session
	cookie *http.Cookie
}

const password = "correct horse battery"

// person signs somebody up, as a browser does.
func (h *house) person(username string) *person {
	h.t.Helper()
	p := &person{house: h}
	a := h.call("POST", "/v1/accounts", obj{"username": username, "password": password, "device_name": "laptop"}, "X-Natter", "1").status(201)
	a.into(&p.Session)
	p.cookie = a.cookie()
	return p
}

// again signs the same person in on another device.
func (p *person) again() *person {
	p.t.Helper()
	q := &person{house: p.house}
	a := p.house.call("POST", "/v1/sessions", obj{"username": p.User.Username, "password": password}, "X-Natter", "1").status(201)
	a.into(&q.Session)
	q.cookie = a.cookie()
	return q
}

type obj = map[string]any

// answer is one HTTP answer, read.
type answer struct {
	t *testing.T
	*http.Response
	body []byte
	what string
}

// call makes a request: body is JSON-encoded unless it is a string or nil;
// headers are pairs.
func (h *house) call(method, path string, body any, headers ...string) *answer {
	h.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		h.must(err)
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr+path, reader)
	h.must(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := h.http.Do(req)
	h.must(err)
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	h.must(err)
	return &answer{h.t, res, read, method + " " + path}
}

func (p *person) call(method, path string, body any, headers ...string) *answer {
	p.t.Helper()
	return p.house.call(method, path, body, append([]string{"Authorization", "Bearer " + p.AccessToken}, headers...)...)
}

func (a *answer) status(want int) *answer {
	a.t.Helper()
	if a.StatusCode != want {
		a.t.Fatalf("%s: %d %s, want %d", a.what, a.StatusCode, a.body, want)
	}
	return a
}

func (a *answer) into(v any) {
	a.t.Helper()
	if err := wire.Parse(a.body, v); err != nil {
		a.t.Fatalf("%s: %v in %s", a.what, err, a.body)
	}
}

func (a *answer) cookie() *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == cookieName {
			return c
		}
	}
	return nil
}

// refused checks that the answer is a whole problem of that status, code and
// field, and returns it.
func (a *answer) refused(status int, code chat.Kind, field string) *wire.Problem {
	a.t.Helper()
	var p wire.Problem
	a.status(status).into(&p)
	if p.Code != code || p.Field != field || p.Status != status || p.Type == "" || p.Title == "" || p.Detail == "" {
		a.t.Fatalf("%s: %s, want %s of field %q", a.what, a.body, code, field)
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s: a problem of type %s", a.what, got)
	}
	if id := a.Header.Get("X-Request-Id"); id == "" || p.RequestID != id {
		a.t.Errorf("%s: request id %q in the problem, %q in the header", a.what, p.RequestID, id)
	}
	return &p
}

// direct finds or makes the room of two.
func (p *person) direct(other *person) chat.RoomID {
	p.t.Helper()
	var room wire.Room
	p.call("POST", "/v1/rooms", obj{"kind": "direct", "user_id": other.User.ID}).into(&room)
	return room.ID
}

func (p *person) group(name string, others ...*person) chat.RoomID {
	p.t.Helper()
	ids := []chat.UserID{}
	for _, o := range others {
		ids = append(ids, o.User.ID)
	}
	var room wire.Room
	p.call("POST", "/v1/rooms", obj{"kind": "group", "name": name, "member_ids": ids}).status(201).into(&room)
	return room.ID
}

// post sends over HTTP.
func (p *person) post(room chat.RoomID, text string) wire.Message {
	p.t.Helper()
	var m wire.Message
	p.call("POST", "/v1/rooms/"+string(room)+"/messages", obj{"client_id": uuid().String(), "text": text}).status(201).into(&m)
	return m
}

var uuids atomic.Uint32

func uuid() chat.ClientID { return uuidAt(time.Now()) }

func uuidAt(at time.Time) chat.ClientID {
	n := uuids.Add(1)
	return chat.NewClientID(at, [10]byte{6: byte(n >> 24), 7: byte(n >> 16), 8: byte(n >> 8), 9: byte(n)})
}

// socket is a client's end of a WebSocket.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
	// events are those that came in an events frame and weren't asked for yet.
	waiting []wire.Frame
}

// dial opens a socket without saying anything.
func (h *house) dial(headers ...string) *socket {
	h.t.Helper()
	s, res, err := h.tryDial(headers...)
	if err != nil {
		h.t.Fatalf("dial: %v, %v", err, res)
	}
	return s
}

func (h *house) tryDial(headers ...string) (*socket, *http.Response, error) {
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	d := websocket.Dialer{Subprotocols: []string{subprotocol}, HandshakeTimeout: patience}
	ws, res, err := d.DialContext(h.t.Context(), "ws://"+h.addr+"/v1/ws", header)
	if err != nil {
		return nil, res, err
	}
	h.t.Cleanup(func() { _ = ws.Close() })
	return &socket{t: h.t, ws: ws}, res, nil
}

// connect dials, says hello and waits until it has caught up.
func (p *person) connect() *socket {
	p.t.Helper()
	s := p.dial()
	s.send(&wire.Hello{Ref: "hello", Token: p.AccessToken})
	next[*wire.Welcome](s)
	next[*wire.Synced](s)
	return s
}

func (s *socket) send(f wire.Frame) {
	s.t.Helper()
	s.text(string(wire.Encode(f)))
}

func (s *socket) text(text string) {
	s.t.Helper()
	if err := s.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

// read is the next frame; events come one by one.
func (s *socket) read() (wire.Frame, error) {
	for len(s.waiting) == 0 {
		_ = s.ws.SetReadDeadline(time.Now().Add(patience))
		kind, data, err := s.ws.ReadMessage()
		if err != nil {
			return nil, err
		}
		if kind != websocket.TextMessage {
			s.t.Fatalf("a frame of kind %d", kind)
		}
		f, err := wire.DecodeServer(data)
		if err != nil || f == nil {
			s.t.Fatalf("%s: %v", data, err)
		}
		if batch, ok := f.(*wire.EventsFrame); ok {
			for _, p := range batch.Events {
				s.waiting = append(s.waiting, &wire.EventFrame{Cursor: p.Cursor, Event: p.Event})
			}
			continue
		}
		s.waiting = append(s.waiting, f)
	}
	f := s.waiting[0]
	s.waiting = s.waiting[1:]
	return f, nil
}

// next is the next frame, which must be an F.
func next[F wire.Frame](s *socket) F {
	s.t.Helper()
	f, err := s.read()
	if err != nil {
		s.t.Fatalf("waiting for a %T: %v", *new(F), err)
	}
	got, ok := f.(F)
	if !ok {
		s.t.Fatalf("got %s, want a %T", wire.Encode(f), *new(F))
	}
	return got
}

// until skips frames to the next F that fits.
func until[F wire.Frame](s *socket, fits func(F) bool) F {
	s.t.Helper()
	for {
		f, err := s.read()
		if err != nil {
			s.t.Fatalf("waiting for a %T: %v", *new(F), err)
		}
		if got, ok := f.(F); ok && fits(got) {
			return got
		}
	}
}

// message skips to the event of a message with that text.
func (s *socket) message(text string) *wire.EventFrame {
	s.t.Helper()
	return until(s, func(f *wire.EventFrame) bool { return f.Event.Message != nil && f.Event.Message.Text == text })
}

// refused skips to the error frame of ref and checks it.
func (s *socket) refused(ref string, code chat.Kind, field string) *wire.Problem {
	s.t.Helper()
	f := until(s, func(*wire.Error) bool { return true })
	if f.Ref != ref || f.Problem.Code != code || f.Problem.Field != field {
		s.t.Fatalf("error frame %s, want %s of field %q for ref %q", wire.Encode(f), code, field, ref)
	}
	return &f.Problem
}

// closed reads until the server closes, and checks the code.
func (s *socket) closed(want wire.CloseCode) {
	s.t.Helper()
	for {
		if _, err := s.read(); err != nil {
			if !websocket.IsCloseError(err, int(want)) {
				s.t.Fatalf("closed by %v, want %d", err, want)
			}
			return
		}
	}
}

// alive proves by a barrier that the connection lives and nothing is on its way.
func (s *socket) alive() {
	s.t.Helper()
	s.send(&wire.Ping{Ref: "alive"})
	until(s, func(f *wire.Pong) bool { return f.Ref == "alive" })
}

// quiet proves that nothing has come: the next frame is the barrier's answer.
func (s *socket) quiet() {
	s.t.Helper()
	s.send(&wire.Ping{Ref: "quiet"})
	if pong := next[*wire.Pong](s); pong.Ref != "quiet" {
		s.t.Fatalf("pong of %q", pong.Ref)
	}
}

// eventually waits for a condition of the server's.
func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			h.t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
