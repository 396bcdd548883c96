//go:build linux

package fault

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/auth"
	"natter/chat"
	"natter/client"
	"natter/edge"
	"natter/internal/harness"
	"natter/internal/natstest"
	"natter/jetstream"
	"natter/wire"
)

// clocked is a node in this process: the edge over the store, with a clock that
// the test moves. A node as a process reads the machine's, which it can't.
type clocked struct {
	t     *testing.T
	dir   string
	ahead atomic.Int64 // nanoseconds
	ids   atomic.Uint64
	url   string
	stop  func()
}

func (c *clocked) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clocked) newID() (chat.MessageID, error) { return chat.MessageID(c.ids.Add(1)), nil }

// start starts it over its directory; clean tells it how it was stopped.
func (c *clocked) start(clean bool) {
	c.t.Helper()
	server := natstest.Start(c.t, c.dir, true)
	log := slog.New(slog.DiscardHandler)
	store, err := jetstream.Open(harness.Context(c.t), jetstream.Options{
		Connect: server.Connect, Partitions: 2, Node: "n1", Clean: clean, Replicas: 1, QueueRetention: 720 * time.Hour,
		Log: log, Registry: prometheus.NewRegistry(), Fatal: func(err error) { c.t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	accounts, err := auth.Open(context.Background(), auth.Options{Records: store.Records("auth"), NewID: c.newID, Now: c.now, Log: log})
	if err != nil {
		c.t.Fatal(err)
	}
	e, err := edge.New(edge.Options{
		Log: store.Log(), History: store.History(), Drafts: store.Drafts(), Queues: store.Queues(), News: store.News(), Auth: accounts,
		NewID: c.newID, Now: c.now, NodeID: "n1", Version: "test", Logger: log,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.url = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- e.Serve(ln) }()
	c.stop = func() {
		c.stop = func() {}
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			c.t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			c.t.Errorf("Serve: %v", err)
		}
		accounts.Close()
		if err := store.Close(ctx); err != nil {
			c.t.Errorf("Close: %v", err)
		}
		server.Stop()
	}
	c.t.Cleanup(func() { c.stop() })
}

// TestRetriesAtAnyAge: the same client_id is answered with the same message at
// once, after 3 minutes and after 25 hours, over HTTP and over WebSocket, and so
// it is by a node that started again in between. Nobody is shown it twice.
func TestRetriesAtAnyAge(t *testing.T) {
	c := &clocked{t: t, dir: filepath.Join(t.TempDir(), "data")}
	c.ids.Store(uint64(time.Now().UnixMilli()) << 20)
	c.start(true)
	person := func(name string) *client.Account {
		a := client.NewAccount(c.url, harness.HTTP(t))
		if err := a.SignUp(harness.Context(t), wire.SignUp{Username: name, Password: harness.Password, Name: name, DeviceName: "phone"}); err != nil {
			t.Fatal(err)
		}
		return a
	}
	ann, bob := person("ann"), person("bob")
	direct, err := ann.Direct(harness.Context(t), bob.User().ID)
	if err != nil {
		t.Fatal(err)
	}
	room := direct.ID
	key := client.NewKey()
	first, err := ann.Post(harness.Context(t), room, key, "once")
	if err != nil {
		t.Fatal(err)
	}
	total := 1
	// again sends it twice more, behind another message, as the clock stands.
	again := func(when string) {
		t.Helper()
		// The access token has run out with the clock; a new device of the same person.
		phone := client.NewAccount(c.url, harness.HTTP(t))
		if err := phone.SignIn(harness.Context(t), wire.SignIn{Username: "ann", Password: harness.Password, DeviceName: when}); err != nil {
			t.Fatal(err)
		}
		if _, err := phone.Post(harness.Context(t), room, chat.NewClientID(c.now(), [10]byte{byte(total)}), when); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		total++
		if m, err := phone.Post(harness.Context(t), room, key, "once"); err != nil || m.ID != first.ID || m.Seq != first.Seq || m.CreatedAt != first.CreatedAt {
			t.Errorf("%s, over HTTP: %+v, %v; was %+v", when, m, err, first)
		}
		device := client.Dial(t.Context(), client.Options{URLs: []string{c.url}, Token: phone.Token})
		defer device.Close()
		r, err := device.SendWait(harness.Context(t), client.Outgoing{Room: room, ClientID: key, Text: "once"})
		if err != nil || r.ID != chat.MessageID(first.ID) || r.Seq != first.Seq {
			t.Errorf("%s, over WebSocket: %+v, %v; was %+v", when, r, err, first)
		}
		page, err := phone.Messages(harness.Context(t), room, client.Span{Limit: chat.MaxPage})
		if err != nil || len(page.Messages) != total {
			t.Errorf("%s: %d messages are stored, want %d: %v", when, len(page.Messages), total, err)
		}
	}
	restart := func(clean bool) {
		t.Helper()
		c.stop()
		c.start(clean)
	}
	again("after 0 s")
	restart(true)
	again("after 0 s and a restart")
	c.ahead.Store(int64(3 * time.Minute))
	again("after 3 min")
	restart(false)
	again("after 3 min and a crash")
	c.ahead.Store(int64(25 * time.Hour))
	again("after 25 h")
	restart(true)
	again("after 25 h and a restart")
	restart(false)
	again("after 25 h and a crash")
}
