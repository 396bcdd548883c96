package client

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/chat"
	"natter/wire"
)

// streamed is the text of an event of a stream.
func streamed(cursor string, seq chat.Seq) string {
	e := wire.Event{Type: chat.EventMessage, Message: &wire.Message{
		ID: wire.MessageID(1000 + seq), RoomID: "r", Seq: seq, Kind: chat.KindText, Text: fmt.Sprint(seq),
	}}
	return fmt.Sprintf("id: %s\ndata: %s\n\n", cursor, wire.Marshal(e))
}

// TestStream: a device on a stream shows each message once, goes on from the last
// id it had when the server falls silent or ends the answer, is told of a reset,
// and ends when its token is refused.
func TestStream(t *testing.T) {
	asked := make(chan string, 8)
	silent := make(chan struct{})
	scripts := make(chan func(http.ResponseWriter), 8)
	scripts <- func(w http.ResponseWriter) {
		fmt.Fprint(w, ": a beat\n\n"+streamed("c1", 1)+streamed("c2", 2))
		_ = http.NewResponseController(w).Flush()
		<-silent
	}
	scripts <- func(w http.ResponseWriter) {
		fmt.Fprint(w, "event: reset\nid: c7\ndata: {}\n\n"+streamed("c8", 2)+streamed("c9", 3)+"event: synced\nid: c9\ndata: {}\n\nevent: newer\ndata: x\n\n")
	}
	scripts <- func(w http.ResponseWriter) { http.Error(w, "busy", http.StatusServiceUnavailable) }
	scripts <- func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(wire.Marshal(wire.Problem{Code: chat.KindUnauthenticated}))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Last-Event-ID")
		(<-scripts)(w)
	}))
	defer server.Close()
	var shown []chat.Seq
	resets := 0
	account := NewAccount(server.URL, server.Client())
	p := Poll(t.Context(), account, PollOptions{
		Cursor: "c0", Stream: true, Silence: 50 * time.Millisecond, BackoffBase: time.Millisecond,
		Event: func(e *Event) { shown = append(shown, e.Message.Seq) },
		Reset: func() { resets++ },
	})
	if err := p.WaitLive(t.Context()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"c0", "c2", "c9", "c9"} {
		if got := <-asked; got != want {
			t.Errorf("it asked for what is after %q, want %q", got, want)
		}
		if want == "c2" {
			close(silent)
		}
	}
	<-p.Done()
	if CodeOf(p.Err()) != chat.KindUnauthenticated {
		t.Errorf("it ended with %v", p.Err())
	}
	if !slices.Equal(shown, []chat.Seq{1, 2, 3}) || resets != 1 || p.Repeats() != 1 {
		t.Errorf("shown %v, %d resets, %d repeats", shown, resets, p.Repeats())
	}
}

// FuzzStream: whatever a server streams, reading it ends, in an error, and events
// have data.
func FuzzStream(f *testing.F) {
	f.Add([]byte(streamed("c1", 1)))
	f.Add([]byte("data: a\ndata\ndata:b\n\n:\nid\nevent: reset\r\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var ids, data []string
		err := readStream(bytes.NewReader(raw), func(e *sseEvent) error {
			ids, data = append(ids, e.id), append(data, e.data)
			return nil
		})
		if err == nil {
			t.Error("it ended without an error")
		}
		for i := range data {
			if data[i] == "" || strings.Contains(ids[i], "\n") {
				t.Errorf("an event of %q with id %q", data[i], ids[i])
			}
		}
	})
}
