// Package natstest starts real embedded NATS servers for tests.
package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is a running standalone server with JetStream in dir.
type Server struct {
	t testing.TB
	s *server.Server
}

// Start runs a server over dir until the test ends or Stop. Every write is
// fsynced when durable is set.
func Start(t testing.TB, dir string, durable bool) *Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 8 << 30, MaxPayload: 8 << 20,
		SyncAlways: durable, SyncInterval: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready after 10 s")
	}
	running := &Server{t, s}
	t.Cleanup(running.Stop)
	return running
}

// Connect opens an in-process connection.
func (s *Server) Connect(name string) (*nats.Conn, error) {
	return nats.Connect("", nats.InProcessServer(s.s), nats.Name(name))
}

// Stop shuts the server down and waits; again is fine.
func (s *Server) Stop() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}
