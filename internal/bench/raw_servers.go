package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"natter/internal/harness/process"
)

// rawServers are NATS servers in this process, without natter: one, or the three of
// a cluster, with routes over loopback in the clear. Nobody comes in without the
// password, which is made at each start.
type rawServers struct {
	servers  []*server.Server
	conns    []*nats.Conn
	password string
}

const (
	rawStartLimit = 20 * time.Second
	rawTryLimit   = 2 * time.Second
	rawUser       = "raw"
)

// startRaw starts so many servers over folders of dir. What it started it returns
// with an error too: stop ends it.
func startRaw(ctx context.Context, dir string, nodes int, durable bool) (*rawServers, error) {
	s := &rawServers{password: rand.Text()}
	ctx, cancel := context.WithTimeout(ctx, rawStartLimit)
	defer cancel()
	routes, err := process.FreePorts(nodes)
	if err != nil {
		return s, err
	}
	for i := range nodes {
		o := &server.Options{
			ServerName: rawName(i), DontListen: true, NoSigs: true, NoLog: true, Username: rawUser, Password: s.password,
			JetStream: true, StoreDir: filepath.Join(dir, rawName(i)), SyncAlways: durable,
		}
		if nodes > 1 {
			if err := s.cluster(o, routes, i); err != nil {
				return s, err
			}
		}
		ns, err := server.NewServer(o)
		if err != nil {
			return s, err
		}
		ns.Start()
		s.servers = append(s.servers, ns)
	}
	for _, ns := range s.servers {
		if !ns.ReadyForConnections(rawStartLimit) {
			return s, errors.New("the embedded nats-server did not become ready")
		}
	}
	return s, until(ctx, func() bool { return nodes == 1 || s.led() })
}

func rawName(i int) string { return "raw-" + strconv.Itoa(i) }

func rawSubject(i int) string { return "raw." + strconv.Itoa(i) }

// cluster makes o the options of the i-th of a cluster.
func (s *rawServers) cluster(o *server.Options, routes []string, i int) error {
	host, port, err := net.SplitHostPort(routes[i])
	if err != nil {
		return err
	}
	// A clustered server opens its routes only after it listens for clients.
	o.DontListen, o.Host, o.Port = false, host, server.RANDOM_PORT
	o.Cluster = server.ClusterOpts{Name: "raw", Host: host, Username: rawUser, Password: s.password, PoolSize: 1}
	if o.Cluster.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	for _, address := range routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", User: url.UserPassword(rawUser, s.password), Host: address})
	}
	return nil
}

// led tells whether all servers have met and chosen.
func (s *rawServers) led() bool {
	led := false
	for _, ns := range s.servers {
		if !ns.JetStreamIsCurrent() || ns.NumRoutes() == 0 {
			return false
		}
		led = led || ns.JetStreamIsLeader()
	}
	return led
}

// create makes the i-th stream, with a replica on each server, and connects to the
// server that leads it: nothing but the replication crosses a route.
func (s *rawServers) create(ctx context.Context, i int, fail func(error)) (jetstream.JetStream, error) {
	ctx, cancel := context.WithTimeout(ctx, rawStartLimit)
	defer cancel()
	js, err := s.connect(0, fail)
	if err != nil {
		return nil, err
	}
	leader, last := -1, error(nil)
	config := jetstream.StreamConfig{Name: "RAW" + strconv.Itoa(i), Subjects: []string{rawSubject(i)}, Storage: jetstream.FileStorage, Replicas: len(s.servers)}
	err = until(ctx, func() bool { // a moment after its start, the leader doesn't know all servers yet
		leader, last = s.made(ctx, js, config)
		return leader >= 0
	})
	if err != nil {
		return nil, fmt.Errorf("a stream on %d servers: %w", len(s.servers), errors.Join(err, last))
	}
	return s.connect(leader, fail)
}

// made makes a stream, or finds the one that was made, and tells which server leads
// it; -1 if none does yet.
func (s *rawServers) made(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig) (leader int, _ error) {
	ctx, cancel := context.WithTimeout(ctx, rawTryLimit)
	defer cancel()
	stream, err := js.CreateOrUpdateStream(ctx, config)
	if err != nil {
		return -1, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return -1, err
	}
	for i := range s.servers {
		if len(s.servers) == 1 || info.Cluster != nil && info.Cluster.Leader == rawName(i) {
			return i, nil
		}
	}
	return -1, errors.New("it has no leader")
}

// connect is one more connection to the i-th server.
func (s *rawServers) connect(i int, fail func(error)) (jetstream.JetStream, error) {
	nc, err := nats.Connect("", nats.InProcessServer(s.servers[i]), nats.UserInfo(rawUser, s.password))
	if err != nil {
		return nil, err
	}
	s.conns = append(s.conns, nc)
	return jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*rawWindow),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { fail(err) }))
}

// stop ends all, and waits for it.
func (s *rawServers) stop() {
	for _, nc := range s.conns {
		nc.Close()
	}
	for _, ns := range s.servers { // all before any is waited for: the last has no majority to wait for
		ns.Shutdown()
	}
	for _, ns := range s.servers {
		ns.WaitForShutdown()
	}
}
