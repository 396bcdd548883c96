package natstest

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is three servers of one JetStream cluster in this process, joined by plain
// routes over loopback.
type Cluster struct {
	t       testing.TB
	dir     string
	durable bool
	ports   []int        // of the routes
	wires   *[3][3]*wire // from and to, where routes can be cut
	Nodes   [3]*Server
}

// StartCluster runs the three over folders of dir until the test ends. Every write is
// fsynced on a majority when durable is set. It returns when there is a meta leader.
func StartCluster(t testing.TB, dir string, durable bool) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: dir, durable: durable}
	c.start()
	return c
}

func (c *Cluster) start() {
	t := c.t
	t.Helper()
	var held []net.Listener // all at once, so that no port is given twice
	for range c.Nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		c.ports = append(c.ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, l := range held {
		l.Close()
	}
	if c.wires != nil {
		c.lay()
	}
	t.Cleanup(func() {
		for _, s := range c.Nodes {
			if s != nil {
				s.s.Shutdown() // all before any is waited for: the last has no majority to wait for
			}
		}
		for _, s := range c.Nodes {
			if s != nil {
				s.s.WaitForShutdown()
			}
		}
	})
	for i := range c.Nodes {
		c.Start(i)
	}
	deadline := time.Now().Add(30 * time.Second)
	for !c.led() {
		if time.Now().After(deadline) {
			t.Fatal("the cluster has no leader after 30 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *Cluster) led() bool {
	for _, s := range c.Nodes {
		if s.s.JetStreamIsLeader() {
			return true
		}
	}
	return false
}

// Name is node i's name.
func (c *Cluster) Name(i int) string { return fmt.Sprintf("n%d", i+1) }

// Start runs node i, again if it was stopped, over its folder.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	var routes string
	for k, port := range c.ports {
		if c.wires != nil {
			port = c.wires[i][k].listen.Addr().(*net.TCPAddr).Port
		}
		routes += fmt.Sprintf("nats-route://127.0.0.1:%d,", port)
	}
	advertise := ""
	if c.wires != nil {
		advertise = nowhere
	}
	s, err := server.NewServer(&server.Options{
		ServerName: c.Name(i), Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: filepath.Join(c.dir, c.Name(i)),
		NoSigs: true, NoLog: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 8 << 30, MaxPayload: 8 << 20,
		SyncAlways: c.durable, SyncInterval: time.Second,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: c.ports[i], Advertise: advertise},
		Routes:  server.RoutesFromStr(routes[:len(routes)-1]),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		c.t.Fatalf("%s is not ready after 10 s", c.Name(i))
	}
	c.Nodes[i] = &Server{t: c.t, s: s}
}

// Leads tells whether the server leads a stream of a cluster.
func (s *Server) Leads(stream string) bool {
	return s.s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream)
}
