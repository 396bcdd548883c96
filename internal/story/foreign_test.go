package story

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"natter/certs"
	"natter/internal/harness"
	"natter/internal/harness/process"
)

// TestForeignProcesses: a process that isn't of the cluster gets nothing of NATS at any
// port of a node. Every row is an attempt and what it is answered; docs/RELIABILITY.md
// has them.
func TestForeignProcesses(t *testing.T) {
	c := harness.StartCluster(t, "--partitions=1")
	f := newForeigner(t, c)
	t.Run("ports", f.ports)
	if t.Failed() {
		return // what follows knows where they are
	}
	t.Run("attempts", func(t *testing.T) {
		for _, one := range slices.Concat(f.atRoutes(), f.atClients(), f.atListener(), f.atAdmin()) {
			t.Run(one.where+": "+one.what, func(t *testing.T) {
				t.Parallel() // some wait for the node to lose its patience
				if got := one.try(t); !strings.HasPrefix(got, one.answer) {
					t.Errorf("the answer is %.300q, want %q", got, one.answer)
				}
			})
		}
	})
	t.Run("subjects", f.subjects)
	t.Run("members", f.members)
	if ready := readyz(t, harness.HTTP(t), f.node); ready != "ok\n" {
		t.Errorf("after all that the node is %q", ready)
	}
	for _, n := range c.Nodes {
		n.Kill() // there is nothing to be kept
	}
}

// foreigner is a process that isn't of the cluster, and the node it tries.
type foreigner struct {
	t      *testing.T
	c      *harness.Cluster
	node   *harness.Node
	route  string
	client string // where the node's NATS listens for clients; ports finds it
	member *certs.Node
	other  string // the directory of another cluster's authority
}

func newForeigner(t *testing.T, c *harness.Cluster) *foreigner {
	member, err := certs.Load(c.Certs[1], "b", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "ca")
	if err := certs.MakeAuthority(other, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	return &foreigner{t: t, c: c, node: c.Nodes[0], route: c.Routes[0], member: member, other: other}
}

// attempt is one thing that is tried, and what the answer begins with.
type attempt struct {
	where, what, answer string
	try                 func(t *testing.T) string
}

// The answers of a port that says nothing.
const (
	closed = "closed without a word"
	silent = "silence"
)

// ports: a node listens for its clients, its operator, the other nodes, and, on this
// machine alone, at one more port that NATS insists on.
func (f *foreigner) ports(t *testing.T) {
	all, err := process.Listening(f.node.PID())
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	known := []string{strings.TrimPrefix(f.node.URL(), "http://"), strings.TrimPrefix(f.node.AdminURL(), "http://"), f.route}
	for _, address := range known {
		if !slices.Contains(all, address) {
			t.Errorf("it doesn't listen at %s", address)
		}
	}
	rest := slices.DeleteFunc(all, func(address string) bool { return slices.Contains(known, address) })
	if len(rest) != 1 || !strings.HasPrefix(rest[0], "127.0.0.1:") {
		t.Fatalf("it also listens at %q, want one port of this machine alone", rest)
	}
	f.client = rest[0]
}

// words are how the protocols of NATS and its neighbours begin.
var words = []struct{ protocol, says string }{
	{"nothing, to be greeted", ""},
	{"a client of NATS", "CONNECT {\"verbose\":true}\r\nPING\r\nSUB $SYS.> 1\r\nPUB $JS.API.STREAM.NAMES r 0\r\n\r\n"},
	{"another node of NATS", "INFO {\"server_id\":\"X\",\"server_name\":\"x\",\"cluster\":\"natter\"}\r\nCONNECT {\"name\":\"X\"}\r\nRS+ NATTER >\r\n"},
	{"a leaf node", "CONNECT {\"server_id\":\"X\",\"name\":\"x\",\"hub\":true}\r\nLS+ >\r\n"},
	{"a gateway", "CONNECT {\"gateway\":\"natter\"}\r\nRS+ NATTER >\r\n"},
	{"MQTT", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"},
	{"HTTP", "GET /varz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"},
	{"WebSocket", "GET /leafnode HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
	{"a proxy", "PROXY TCP4 127.0.0.1 127.0.0.1 4222 4222\r\nCONNECT {}\r\n"},
	{"garbage", "\x00\xff\x16\x03\x05 garbage\r\n\r\n"},
}

// stranger is a certificate that proves nothing here, and TLS's word for why.
type stranger struct {
	what, answer string
	certificate  *tls.Certificate
}

func (f *foreigner) strangers() []stranger {
	own := f.member.TLS(nil).Certificates[0].Leaf
	signed := func(change func(*x509.Certificate)) *tls.Certificate { return f.forge(f.c.Authority, own, change) }
	used := func(usage x509.ExtKeyUsage) *tls.Certificate {
		return signed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} })
	}
	of := func(organization string) *tls.Certificate {
		return signed(func(c *x509.Certificate) { c.Subject.Organization = []string{organization} })
	}
	return []stranger{
		{"a node's certificate of another cluster", "unknown certificate authority", f.forge(f.other, own, func(*x509.Certificate) {})},
		{"one of its own making, with a member's names", "unknown certificate authority", f.forge("", own, func(*x509.Certificate) {})},
		{"the authority's, expired", "expired certificate", signed(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		{"the authority's, not valid yet", "expired certificate", signed(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })},
		{"the authority's, for servers only", "bad certificate", used(x509.ExtKeyUsageServerAuth)},
		{"the authority's, for clients only", "bad certificate", used(x509.ExtKeyUsageClientAuth)},
		{"the authority's, for mail", "bad certificate", used(x509.ExtKeyUsageEmailProtection)},
		{"the authority's, of another cluster's name", "bad certificate", of("natter cluster 0123456789abcdef")},
		{"the authority's, of no cluster", "bad certificate", of("Example")},
	}
}

// trusting is TLS that takes any server and proves itself by one certificate, or none.
func (f *foreigner) trusting(certificate *tls.Certificate) *tls.Config {
	secure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // whoever attacks doesn't care
	if certificate != nil {
		// Whatever the server says it takes.
		secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return secure
}

// forge makes a certificate like another, changed, signed by the authority in a
// directory, or by itself.
func (f *foreigner) forge(authority string, like *x509.Certificate, change func(*x509.Certificate)) *tls.Certificate {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: like.Subject.CommonName, Organization: like.Subject.Organization},
		KeyUsage: like.KeyUsage, ExtKeyUsage: like.ExtKeyUsage, BasicConstraintsValid: true,
		NotBefore: like.NotBefore, NotAfter: like.NotAfter, DNSNames: like.DNSNames, IPAddresses: like.IPAddresses,
	}
	change(template)
	parent, signer := template, any(key)
	if authority != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(authority, certs.AuthorityFile), filepath.Join(authority, certs.AuthorityKeyFile))
		if err != nil {
			f.t.Fatal(err)
		}
		parent, signer = pair.Leaf, pair.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		f.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// knock connects, says something, and tells what is answered.
func (f *foreigner) knock(t *testing.T, address string, secure *tls.Config, says string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	if _, err := io.WriteString(conn, says); err != nil && secure != nil {
		return err.Error()
	}
	heard := make([]byte, 4096)
	switch n, err := conn.Read(heard); {
	case n > 0:
		return string(heard[:n])
	case secure != nil && strings.Contains(err.Error(), "tls: "):
		return err.Error()
	default:
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return silent
		}
		return closed // in order or by a reset
	}
}
