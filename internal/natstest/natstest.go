// Package natstest starts real embedded NATS servers for tests.
package natstest

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is a running standalone server with JetStream in dir.
type Server struct {
	t    testing.TB
	s    *server.Server
	user []nats.Option
}

// Start runs a server over dir until the test ends or Stop. Every write is
// fsynced when durable is set.
func Start(t testing.TB, dir string, durable bool) *Server {
	t.Helper()
	return start(t, dir, durable, &server.Options{})
}

// StartOver runs a server over the streams that a node keeps in dir, to see or to
// change what no node would. The node must be down.
func StartOver(t testing.TB, dir string) *Server {
	t.Helper()
	o := &server.Options{}
	err := o.ProcessConfigString(`accounts { NATTER { jetstream: enabled, users: [ { user: test, password: test } ] } }`)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, true, o)
	s.user = []nats.Option{nats.UserInfo("test", "test")}
	return s
}

func start(t testing.TB, dir string, durable bool, o *server.Options) *Server {
	t.Helper()
	o.ServerName, o.DontListen, o.JetStream, o.StoreDir, o.NoSigs, o.NoLog = "test", true, true, dir, true, true
	o.JetStreamMaxMemory, o.JetStreamMaxStore, o.MaxPayload = 64<<20, 8<<30, 8<<20
	o.SyncAlways, o.SyncInterval = durable, time.Second
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready after 10 s")
	}
	running := &Server{t: t, s: s}
	t.Cleanup(running.Stop)
	return running
}

// Connect opens an in-process connection.
func (s *Server) Connect(name string, options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append(append(slices.Clip(s.user), nats.InProcessServer(s.s), nats.Name(name)), options...)...)
}

// Stop shuts the server down and waits; again is fine.
func (s *Server) Stop() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}
