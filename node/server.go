package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// natsServer is the NATS server inside the process. Alone it listens nowhere; in a
// cluster it opens routes to and for the other members. Either way the only way in
// for clients are in-process connections, which sign with a key made at this start
// and kept in memory.
type natsServer struct {
	server *server.Server
	user   nkeys.KeyPair // of account
	system nkeys.KeyPair // of the system account
	log    *natsLog
}

// account is where all of natter is; it has the same name on every node.
const account = "NATTER"

// systemAccount is NATS's own.
const systemAccount = "SYS"

// The bounds of JetStream. Memory is for what lives in memory only (leases);
// caches of files are not counted.
const (
	memoryStreams = 256 << 20 // bytes
	storeShare    = 0.9       // of the free disk, beside what the streams hold already
	maxPayload    = 8 << 20   // bytes: a batch, a take, a sealed page
	serverReady   = 30 * time.Second
	// syncInterval is what a power failure may take with durability: fast.
	syncInterval = time.Second
)

// startServer starts it over d, as a member of a cluster unless m is nil. fatal is
// told when it gives up.
func startServer(d *directory, name string, safe bool, m *member, log *slog.Logger, fatal func(error)) (_ *natsServer, err error) {
	n := &natsServer{log: &natsLog{log: log.With("part", "nats"), fatal: fatal}}
	if n.user, err = nkeys.CreateUser(); err != nil {
		return nil, err
	}
	if n.system, err = nkeys.CreateUser(); err != nil {
		return nil, err
	}
	public, err := n.user.PublicKey()
	if err != nil {
		return nil, err
	}
	system, err := n.system.PublicKey()
	if err != nil {
		return nil, err
	}
	free, err := freeBytes(d.path)
	if err != nil {
		return nil, &DataError{d.path, fmt.Sprintf("doesn't tell its free space: %v", err)}
	}
	o := &server.Options{}
	// Accounts with JetStream can only be had from a configuration.
	err = o.ProcessConfigString(fmt.Sprintf(`
		accounts {
			%[1]s { users: [ { nkey: %[2]s } ] }
			%[3]s { jetstream: enabled, users: [ { nkey: %[4]s } ] }
		}
		system_account: %[1]s
	`, systemAccount, system, account, public))
	if err != nil {
		return nil, fmt.Errorf("configure NATS: %w", err)
	}
	o.ServerName = name
	o.DontListen = true
	o.NoSigs = true // or it installs handlers that end the process
	o.NoLog = true  // SetLoggerV2 below
	o.JetStream = true
	o.StoreDir = d.file(streamsDir)
	o.JetStreamMaxMemory = memoryStreams
	o.JetStreamMaxStore = d.size() + int64(storeShare*float64(free))
	o.MaxPayload = maxPayload
	o.SyncAlways = safe
	o.SyncInterval = syncInterval
	if m != nil {
		if err := m.configure(o); err != nil {
			return nil, err
		}
	}
	if n.server, err = server.NewServer(o); err != nil {
		return nil, fmt.Errorf("make NATS: %w", err)
	}
	n.server.SetLoggerV2(n.log, false, false, false)
	n.server.Start() // doesn't block; what goes wrong it only logs
	if !n.server.ReadyForConnections(serverReady) || !n.server.JetStreamEnabled() {
		err := errors.New("NATS did not start")
		if last := n.log.last.Load(); last != nil {
			err = fmt.Errorf("NATS did not start: %s", *last)
		}
		n.shutdown()
		return nil, err
	}
	return n, nil
}

// connect opens one more in-process connection. It is never given up: while the
// process lives the server does.
func (n *natsServer) connect(name string, options ...nats.Option) (*nats.Conn, error) {
	return n.connectAs(n.user, name, options...)
}

// connectSystem opens one to the system account.
func (n *natsServer) connectSystem(name string, options ...nats.Option) (*nats.Conn, error) {
	return n.connectAs(n.system, name, options...)
}

func (n *natsServer) connectAs(user nkeys.KeyPair, name string, options ...nats.Option) (*nats.Conn, error) {
	public, err := user.PublicKey()
	if err != nil {
		return nil, err
	}
	return nats.Connect("", append([]nats.Option{nats.InProcessServer(n.server), nats.Name(name), nats.Nkey(public, user.Sign), nats.IgnoreDiscoveredServers(),
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.Timeout(10 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			n.log.log.Warn("a connection inside the node", "connection", name, "err", err)
		})}, options...)...)
}

// shutdown stops it and waits.
func (n *natsServer) shutdown() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}
