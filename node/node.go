package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"natter/auth"
	"natter/chat"
	"natter/config"
	"natter/contacts"
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
	config       *config.Config
	log          *slog.Logger
	registry     *prometheus.Registry
	member       *member // nil: alone
	data         *directory
	stage        *stage
	listener     *listener
	early        *early
	most         int          // connections at once
	secure       *tls.Config  // nil: no TLS
	back         net.Listener // of the admin; nil: none
	operator     *http.Server
	nats         *natsServer
	store        *jetstream.Store
	peers        *peers
	lease        *nodeLease
	roster       *roster                       // nil: a node alone
	clocks       *clocks                       // nil: a node alone
	steady       steady                        // of clocks
	clock        atomic.Pointer[time.Duration] // how far it is ahead; nil: it isn't far
	majority     *majority                     // nil: a node alone
	assents      *assents                      // nil: a node alone
	asks         atomic.Pointer[majority]      // majority, for who may look before it is there
	replacing    sync.Mutex                    // held while a member is replaced by this node
	cut          atomic.Bool                   // clients are sent elsewhere, see cutoff.go
	holds        holds
	ids          *ids
	numbers      atomic.Pointer[ids] // ids, for who may look before it is there
	accounts     *auth.Service
	contacts     *contacts.Service
	edge         *edge.Edge
	built        bool        // the web app is in this binary
	marked       bool        // the mark "running" was left
	compareFirst []string    // streams whose files the start found in doubt, or set aside
	opened       bool        // the store was begun to be opened
	since        chat.Millis // when Start was called
	serves       atomic.Bool // clients are let in
	drain        func()      // tells whoever started it to stop it; nil: the operator can't
	words        *words      // nil: a node alone

	started  atomic.Bool // Start is through: what is above doesn't change any more
	serving  sync.WaitGroup
	stopping atomic.Bool
	quit     chan struct{} // closed when stopping begins
	stopOnce sync.Once
	stopErr  error
	ended    chan struct{} // closed when Stop is through, or a start taken back
	failOnce sync.Once
	failure  error
	failed   chan struct{} // closed by fail
}

const (
	// ownFiles is how many files a node keeps open for itself, with room.
	ownFiles = 256
	// leastConnections is how many connections are taken however few files may be open.
	leastConnections = 16
)

// Start starts a node and returns when it is ready, which in a cluster is when
// enough of the others are there, however long that takes. ctx bounds the start
// only. Whoever starts it must Stop it. Besides *DataError, *VersionError,
// ErrAddressInUse, ErrAgain and *config.Error, errors are of the machine.
//
// drain is called when the operator tells the node to drain (POST /drain), which may
// be during the start, and more than once: end ctx, or Stop the node. It must not
// block. nil: the admin listener doesn't take that.
func Start(ctx context.Context, c *config.Config, log *slog.Logger, drain func()) (_ *Node, err error) {
	n := &Node{config: c, log: log, drain: drain, registry: newRegistry(c.Name), ended: make(chan struct{}), failed: make(chan struct{}), quit: make(chan struct{})}
	n.stage = &stage{log: log, level: slog.LevelDebug}
	defer func() {
		if err != nil {
			n.abandon()
		}
	}()
	begun := time.Now()
	n.since = chat.MillisOf(begun)
	as := identity{Name: c.Name, Partitions: c.Partitions}
	if c.Clustered() {
		n.stage.level = slog.LevelInfo
		if n.member, err = newMember(c, begun); err != nil {
			return nil, err
		}
		as.Cluster, as.ClusterName, as.ClusterID = true, c.ClusterName, n.member.certs.ClusterID
	}
	if n.data, err = openDirectory(c.Data, as, begun); err != nil {
		return nil, err
	}
	if n.member != nil {
		own, err := openRoll(n.data, c.Name, len(c.Cluster), log.With("part", "roll"))
		if err != nil {
			return nil, err
		}
		n.member.enter(own)
	}
	if err := n.listen(); err != nil {
		return nil, err
	}
	if err := n.begin(ctx); err != nil {
		return nil, err
	}
	n.started.Store(true)
	if n.member != nil {
		if err := n.takeRefills(); err != nil {
			return nil, err
		}
	}
	n.serve()
	n.announce(ctx)
	log.Info("the node is ready", "url", n.URL(), "admin", n.AdminURL(), "data", c.Data, "version", Version,
		"durability", c.Durability, "partitions", c.Partitions, "took_ms", time.Since(begun).Milliseconds())
	return n, nil
}

// begin brings everything up between the listeners and the edge, while others
// answer on them.
func (n *Node) begin(ctx context.Context) (err error) {
	n.serveEarly()
	if err := n.data.started(); err != nil {
		return err
	}
	n.marked = true
	if !n.data.clean {
		n.log.Warn("the last stop was not in order; what it left unfinished is made again")
	}
	if n.member != nil {
		if err := n.letIn(ctx); err != nil {
			return err
		}
		if err := n.setAside(); err != nil {
			return err
		}
		if err := n.lookAtFiles(); err != nil {
			return err
		}
	}
	n.stage.is("starting NATS")
	if n.nats, err = startServer(n.data, n.config.Name, n.config.Durability == config.Safe, n.member, n.log, n.fail); err != nil {
		return err
	}
	n.nats.watch(n.registry)
	ctx, end := n.whileDiskWorks(ctx)
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), ErrAgain) {
			err = ErrAgain
		}
		end()
	}()
	if n.member != nil {
		n.member.expiry(n.registry)
		n.serving.Go(func() { n.member.watchExpiry(n.quit, n.log) })
		if n.words, err = n.nats.speak(n.word, n.data.settleAll); err != nil {
			return err
		}
		if err := n.meetPeers(ctx); err != nil {
			return err
		}
	}
	if err := n.openPatiently(ctx); err != nil {
		return err
	}
	n.words.close()
	if err := n.data.settle(); err != nil {
		return &DataError{n.data.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	if n.member != nil {
		return n.fill(ctx)
	}
	return nil
}

// listen takes the addresses, so that a taken one fails before anything is
// touched.
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
		n.most = max(int(open)-ownFiles, leastConnections)
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

// open opens everything over NATS, innermost first. What it opened before it
// failed, closeParts closes.
func (n *Node) open(ctx context.Context) (err error) {
	c := n.config
	n.opened = true
	metrics := prometheus.NewRegistry() // of this try
	o := jetstream.Options{
		Connect: n.nats.connect, Partitions: c.Partitions, Node: c.Name, Clean: n.data.clean, Replicas: 1,
		QueueRetention: c.QueueRetention, Log: n.log.With("part", "store"), Registry: metrics, Fatal: n.fail, Progress: n.doing,
	}
	if n.member != nil {
		o.Replicas, o.MayFound, o.Join, o.Beside = replicas, n.mayFound, n.agree, n.suits
		o.Leads, o.Heirs, o.Certain = n.nats.leads, n.heirs, n.certain
		o.Scrub = jetstream.ScrubOptions{Interval: c.ScrubInterval, Rate: int64(c.ScrubRate) << 20, Refill: n.refill}
	}
	n.stage.is("creating streams")
	if n.store, err = jetstream.Open(ctx, o); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	n.stage.is("taking the node's place")
	if err = n.takePlace(ctx, metrics); err != nil {
		return err
	}
	n.stage.is("opening the accounts")
	n.accounts, err = auth.Open(ctx, auth.Options{
		Records: n.store.Records("auth"), NewID: n.newID, Now: n.now, Log: n.log.With("part", "auth"), RateLimits: c.RateLimits,
	})
	if err != nil {
		return fmt.Errorf("open the accounts: %w", err)
	}
	n.contacts, err = contacts.Open(ctx, contacts.Options{Records: n.store.Records("contacts"), Now: n.now, Log: n.log.With("part", "contacts")})
	if err != nil {
		return fmt.Errorf("open the contacts: %w", err)
	}
	gauge(metrics, "natter_contact_pairs", "Pairs of people with a friendship, a request or a block between them.", func() float64 {
		pairs, _ := n.contacts.Size()
		return float64(pairs)
	})
	if err := n.openEdge(); err != nil {
		return fmt.Errorf("make the edge: %w", err)
	}
	return n.registry.Register(metrics)
}

// replicas are how many members of a cluster keep each stream.
const replicas = 3

// openEdge makes the edge over what is open.
func (n *Node) openEdge() (err error) {
	c := n.config
	app, built := webui.Files()
	n.built = built
	o := edge.Options{
		Seen: n.store.Seen(), Log: n.store.Log(), History: n.store.History(), Drafts: n.store.Drafts(), Queues: n.store.Queues(), News: n.store.News(), Cursors: n.store.Cursors(),
		Auth: n.accounts, Contacts: n.contacts, NewID: n.newID, Now: n.now, Ready: n.ready,
		NodeID: c.Name, Version: Version, Origins: c.Origins, PublicURL: c.PublicURL,
		Secure: n.secure != nil || strings.HasPrefix(c.PublicURL, "https:") || strings.HasPrefix(c.Advertise, "https:"), TrustedProxies: c.TrustedProxies,
		Heartbeat: c.Heartbeat, MaxSocketsPerUser: c.MaxSocketsPerUser, RateLimits: c.RateLimits,
		EditWindow: c.EditWindow,
		App:        app, AppBuilt: built, Logger: n.log.With("part", "edge"), Registry: n.registry,
	}
	o.Nodes = found(o.Nodes, n.nodes)
	if n.roster != nil {
		o.Roster = n.roster
	}
	n.edge, err = edge.New(o)
	return err
}

// serveEarly answers the operator, and says to clients that the node is starting.
func (n *Node) serveEarly() {
	after := earlyAfter
	if n.member != nil {
		after = 0
	}
	n.early = startEarly(n.listener, n.secure, after, n.log)
	if n.back != nil {
		n.operator = n.admin()
		n.serving.Go(func() { n.serveAdmin(n.back) })
	}
}

// serve starts the goroutines that serve.
func (n *Node) serve() {
	n.early.end()
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
	if n.majority != nil {
		n.serving.Go(n.watchCut)
		n.serving.Go(n.watchClock)
		n.serving.Go(n.watchRefilled)
		n.serving.Go(n.noteGroups)
	}
	n.serving.Go(n.giveBackMemory)
	n.serving.Go(n.letGoOfHistory)
}

// fail notes why the node can't go on, the first time, and wakes Wait.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		if errors.Is(err, ErrRefill) {
			n.log.Warn("the node starts anew", "why", err)
		} else {
			n.log.Error("the node can't go on", "err", err)
		}
		n.failure = err
		close(n.failed)
	})
}

// ready is nil while the node can take traffic.
func (n *Node) ready() error {
	if err := n.fit(); err != nil {
		return err
	}
	if n.cut.Load() {
		return errCut
	}
	if n.lease != nil && !n.lease.held() {
		return errors.New("the node's lease is lost: it is cut off from the others")
	}
	return nil
}

// fit is ready as far as the node itself goes.
func (n *Node) fit() error {
	select {
	case <-n.failed:
		return n.failure
	default:
	}
	if n.stopping.Load() {
		return errors.New("the node is stopping")
	}
	if !n.started.Load() {
		return errors.New("the node is starting: " + n.stage.String())
	}
	if ahead := n.clock.Load(); ahead != nil {
		return errors.New(clockIs(*ahead))
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

// advertised is where clients and other nodes are told to reach this very node.
func (n *Node) advertised() string {
	return cmp.Or(n.config.Advertise, n.config.PublicURL, n.URL())
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
