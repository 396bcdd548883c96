package jetstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/internal/natstest"
)

// Each connection takes a while in a cluster, so none waits for another, and none is
// opened that nobody asks for.
func TestConnectionsAreOpenedAtOnce(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), false)
	s := &Store{o: Options{Partitions: 3, Replicas: 3}}
	names := s.connections()
	var mu sync.Mutex
	all, begun := make(chan struct{}), 0
	s.o.Connect = func(name string, options ...nats.Option) (*nats.Conn, error) {
		mu.Lock()
		if begun++; begun == len(names) {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
			return server.Connect(name, options...)
		case <-time.After(20 * time.Second):
			return nil, errors.New("the others have not begun")
		}
	}
	if err := s.connectAll(names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		nc, err := s.connect(name)
		if err != nil || nc.Opts.Name != name {
			t.Errorf("%s: %v, %v", name, nc, err)
		}
	}
	if more, err := s.connect(names[0]); err != nil || len(s.conns) != len(names)+1 || more == s.conns[0] {
		t.Errorf("asked again: %v, and %d connections in all", err, len(s.conns))
	}
	for _, nc := range s.conns {
		nc.Close()
	}
	h := open(t)
	if left := len(h.store.opened); left != 0 {
		t.Errorf("a store leaves %d connections unused", left)
	}
}

// A stream that has no leader doesn't answer; who asks for it is through with waiting when
// it has one.
func TestAStreamIsAskedForAgainWhenItHasALeader(t *testing.T) {
	nc, err := natstest.Start(t, t.TempDir(), false).Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s := &Store{}
	if s.js, err = jetstream.NewWithAPIPrefix(nc, "SILENT"); err != nil {
		t.Fatal(err)
	}
	var elected atomic.Bool
	_, err = nc.Subscribe("SILENT.STREAM.INFO.LOG-0", func(*nats.Msg) {
		if elected.Load() {
			s.elections.handle(&nats.Msg{Subject: advisoryElected + "LOG-0"})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	patience := 50 * time.Millisecond
	if _, err = s.findStream(t.Context(), "LOG-0", &patience); !errors.Is(err, context.DeadlineExceeded) || patience != 100*time.Millisecond {
		t.Errorf("nobody answers: %v, then it waits %v", err, patience)
	}
	elected.Store(true)
	patience = time.Hour
	if _, err = s.findStream(t.Context(), "LOG-0", &patience); !errors.Is(err, context.Canceled) || patience != answerSoon {
		t.Errorf("it has a leader: %v, then it waits %v", err, patience)
	}
	elected.Store(false)
	patience = makeStreamWithin
	if _, err = s.findStream(t.Context(), "LOG-0", &patience); !errors.Is(err, context.DeadlineExceeded) || patience != makeStreamWithin {
		t.Errorf("nobody answers for long: %v, then it waits %v", err, patience)
	}
	s.done.Wait()
}
