package certs

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// Node is what a node proves itself with, and knows others by. It is not changed
// after Load; its methods are safe for concurrent use.
type Node struct {
	Name      string
	ClusterID string
	// Expires is when the node's certificate ends, AuthorityExpires when the last
	// of the authorities does.
	Expires, AuthorityExpires time.Time

	leaf *x509.Certificate
	pair tls.Certificate
	pool *x509.CertPool
}

// Load reads dir and checks that it proves a node called name from now on. Its
// errors are one line for the operator and name the file.
func Load(dir, name string, now time.Time) (*Node, error) {
	at := func(file string) string { return filepath.Join(dir, file) }
	authorities, err := readCertificates(at(AuthorityFile))
	if err != nil {
		return nil, err
	}
	own, err := readCertificates(at(NodeFile))
	if err != nil {
		return nil, err
	}
	key, err := readKey(at(NodeKeyFile))
	if err != nil {
		return nil, err
	}
	n := &Node{Name: name, leaf: own[0], pool: x509.NewCertPool(), Expires: own[0].NotAfter}
	n.pair = tls.Certificate{PrivateKey: key, Leaf: n.leaf}
	for _, c := range own {
		n.pair.Certificate = append(n.pair.Certificate, c.Raw)
	}
	if err := n.trust(authorities, now); err != nil {
		return nil, fmt.Errorf("%s: %w", at(AuthorityFile), err)
	}
	public, ok := n.leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(key.Public()) {
		return nil, fmt.Errorf("%s: isn't the key of %s", at(NodeKeyFile), NodeFile)
	}
	if err := n.prove(now); err != nil {
		return nil, fmt.Errorf("%s: %w", at(NodeFile), err)
	}
	return n, nil
}

// trust takes the authorities. One that has expired may stand beside one that hasn't.
func (n *Node) trust(authorities []*x509.Certificate, now time.Time) error {
	for _, c := range authorities {
		id, err := ofCluster(c)
		switch {
		case err != nil:
			return err
		case !c.IsCA:
			return errors.New("isn't an authority's certificate")
		case n.ClusterID != "" && n.ClusterID != id:
			return fmt.Errorf("has authorities of two clusters, %s and %s; the next authority of one is made by `natter cluster init DIR --like` it", n.ClusterID, id)
		}
		n.ClusterID = id
		n.pool.AddCert(c)
		if c.NotAfter.After(n.AuthorityExpires) {
			n.AuthorityExpires = c.NotAfter
		}
	}
	if now.After(n.AuthorityExpires) {
		return fmt.Errorf("expired on %s: see \"A new authority\" in OPERATIONS", day(n.AuthorityExpires))
	}
	return nil
}

// prove checks the node's own certificate as another node would.
func (n *Node) prove(now time.Time) error {
	c := n.leaf
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("expired on %s: `natter cluster cert` makes another", day(c.NotAfter))
	case now.Before(c.NotBefore):
		return fmt.Errorf("is valid from %s on; is this machine's clock right?", c.NotBefore.UTC().Format(time.RFC3339))
	case c.Subject.CommonName != n.Name:
		return fmt.Errorf("is of the node %q; this one is %q", c.Subject.CommonName, n.Name)
	}
	return n.verify(c, now)
}

// verify holds any node's certificate to the authorities.
func (n *Node) verify(c *x509.Certificate, now time.Time) error {
	for _, usage := range usages {
		o := x509.VerifyOptions{Roots: n.pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: now}
		var unknown x509.UnknownAuthorityError
		if _, err := c.Verify(o); errors.As(err, &unknown) {
			return errors.New("isn't of the authority in " + AuthorityFile)
		} else if err != nil {
			return err
		}
	}
	if id, err := ofCluster(c); err != nil {
		return err
	} else if id != n.ClusterID {
		return fmt.Errorf("is of the cluster %s; the authority is of %s", id, n.ClusterID)
	}
	return nil
}

// Names tells whether the certificate stands for host, a name or an IP address.
func (n *Node) Names(host string) bool { return n.leaf.VerifyHostname(host) == nil }

// Hosts are the names and addresses the certificate stands for.
func (n *Node) Hosts() []string {
	hosts := slices.Clone(n.leaf.DNSNames)
	for _, ip := range n.leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// TLS is for both ends of a route: each verifies the other against the authority
// of the cluster and nothing else. met is called with each verified certificate.
func (n *Node) TLS(met func(*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{n.pair},
		RootCAs:      n.pool,
		ClientCAs:    n.pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		// A resumed session would not be held to today's authorities and dates.
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("no certificate")
			}
			c := s.PeerCertificates[0]
			if err := n.verify(c, time.Now()); err != nil {
				return fmt.Errorf("the certificate of %q %w", c.Subject.CommonName, err)
			}
			met(c)
			return nil
		},
	}
}

// Route is TLS for a node that tells more of itself than its certificate does. say is
// what it tells, in each handshake: 1 to 65,535 bytes. met is called with each verified
// certificate and what its node told, nil if nothing; its error ends the handshake. Both
// are called from many goroutines and must not block.
//
// What is told goes where certificates have their timestamps of transparency logs, which
// these never have: TLS carries it both ways and signs it with the certificate's key.
func (n *Node) Route(say func() []byte, met func(c *x509.Certificate, told []byte) error) *tls.Config {
	config := n.TLS(func(*x509.Certificate) {})
	verify := config.VerifyConnection
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if err := verify(s); err != nil {
			return err
		}
		var told []byte
		if len(s.SignedCertificateTimestamps) > 0 {
			told = s.SignedCertificateTimestamps[0]
		}
		return met(s.PeerCertificates[0], told)
	}
	telling := func() tls.Certificate {
		pair := n.pair
		pair.SignedCertificateTimestamps = [][]byte{say()}
		return pair
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair := telling()
		return &pair, nil
	}
	plain := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		one := plain.Clone()
		one.Certificates = []tls.Certificate{telling()}
		return one, nil
	}
	return config
}
