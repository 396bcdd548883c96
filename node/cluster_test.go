package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"natter/certs"
	"natter/config"
)

// cluster is the settings of three members on this machine.
type cluster struct {
	t   *testing.T
	dir string
	all []*config.Config
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir()}
	c.authority("ca")
	var held []net.Listener // all at once, so that they differ
	var routes []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held, routes = append(held, l), append(routes, l.Addr().String())
	}
	for _, l := range held {
		_ = l.Close()
	}
	for i, name := range []string{"a", "b", "c"} {
		s := settings(t, filepath.Join(c.dir, "data-"+name))
		s.Name, s.Partitions, s.Cluster, s.ClusterListen, s.ClusterCerts = name, 1, routes, routes[i], c.certify("ca", name, name)
		c.all = append(c.all, s)
	}
	return c
}

func (c *cluster) authority(name string) {
	c.t.Helper()
	if err := certs.MakeAuthority(filepath.Join(c.dir, name), "", time.Now()); err != nil {
		c.t.Fatal(err)
	}
}

// certify makes a node's certificate into a directory and returns it.
func (c *cluster) certify(authority, name, dir string) string {
	c.t.Helper()
	dir = filepath.Join(c.dir, "certs-"+dir)
	if err := certs.MakeNode(name, []string{"127.0.0.1"}, filepath.Join(c.dir, authority), dir, time.Now()); err != nil {
		c.t.Fatal(err)
	}
	return dir
}

// starting is a start that goes on.
type starting struct {
	cancel context.CancelFunc
	done   chan struct{}
	node   *Node
	err    error
}

func (c *cluster) start(s *config.Config) *starting {
	ctx, cancel := context.WithCancel(context.Background())
	b := &starting{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.node, b.err = Start(ctx, s, quiet(c.t), nil)
	}()
	c.t.Cleanup(func() {
		cancel()
		<-b.done
		if b.node != nil {
			stop(c.t, b.node)
		}
	})
	return b
}

// startAll starts the members given and waits until each is ready.
func (c *cluster) startAll(members ...*config.Config) []*Node {
	c.t.Helper()
	var begun []*starting
	for _, s := range members {
		begun = append(begun, c.start(s))
	}
	var nodes []*Node
	for _, b := range begun {
		<-b.done
		if b.err != nil {
			c.t.Fatal(b.err)
		}
		nodes = append(nodes, b.node)
	}
	return nodes
}

// freeAddress is one that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits until url answers code with says in it.
func answers(t *testing.T, client *http.Client, url string, code int, says string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	last := ""
	for time.Now().Before(deadline) {
		if res, err := client.Get(url); err == nil {
			b, _ := io.ReadAll(res.Body) // what is cut off isn't what is waited for
			_ = res.Body.Close()
			if last = fmt.Sprintf("%d %s", res.StatusCode, b); res.StatusCode == code && strings.Contains(last, says) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s answers %q; want %d with %q", url, last, code, says)
}

// A member that is alone waits, says for what, and answers that it lives; told to
// stop, it stops in order.
func TestAMemberWaitsForTheOthers(t *testing.T) {
	c := newCluster(t)
	s := c.all[0]
	s.Listen, s.Admin = freeAddress(t), freeAddress(t)
	b := c.start(s)
	client := browser(t, nil)
	answers(t, client, "http://"+s.Listen+"/healthz", 200, "ok")
	answers(t, client, "http://"+s.Listen+"/readyz", 503, "starting")
	answers(t, client, "http://"+s.Listen+"/v1/server", 503, `"code":"unavailable"`)
	answers(t, client, "http://"+s.Admin+"/healthz", 200, "ok")
	answers(t, client, "http://"+s.Admin+"/readyz", 503, "waiting for peers: have a; need 1 of "+s.Cluster[1]+", "+s.Cluster[2])
	answers(t, client, "http://"+s.Admin+"/metrics", 200, "natter_build_info")
	b.cancel()
	<-b.done
	if !errors.Is(b.err, context.Canceled) {
		t.Errorf("the start ended with %v", b.err)
	}
	if _, err := os.Stat(filepath.Join(s.Data, runningFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it didn't stop in order: %v", err)
	}
}

// The identity of a member: what it was made as, and what the cluster was made with.
func TestAMembersIdentity(t *testing.T) {
	c := newCluster(t)
	for _, n := range c.startAll(c.all...) {
		if made, err := n.data.identity(); err != nil || !made.Cluster || !made.Joined || made.ClusterID == "" || made.ClusterName != "natter" {
			t.Errorf("%+v, %v", made, err)
		}
		stop(t, n)
	}
	like := func(change func(*config.Config)) *config.Config {
		s := *c.all[0]
		change(&s)
		return &s
	}
	c.authority("other")
	others := c.certify("other", "a", "other")
	alone := settings(t, filepath.Join(c.dir, "alone"))
	n, err := Start(t.Context(), alone, quiet(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	var data *DataError
	var setting *config.Error
	for says, s := range map[string]*config.Config{
		`belongs to the cluster "natter", and a node alone`:    like(func(s *config.Config) { s.Cluster, s.ClusterListen, s.ClusterCerts = nil, "", "" }),
		"`natter cluster grow` copies it into members":         like(func(s *config.Config) { s.Data = alone.Data }),
		"the certificates in cluster_certs are of the cluster": like(func(s *config.Config) { s.ClusterCerts = others }),
		"started with cluster_name: other":                     like(func(s *config.Config) { s.ClusterName = "other" }),
		"was made with partitions: 1":                          like(func(s *config.Config) { s.Partitions = 2 }),
		`belongs to the node "a"`: like(func(s *config.Config) {
			s.Name, s.ClusterCerts, s.ClusterListen = "b", c.all[1].ClusterCerts, c.all[1].ClusterListen
		}),
	} {
		if err := refusal(t, s, says); !errors.As(err, &data) {
			t.Errorf("%v is %T", err, err)
		}
	}
	for says, s := range map[string]*config.Config{
		`node.crt: is of the node "b"`:           like(func(s *config.Config) { s.ClusterCerts = c.all[1].ClusterCerts }),
		"lists no address of this node":          like(func(s *config.Config) { s.Cluster = []string{"x:1", "y:1", "z:1"} }),
		"doesn't tell which member this node is": like(func(s *config.Config) { s.ClusterListen = "127.0.0.1:1" }),
	} {
		if err := refusal(t, s, says); !errors.As(err, &setting) {
			t.Errorf("%v is %T", err, err)
		}
	}
	// A fresh member that was let in, with other partitions, is refused by the cluster's
	// record.
	nodes := c.startAll(c.all[0], c.all[1])
	c.all[2].Data = filepath.Join(c.dir, "fresh")
	c.all[2].Partitions = 2
	b := c.start(c.all[2])
	var r *Replacement
	for r == nil || r.State == ReplaceWaiting {
		var err error
		if r, err = nodes[0].replace(t.Context(), "c", ""); err != nil {
			t.Fatal(err)
		}
	}
	if r.State != ReplaceFilling || r.Store == "" {
		t.Errorf("%+v", r)
	}
	<-b.done
	if !errors.As(b.err, &setting) || !strings.Contains(b.err.Error(), "partitions: the cluster was made with 1") {
		t.Errorf("%v is %T", b.err, b.err)
	}
}

// A fresh member that was refused for its partitions may come back with others.
func TestOnlyTheClustersPartitionsStick(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	as := identity{Name: "c", Partitions: 2, Cluster: true, ClusterName: "natter", ClusterID: "0123456789abcdef"}
	d, err := openDirectory(dir, as, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_ = d.close()
	as.Partitions = 1
	if d, err = openDirectory(dir, as, time.Now()); err != nil {
		t.Fatal(err)
	}
	// Or as another natter, which was refused for its format.
	d.made.Format++
	if err := d.make(d.made); err != nil {
		t.Fatal(err)
	}
	_ = d.close()
	if d, err = openDirectory(dir, as, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := d.join(1); err != nil {
		t.Fatal(err)
	}
	if made, err := d.identity(); err != nil || made.Format != dataFormat {
		t.Errorf("joined, it is of format %d, %v", made.Format, err)
	}
	_ = d.close()
	as.Partitions = 2
	if _, err := openDirectory(dir, as, time.Now()); err == nil || !strings.Contains(err.Error(), "was made with partitions: 1") {
		t.Errorf("%v", err)
	}
}

// Who has no certificate of the cluster reaches nothing of NATS at its route port,
// and who hasn't this start's key nothing at its client port.
func TestStrangersAtTheClusterPorts(t *testing.T) {
	c := newCluster(t)
	nodes := c.startAll(c.all...)
	n := nodes[0]
	route := c.all[0].ClusterListen
	client := n.nats.server.Addr().String()
	c.authority("other")
	foreign, err := certs.Load(c.certify("other", "b", "foreign"), "b", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := certs.Load(c.all[1].ClusterCerts, "b", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	expired := filepath.Join(c.dir, "expired")
	if err := certs.MakeNode("b", []string{"127.0.0.1"}, filepath.Join(c.dir, "ca"), expired, time.Now().AddDate(-3, 0, 0)); err != nil {
		t.Fatal(err)
	}
	late, err := tls.LoadX509KeyPair(filepath.Join(expired, certs.NodeFile), filepath.Join(expired, certs.NodeKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	trusting := func(change func(*tls.Config)) *tls.Config {
		secure := own.TLS(func(*x509.Certificate) {})
		secure.VerifyConnection, secure.InsecureSkipVerify, secure.ServerName = nil, true, "127.0.0.1"
		change(secure)
		return secure
	}
	for name, c := range map[string]struct {
		secure *tls.Config // nil: no TLS
		says   string      // of the refusal
	}{
		"no TLS":                 {nil, ""},
		"no certificate":         {trusting(func(s *tls.Config) { s.Certificates = nil }), "certificate required"},
		"another authority's":    {trusting(func(s *tls.Config) { s.Certificates = foreign.TLS(nil).Certificates }), ""},
		"one that has expired":   {trusting(func(s *tls.Config) { s.Certificates = []tls.Certificate{late} }), ""},
		"one it made itself":     {trusting(func(s *tls.Config) { s.Certificates = []tls.Certificate{selfSigned(t, own.ClusterID)} }), ""},
		"its own, but older TLS": {trusting(func(s *tls.Config) { s.MinVersion, s.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }), "protocol version"},
	} {
		if got, err := knock(t, route, c.secure); got != "" || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("the route port, %s: heard %q, %v", name, got, err)
		}
	}
	if got, err := knock(t, route, trusting(func(*tls.Config) {})); got != "" || err == nil {
		t.Errorf("a member's certificate without its store: heard %q, %v", got, err)
	}
	telling := own.Route(nodes[1].member.roll.say, func(*x509.Certificate, []byte) error { return nil })
	telling.ServerName = "127.0.0.1"
	if got, err := knock(t, route, telling); err != nil || !strings.HasPrefix(got, "INFO ") {
		t.Errorf("a member's certificate and store: %q, %v", got, err) // or the table above proves nothing
	}
	if _, err := nats.Connect("nats://"+route, nats.NoReconnect(), nats.Timeout(3*time.Second)); err == nil {
		t.Error("a plain client got in by the route port")
	}

	for name, option := range map[string]nats.Option{
		"no key":   nats.Name("stranger"),
		"password": nats.UserInfo("SYS", "SYS"),
		"token":    nats.Token("token"),
		"TLS":      nats.Secure(trusting(func(*tls.Config) {})),
	} {
		if nc, err := nats.Connect("nats://"+client, option, nats.NoReconnect(), nats.Timeout(3*time.Second)); err == nil {
			nc.Close()
			t.Errorf("a stranger with %s got in by the client port", name)
		}
	}
	key := nodes[1].nats.user
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nats.Connect("nats://"+client, nats.Nkey(public, key.Sign), nats.NoReconnect(), nats.Timeout(3*time.Second)); err == nil {
		t.Error("another node's key opens this one's client port")
	}
	if host, _, _ := net.SplitHostPort(client); host != "127.0.0.1" {
		t.Errorf("clients are listened for on %s", client)
	}
	if a := n.nats.server.MonitorAddr(); a != nil {
		t.Errorf("NATS is monitored on %v", a)
	}
}

// knock connects, sends what a client of NATS does, and returns what it hears.
func knock(t *testing.T, address string, secure *tls.Config) (string, error) {
	t.Helper()
	var d net.Conn
	d, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_ = d.SetDeadline(time.Now().Add(10 * time.Second))
	if secure != nil {
		d = tls.Client(d, secure)
	}
	if _, err := d.Write([]byte("CONNECT {\"verbose\":true}\r\nPING\r\n")); err != nil {
		return "", err
	}
	b := make([]byte, 4096)
	for all := ""; ; {
		n, err := d.Read(b)
		if all += string(b[:n]); err != nil || all != "" {
			return all, err
		}
	}
}

func selfSigned(t *testing.T, clusterID string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, DNSNames: []string{"b"}}
	template.Subject.CommonName, template.Subject.Organization = "b", []string{"natter cluster " + clusterID}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestWhoIsMissing(t *testing.T) {
	c := newCluster(t)
	m, err := newMember(c.all[0], time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if m.own != c.all[0].ClusterListen || len(m.others) != 2 {
		t.Errorf("%s is not among %v", m.own, m.others)
	}
	m.others = []string{"b.example:1", "c.example:1"}
	dir := filepath.Join(c.dir, "named")
	if err := certs.MakeNode("b", []string{"b.example"}, filepath.Join(c.dir, "ca"), dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certs.NodeFile), filepath.Join(dir, certs.NodeKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	m.meet(pair.Leaf)
	for _, c := range []struct{ connected, missing string }{
		{"", "b.example:1 c.example:1"}, {"b", "c.example:1"}, {"c", "b.example:1 c.example:1"}, {"b c", ""},
	} {
		if got := strings.Join(m.missing(strings.Fields(c.connected)), " "); got != c.missing {
			t.Errorf("with %q, %q is missing, want %q", c.connected, got, c.missing)
		}
	}
}

func TestCertificatesEndIsTold(t *testing.T) {
	c := newCluster(t)
	m, err := newMember(c.all[0], time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for left, says := range map[time.Duration]string{
		60 * 24 * time.Hour:             "",
		29*24*time.Hour + 1*time.Minute: "certificate ends in 29 days",
		-time.Minute:                    "certificate has expired",
	} {
		if got := m.ending(m.certs.Expires.Add(-left)); (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("with %s left: %q, want %q", left, got, says)
		}
	}
	m.certs.AuthorityExpires = m.certs.Expires
	if got := m.ending(m.certs.Expires.Add(-time.Hour)); !strings.Contains(got, "authority ends in 0 days") {
		t.Errorf("%q", got)
	}
}

func FuzzClusterRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"cluster_id":"0123456789abcdef","name":"natter","partitions":4,"format":1,"created":1}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseClusterRecord(b); err == nil && (r.Version != 1 || r.Partitions < 1 || r.ClusterID == "") {
			t.Errorf("%s is taken as %s", b, strconv.Quote(fmt.Sprint(r)))
		}
	})
}
