package matrix

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"natter/client"
	"natter/internal/harness"
	"natter/wire"
)

// frames are what each op says of a target, under the ref "r".
var frames = map[wire.Op]func(w *world, role int, to target) wire.Frame{
	wire.OpHello: func(w *world, role int, _ target) wire.Frame {
		return &wire.Hello{Ref: "r", Token: w.cast[role].Session().AccessToken}
	},
	wire.OpSend: func(_ *world, _ int, to target) wire.Frame {
		return &wire.Send{Ref: "r", RoomID: string(to.room), ClientID: client.NewKey().String(), Text: "let me in"}
	},
	wire.OpRead: func(_ *world, _ int, to target) wire.Frame {
		return &wire.Read{Ref: "r", RoomID: string(to.room), Seq: uint64(to.seq)}
	},
	wire.OpEdit: func(_ *world, _ int, to target) wire.Frame {
		return &wire.Edit{Ref: "r", RoomID: string(to.room), Seq: uint64(to.seq), Text: "another text"}
	},
	wire.OpDelete: func(_ *world, _ int, to target) wire.Frame {
		return &wire.Delete{Ref: "r", RoomID: string(to.room), Seq: uint64(to.seq)}
	},
	wire.OpReact: func(_ *world, _ int, to target) wire.Frame {
		return &wire.React{Ref: "r", RoomID: string(to.room), Seq: uint64(to.seq), Emoji: "👍"}
	},
	wire.OpUnreact: func(_ *world, _ int, to target) wire.Frame {
		return &wire.Unreact{Ref: "r", RoomID: string(to.room), Seq: uint64(to.seq), Emoji: "👍"}
	},
	wire.OpDraft: func(_ *world, _ int, to target) wire.Frame {
		return &wire.SetDraft{Ref: "r", RoomID: string(to.room), Text: "let me"}
	},
	wire.OpAck: func(w *world, role int, to target) wire.Frame {
		whose := w.cast[role]
		if to.user == w.gus.ID() || whose.ID() == "" { // not one's own
			whose = w.gus
		}
		cursor, err := whose.Cursor(harness.Context(w.t))
		if err != nil && role < 5 {
			w.t.Fatal(err)
		}
		return &wire.Ack{Ref: "r", Cursor: cursor}
	},
	wire.OpTyping: func(_ *world, _ int, to target) wire.Frame { return &wire.Typing{Ref: "r", RoomID: string(to.room)} },
	wire.OpStatus: func(*world, int, target) wire.Frame { return &wire.SetStatus{Ref: "r", Status: wire.Away} },
	wire.OpWatch: func(_ *world, _ int, to target) wire.Frame {
		return &wire.Watch{Ref: "r", UserIDs: []string{string(to.user)}}
	},
	wire.OpPing: func(*world, int, target) wire.Frame { return &wire.Ping{Ref: "r"} },
}

// silent are the ops that answer only a refusal.
var silent = map[wire.Op]bool{wire.OpAck: true, wire.OpTyping: true}

// TestSocket says everything as everybody. Who is anonymous says it without a hello,
// who is revoked after one that is refused.
func TestSocket(t *testing.T) {
	w := newWorld(t)
	const file = "testdata/socket.txt"
	rows := readTable(t, file)
	w.spoken(rows)
	sockets := make([]*socket, len(roles))
	for role := range 5 { // those with a token that lives
		sockets[role] = w.connect()
		if got, _ := sockets[role].say(frames[wire.OpHello](w, role, target{})); got != "welcome" {
			t.Fatalf("%s is answered %s", roles[role], got)
		}
	}
	var mu sync.Mutex
	nothing := map[string][]byte{}
	answer := func(r row, role int) string {
		op := wire.Op(r.call)
		s := sockets[role]
		if s == nil || op == wire.OpHello {
			s = w.connect()
			if role == 6 && op != wire.OpHello {
				s.write(&wire.Hello{Token: w.cast[role].Session().AccessToken})
			}
		}
		got, text := s.say(frames[op](w, role, w.target(r.of, role, op != wire.OpTyping)))
		mu.Lock()
		defer mu.Unlock()
		key := r.call + " " + roles[role]
		if r.of == "unknown" {
			nothing[key] = text
		} else if want := nothing[key]; want != nil && role >= outsiders && !bytes.Equal(text, want) {
			t.Errorf("%s, of %s, to %s:\n%s\nof what isn't there:\n%s", r.call, r.of, roles[role], text, want)
		}
		return got
	}
	w.unchanged(func() { judge(t, file, rows, answer) })
}

// spoken fails the test for an op that has no row or no frame.
func (w *world) spoken(rows []row) {
	w.t.Helper()
	var doc struct {
		Operations map[string]any `json:"operations"`
	}
	if err := w.gus.Call(harness.Context(w.t), "GET", "/v1/asyncapi.json", nil, &doc); err != nil {
		w.t.Fatal(err)
	}
	ops := map[string]bool{}
	for name := range doc.Operations {
		if op, ok := strings.CutPrefix(name, "receive_"); ok {
			ops[op] = true
		}
	}
	if len(ops) < 12 {
		w.t.Fatalf("the document has %d ops", len(ops))
	}
	known := map[string]bool{}
	for _, r := range rows {
		if known[r.call] = true; !ops[r.call] || frames[wire.Op(r.call)] == nil {
			w.t.Errorf("%s has a row, and is no op, or has no frame here", r.call)
		}
	}
	for op := range ops {
		if !known[op] {
			w.t.Errorf("%s has no row: who may say that?", op)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// socket is a WebSocket by hand.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

func (w *world) connect() *socket {
	w.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{client.Subprotocol}, HandshakeTimeout: harness.Patience}
	ws, res, err := dialer.Dial("ws"+strings.TrimPrefix(w.node.URL(), "http")+"/v1/ws", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = res.Body.Close()
	w.t.Cleanup(func() { _ = ws.Close() })
	return &socket{w.t, ws}
}

func (s *socket) write(f wire.Frame) {
	s.t.Helper()
	if err := s.ws.WriteMessage(websocket.TextMessage, wire.Encode(f)); err != nil {
		s.t.Fatal(err)
	}
}

// say says f and returns the answer in a word, and whole if it is a refusal: the
// answer's op, the refusal's code, "nothing", and the close code if the server
// closed. A frame that is not answered is known not to be by the answer to another.
func (s *socket) say(f wire.Frame) (string, []byte) {
	s.t.Helper()
	s.write(f)
	if silent[wire.OpOf(f)] {
		_ = s.ws.WriteMessage(websocket.TextMessage, wire.Encode(&wire.Watch{Ref: "barrier"})) // or it is closed by now
	}
	word, text := "", []byte(nil)
	for {
		if err := s.ws.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
			s.t.Fatal(err)
		}
		_, data, err := s.ws.ReadMessage()
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed):
			return fmt.Sprintf("%s/%d", word, closed.Code), text
		case err != nil:
			s.t.Fatalf("%s: %v", wire.OpOf(f), err)
		}
		var head struct {
			Op      wire.Op       `json:"op"`
			Ref     string        `json:"ref"`
			Problem *wire.Problem `json:"problem"`
		}
		if err := wire.Parse(data, &head); err != nil {
			s.t.Fatalf("%s: %v", data, err)
		}
		switch {
		case head.Op == wire.OpError && head.Problem != nil && head.Ref != "barrier":
			word, text = string(head.Problem.Code), requestID.ReplaceAll(data, nil)
			if head.Problem.Code != "unauthenticated" && !silent[wire.OpOf(f)] { // that is followed by a close
				return word, text
			}
		case head.Ref == "r":
			return string(head.Op), nil
		case head.Ref == "barrier":
			if word == "" {
				word = "nothing"
			}
			return word, text
		}
	}
}
