package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// certificates looks at those of the cluster and at those clients see.
func (e *examination) certificates() {
	if e.c.TLSCert != "" {
		e.front()
	}
	if !e.c.Clustered() {
		return
	}
	const name = "cluster_certs"
	m, err := newMember(e.c, e.now)
	if err != nil {
		e.fail(name, "`natter cluster cert` makes a node's certificate; OPERATIONS, \"Certificates\", goes through it", "%v", err)
		return
	}
	e.member = m
	if ending := m.ending(e.now); ending != "" {
		e.warn(name, "OPERATIONS, \"Certificates\", goes through it", "%s", ending)
		return
	}
	e.ok(name, "of the node %q, until %s; the authority until %s", m.certs.Name, day(m.certs.Expires), day(m.certs.AuthorityExpires))
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// front looks at the certificate that clients see.
func (e *examination) front() {
	const name = "tls_cert"
	pair, err := tls.LoadX509KeyPair(e.c.TLSCert, e.c.TLSKey)
	if err != nil {
		e.fail(name, "set tls_cert and tls_key to PEM files that belong together", "%v", err)
		return
	}
	leaf := pair.Leaf
	switch left := leaf.NotAfter.Sub(e.now); {
	case left <= 0:
		e.fail(name, "renew it, and start the node again: it reads it at its start", "expired on %s", day(leaf.NotAfter))
		return
	case e.now.Before(leaf.NotBefore):
		e.fail(name, "set this machine's clock right, or get another certificate", "is valid from %s on", leaf.NotBefore.UTC().Format(time.RFC3339))
		return
	case left < expiryWarning:
		e.warn(name, "renew it, and start the node again: it reads it at its start", "ends in %d days, on %s", int(left.Hours()/24), day(leaf.NotAfter))
	default:
		e.ok(name, "until %s", day(leaf.NotAfter))
	}
	for field, address := range map[string]string{"public_url": e.c.PublicURL, "advertise": e.c.Advertise} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" && leaf.VerifyHostname(u.Hostname()) != nil {
			e.fail(name, "get a certificate that names it, or set "+field+" to what it names", "doesn't stand for %s, where %s sends clients", u.Hostname(), field)
		}
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: e.now}); err != nil {
		e.warn(name, "put the whole chain in the file, or have the authority trusted wherever clients run", "isn't trusted by this machine: %v", err)
	}
}

// peers looks whether the other members are reached, know this node and are known by it.
func (e *examination) peers(ctx context.Context) {
	if e.member == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	seen := make([]Check, len(e.member.others))
	var asking sync.WaitGroup
	for i, address := range e.member.others {
		asking.Go(func() { seen[i] = e.peer(ctx, address) })
	}
	asking.Wait()
	e.checks = append(e.checks, seen...)
}

// peer looks at one.
func (e *examination) peer(ctx context.Context, address string) Check {
	is := Check{Name: "member " + address, State: CheckFail}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		is.State, is.Found = CheckWarn, "isn't reached: "+err.Error()
		is.Do = "start it; if it runs, open its cluster_listen to this machine, and see that its name leads to it"
		return is
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	store, err := (&directory{path: e.c.Data}).storeThere()
	if err != nil {
		is.Found, is.Do = "isn't asked: "+err.Error(), "see what the check of data says"
		return is
	}
	other, err := e.member.shakeHands(ctx, conn, address, store)
	switch {
	case err != nil:
		is.Found, is.Do = err.Error(), "see that it is a member's cluster_listen, and give every member a certificate of one authority that names its host in cluster; OPERATIONS, \"Certificates\", goes through it. If this node's data is lost, `natter cluster replace "+e.c.Name+"` lets it in"
	case other.Subject.CommonName == e.c.Name:
		is.Found, is.Do = fmt.Sprintf("is a node %q, as this one is", e.c.Name), "give each node a name and a certificate of its own"
	case other.NotAfter.Sub(e.now) < expiryWarning:
		is.State, is.Found = CheckWarn, fmt.Sprintf("is %q, whose certificate ends on %s", other.Subject.CommonName, day(other.NotAfter))
		is.Do = "`natter cluster cert` makes another"
	default:
		is.State, is.Found = CheckOK, fmt.Sprintf("is %q, and each takes the other's certificate", other.Subject.CommonName)
	}
	return is
}

// refusedWithin is how long the doctor waits for a member's refusal.
const refusedWithin = time.Second

// shakeHands proves who this node is on a route, which begins with that, and has the other
// one prove it. It tells its store, if it has one. The route isn't used.
func (m *member) shakeHands(ctx context.Context, conn net.Conn, address, store string) (other *x509.Certificate, err error) {
	host, _, _ := net.SplitHostPort(address) // config has checked it
	settings := m.certs.TLS(func(c *x509.Certificate) { other = c })
	if store != "" {
		settings = m.certs.Route(claim{Store: store}.bytes, func(c *x509.Certificate, _ []byte) error {
			other = c
			return nil
		})
	}
	settings.ServerName = host
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("doesn't prove that it is a member: %w", err)
	}
	// It judges this node's certificate after that, and hangs up on one it doesn't take;
	// else it waits for what a route says next.
	_ = conn.SetReadDeadline(time.Now().Add(refusedWithin))
	if _, err := secure.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("doesn't take this node's certificate: %w", err)
	}
	return other, nil
}
