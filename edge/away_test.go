package edge

import (
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// TestSuspending: a node that can do nothing for its clients tells its sockets where
// to go, ends long polls and streams, refuses what needs the store, and lets everybody
// in again afterwards.
func TestSuspending(t *testing.T) {
	h := open(t, func(o *Options) {
		o.Nodes = func(string) []wire.Node {
			return []wire.Node{{ID: "n2", URL: "http://n2"}}
		}
	})
	mina := h.person("mina")
	room := mina.group("us")
	at := mina.sync("?limit=0").Cursor
	s, silent := mina.connect(), h.dial() // which has not said hello
	polled := make(chan int, 1)
	go func() { polled <- mina.call("GET", "/v1/sync?wait=50&cursor="+at, nil).StatusCode }()
	h.eventually("the poll waits", func() bool {
		h.edge.polls.mu.Lock()
		defer h.edge.polls.mu.Unlock()
		return len(h.edge.polls.of) == 1
	})
	h.edge.Suspend(chat.Unavailable("cut off", 2*time.Second))
	h.edge.Suspend(chat.Unavailable("again", time.Second)) // changes nothing
	move := until(s, func(*wire.Move) bool { return true })
	if len(move.Nodes) != 1 || move.Nodes[0].ID != "n2" || move.WithinMS <= 0 {
		t.Errorf("move %+v", move)
	}
	if code := <-polled; code != 200 {
		t.Errorf("the long poll ended with %d", code)
	}
	for _, one := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/v1/rooms/" + string(room) + "/messages", obj{"text": "hello"}},
		{"POST", "/v1/sessions", obj{"username": "mina", "password": "wrong password"}},
		{"GET", "/v1/rooms", nil},
		{"GET", "/v1/sync?cursor=" + at, nil},
		{"GET", "/v1/sync/stream", nil},
	} {
		if p := mina.call(one.method, one.path, one.body).refused(503, chat.KindUnavailable, ""); p.RetryAfterMS != 2000 || p.Detail != "cut off" {
			t.Errorf("%s %s: %+v", one.method, one.path, p)
		}
	}
	h.call("GET", "/v1/nodes", nil).status(200)
	h.call("GET", "/healthz", nil).status(200)
	s.closed(wire.CloseUnavailable)
	silent.closed(wire.CloseUnavailable)
	h.edge.Resume()
	h.edge.Resume()
	mina.call("POST", "/v1/rooms/"+string(room)+"/messages", obj{"text": "hello"}).status(201)
	mina.connect().alive()
	h.edge.Suspend(chat.Unavailable("once more", time.Second))
	mina.call("GET", "/v1/rooms", nil).refused(503, chat.KindUnavailable, "")
	if err := h.edge.Shutdown(t.Context()); err != nil { // in the middle of it
		t.Errorf("Shutdown: %v", err)
	}
}
