package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/auth"
	"natter/config"
	"natter/edge"
	"natter/jetstream"
	"natter/webui"
)

// Version is what runs here. A release sets it with -ldflags "-X natter/node.Version=…".
var Version = "0.1.0-dev"

// ErrAddressInUse says that somebody else listens where this node should.
var ErrAddressInUse = errors.New("the address is in use")

// Node is a running node. Its methods are safe for concurrent use.
type Node struct {
	config   *config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	data     *directory
	listener *listener
	most     int          // connections at once
	secure   *tls.Config  // nil: no TLS
	back     net.Listener // of the admin; nil: none
	operator *http.Server
	nats     *natsServer
	store    *jetstream.Store
	ids      *ids
	accounts *auth.Service
	edge     *edge.Edge
	built    bool // the web app is in this binary

	serving  sync.WaitGroup
	stopping atomic.Bool
	quit     chan struct{} // closed when stopping begins
	stopOnce sync.Once
	stopErr  error
	ended    chan struct{} // closed when Stop is through
	failOnce sync.Once
	failure  error
	failed   chan struct{} // closed by fail
}

// ownFiles is how many files a node keeps open for itself, with room.
const ownFiles = 256

// Start starts a node and returns when it is ready. ctx bounds the start only.
// Whoever starts it must Stop it. Besides *DataError, ErrAddressInUse and
// *config.Error, errors are of the machine.
func Start(ctx context.Context, c *config.Config, log *slog.Logger) (_ *Node, err error) {
	n := &Node{config: c, log: log, registry: newRegistry(c.Name), ended: make(chan struct{}), failed: make(chan struct{}), quit: make(chan struct{})}
	defer func() {
		if err != nil {
			n.abandon()
		}
	}()
	begun := time.Now()
	if n.data, err = openDirectory(c.Data, c.Name, c.Partitions, begun); err != nil {
		return nil, err
	}
	if err := n.listen(); err != nil {
		return nil, err
	}
	if err := n.data.started(); err != nil {
		return nil, err
	}
	if !n.data.clean {
		log.Warn("the last stop was not in order; what it left unfinished is made again")
	}
	if n.nats, err = startServer(n.data, c.Name, c.Durability == config.Safe, log, n.fail); err != nil {
		return nil, err
	}
	n.nats.watch(n.registry)
	if err := n.open(ctx); err != nil {
		return nil, err
	}
	if err := n.data.settle(); err != nil {
		return nil, &DataError{n.data.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	n.serve()
	log.Info("the node is ready", "url", n.URL(), "admin", n.AdminURL(), "data", c.Data, "version", Version,
		"durability", c.Durability, "partitions", c.Partitions, "took_ms", time.Since(begun).Milliseconds())
	return n, nil
}

// listen takes the addresses, so that a taken one fails before anything is
// touched. Clients that come early wait in the kernel until the node is ready.
func (n *Node) listen() error {
	c := n.config
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return &config.Error{Field: "tls_cert", Detail: err.Error()}
		}
		n.secure = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	n.most = c.MaxConnections
	if open, err := maxOpenFiles(); err == nil && open < uint64(n.most)+ownFiles {
		n.most = max(int(open)-ownFiles, 16)
		n.log.Info("max_connections is more than the files that may be open (ulimit -n)", "open_files", open, "connections", n.most)
	}
	inner, err := take("listen", c.Listen)
	if err != nil {
		return err
	}
	n.listener = newListener(inner, n.most, n.log)
	gauge(n.registry, "natter_connections", "Connections of clients that are open.", func() float64 { return float64(n.listener.open()) })
	if c.Admin != "" {
		if n.back, err = take("admin", c.Admin); err != nil {
			return err
		}
	}
	return nil
}

func take(field, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil && addressInUse(err) {
		return nil, fmt.Errorf("%s: %w: %s (is another natter running? --%s takes another one)", field, ErrAddressInUse, address, field)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", field, address, err)
	}
	return l, nil
}

// open opens everything over NATS, innermost first.
func (n *Node) open(ctx context.Context) (err error) {
	c := n.config
	n.store, err = jetstream.Open(ctx, jetstream.Options{
		Connect: n.nats.connect, Partitions: c.Partitions, Node: c.Name, Clean: n.data.clean, Replicas: 1,
		QueueRetention: c.QueueRetention, Log: n.log.With("part", "store"), Registry: n.registry, Fatal: n.fail,
	})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	if n.ids, err = openIDs(ctx, n.store.Records("node")); err != nil {
		return fmt.Errorf("make ids: %w", err)
	}
	n.accounts, err = auth.Open(ctx, auth.Options{
		Records: n.store.Records("auth"), NewID: n.ids.next, Log: n.log.With("part", "auth"), RateLimits: c.RateLimits,
	})
	if err != nil {
		return fmt.Errorf("open the accounts: %w", err)
	}
	app, built := webui.Files()
	n.built = built
	o := edge.Options{
		Log: n.store.Log(), History: n.store.History(), Drafts: n.store.Drafts(), Queues: n.store.Queues(), News: n.store.News(), Cursors: n.store.Cursors(),
		Auth: n.accounts, NewID: n.ids.next, Ready: n.ready,
		NodeID: c.Name, Version: Version, Origins: c.Origins, PublicURL: c.PublicURL,
		Secure: n.secure != nil || len(c.PublicURL) > 5 && c.PublicURL[:6] == "https:", TrustedProxies: c.TrustedProxies,
		Heartbeat: c.Heartbeat, MaxSocketsPerUser: c.MaxSocketsPerUser, RateLimits: c.RateLimits,
		EditWindow: c.EditWindow,
		App:        app, AppBuilt: built, Logger: n.log.With("part", "edge"), Registry: n.registry,
	}
	o.Nodes = alone(o.Nodes, n.entry)
	if n.edge, err = edge.New(o); err != nil {
		return fmt.Errorf("make the edge: %w", err)
	}
	return nil
}

// serve starts the goroutines that serve.
func (n *Node) serve() {
	front := net.Listener(n.listener)
	if n.secure != nil {
		front = tls.NewListener(front, n.secure)
	}
	n.serving.Go(func() {
		if err := n.edge.Serve(front); err != nil && !n.stopping.Load() {
			n.fail(fmt.Errorf("the listener: %w", err))
		}
	})
	n.serving.Go(n.watchDisk)
	n.serving.Go(n.giveBackMemory)
	if n.back != nil {
		n.operator = n.admin()
		n.serving.Go(func() { n.serveAdmin(n.back) })
	}
}

// fail notes why the node can't go on, the first time, and wakes Wait.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		n.log.Error("the node can't go on", "err", err)
		n.failure = err
		close(n.failed)
	})
}

// ready is nil while the node can take traffic.
func (n *Node) ready() error {
	select {
	case <-n.failed:
		return n.failure
	default:
	}
	if n.stopping.Load() {
		return errors.New("the node is stopping")
	}
	return n.store.Ready()
}

// Wait waits until the node has stopped (nil), or can't go on: then it still
// needs its Stop.
func (n *Node) Wait() error {
	select {
	case <-n.failed:
		return n.failure
	case <-n.ended:
		return nil
	}
}

// AppBuilt tells whether this binary has the web app in it.
func (n *Node) AppBuilt() bool { return n.built }

// URL is where people reach the node.
func (n *Node) URL() string {
	scheme := "http://"
	if n.secure != nil {
		scheme = "https://"
	}
	return scheme + reachable(n.listener.Addr())
}

// AdminURL is where the operator reaches it; empty if the admin is off.
func (n *Node) AdminURL() string {
	if n.back == nil {
		return ""
	}
	return "http://" + reachable(n.back.Addr())
}

// reachable names this machine for an address that stands for all of its own.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return a.String()
}
