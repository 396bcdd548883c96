package node

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"natter/certs"
	"natter/config"
)

// member is what a node knows of its cluster before it has joined it.
type member struct {
	certs  *certs.Node
	listen string // of the routes
	name   string // of the cluster
	own    string // this node's address among the members'
	others []string
	roll   *roll       // whose store is whose; nil until enter
	tls    *tls.Config // of the routes

	mu  sync.Mutex
	met map[string]*x509.Certificate // of the nodes that proved who they are, by name
}

// newMember reads the certificates and finds this node among the members. Its
// errors are *config.Error.
func newMember(c *config.Config, now time.Time) (*member, error) {
	own, err := certs.Load(c.ClusterCerts, c.Name, now)
	if err != nil {
		return nil, &config.Error{Field: "cluster_certs", Detail: err.Error()}
	}
	m := &member{certs: own, listen: c.ClusterListen, name: c.ClusterName, met: map[string]*x509.Certificate{}}
	if m.own, err = m.find(c.Cluster); err != nil {
		return nil, err
	}
	for _, address := range c.Cluster {
		if address != m.own {
			m.others = append(m.others, address)
		}
	}
	return m, nil
}

// enter takes the roll of the node's data directory, and makes of it and the
// certificates what the routes are opened with.
func (m *member) enter(r *roll) {
	m.roll = r
	m.tls = m.certs.Route(r.say, func(c *x509.Certificate, told []byte) error {
		if err := r.meet(c.Subject.CommonName, told); err != nil {
			return err
		}
		m.meet(c)
		return nil
	})
}

// find picks the node's own address: the one whose host its certificate stands
// for; if several do, as on one machine, the one with the port it listens on.
func (m *member) find(all []string) (string, error) {
	_, port, _ := net.SplitHostPort(m.listen) // config has checked it
	var named, both []string
	for _, address := range all {
		host, at, _ := net.SplitHostPort(address)
		if !m.certs.Names(host) {
			continue
		}
		named = append(named, address)
		if at == port {
			both = append(both, address)
		}
	}
	switch {
	case len(named) == 0:
		return "", &config.Error{Field: "cluster", Detail: fmt.Sprintf("lists no address of this node: its certificate stands for %s; `natter cluster cert --host` makes one for more",
			strings.Join(m.certs.Hosts(), ", "))}
	case len(named) == 1:
		return named[0], nil
	case len(both) == 1:
		return both[0], nil
	}
	return "", &config.Error{Field: "cluster", Detail: fmt.Sprintf("doesn't tell which member this node is: its certificate stands for %s, and cluster_listen's port is that of %d of them",
		strings.Join(named, ", "), len(both))}
}

// The routes' bounds. A peer that vanished without a word is given up after
// routePing × (routePings + 1), and connected to again each second.
const (
	routePing       = 2 * time.Second
	routePings      = 2
	routeHandshake  = 5 // seconds
	routeWriteLimit = 5 * time.Second
)

// configure makes a clustered server of o.
func (m *member) configure(o *server.Options) error {
	host, port, err := splitAddress(m.listen)
	if err != nil {
		return err
	}
	// A clustered server must listen for clients before it opens its routes: on a
	// port of this machine's alone. Who comes there is told nothing before a node's
	// certificate, and then needs the key of this start.
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	o.TLSConfig, o.TLSHandshakeFirst, o.TLSTimeout = m.certs.TLS(func(*x509.Certificate) {}), true, 1
	o.AuthTimeout = 1 // seconds
	o.Cluster = server.ClusterOpts{
		Name: m.name, Host: cmp.Or(host, "0.0.0.0"), Port: port,
		TLSConfig: m.tls, TLSTimeout: routeHandshake, AuthTimeout: routeHandshake,
		// Members connect to each other as listed, never to what gossip has heard.
		Advertise: m.own, NoAdvertise: true,
		// One route carries NATTER's messages; SYS, which carries Raft, has its own.
		PoolSize: 1, PingInterval: routePing, MaxPingsOut: routePings, WriteDeadline: routeWriteLimit,
	}
	for _, address := range append(slices.Clone(m.others), m.own) { // its length is the size of the cluster that is made
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: address})
	}
	return nil
}

func splitAddress(address string) (host string, port int, err error) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return "", 0, err
	}
	if host, _, err = net.SplitHostPort(address); host == "localhost" {
		host = "127.0.0.1"
	}
	return host, tcp.Port, err
}

// meet notes a node that has proved who it is.
func (m *member) meet(c *x509.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.met[c.Subject.CommonName] = c
}

// missing are the addresses of the members that aren't among the connected, by
// name. Where several share a host it isn't known whose address is whose, and
// they are all listed until all are there.
func (m *member) missing(connected []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	left := slices.Clone(m.others)
	for _, name := range connected {
		c := m.met[name]
		if c == nil {
			continue
		}
		var its []string
		for _, address := range left {
			if host, _, _ := net.SplitHostPort(address); c.VerifyHostname(host) == nil {
				its = append(its, address)
			}
		}
		if len(its) == 1 {
			left = slices.DeleteFunc(left, func(a string) bool { return a == its[0] })
		}
	}
	if len(connected) >= len(m.others) {
		return nil
	}
	return left
}

// The certificates' end. It is said in the log from expiryWarning before it on,
// once a day.
const (
	expiryWarning = 30 * 24 * time.Hour
	expiryLook    = time.Hour
	expiryAgain   = 24 * time.Hour
)

// expiry registers when the certificates end.
func (m *member) expiry(r prometheus.Registerer) {
	for which, at := range map[string]time.Time{"node": m.certs.Expires, "authority": m.certs.AuthorityExpires} {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "natter_cluster_certificate_expiry_timestamp_seconds",
			Help: "When a certificate of the cluster ends, in Unix time.", ConstLabels: prometheus.Labels{"certificate": which}})
		g.Set(float64(at.Unix()))
		r.MustRegister(g)
	}
}

// ending is what is to be said at a time; empty if nothing.
func (m *member) ending(now time.Time) string {
	what, at, does := "certificate", m.certs.Expires, "`natter cluster cert` makes another"
	if m.certs.AuthorityExpires.Before(at.Add(time.Second)) {
		what, at, does = "authority", m.certs.AuthorityExpires, "`natter cluster init --like` makes the next"
	}
	left := at.Sub(now)
	switch {
	case left <= 0:
		return fmt.Sprintf("the cluster's %s has expired: the other nodes refuse new routes to this one; %s", what, does)
	case left < expiryWarning:
		return fmt.Sprintf("the cluster's %s ends in %d days, on %s: %s", what, int(left.Hours()/24), at.UTC().Format(time.DateOnly), does)
	}
	return ""
}

// watchExpiry warns of the certificates' end until quit is closed.
func (m *member) watchExpiry(quit <-chan struct{}, log *slog.Logger) {
	tick := time.NewTicker(expiryLook)
	defer tick.Stop()
	var told time.Time
	for now := time.Now(); ; {
		if text := m.ending(now); text != "" && now.Sub(told) >= expiryAgain {
			log.Warn(text)
			told = now
		}
		select {
		case now = <-tick.C:
		case <-quit:
			return
		}
	}
}
