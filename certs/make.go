package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// How long they are valid, and how far before now they begin: for nodes whose
// clock is behind.
const (
	authorityYears = 10
	nodeYears      = 2
	backdated      = time.Hour
)

// usages are all that certificates of a cluster are for.
var usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

// idPrefix stands before the ClusterID in a subject's organisation.
const idPrefix = "natter cluster "

var clusterID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// MakeAuthority makes the authority of a new cluster in dir, or, when like names
// the ca.crt of a cluster that is there, that cluster's next authority. It
// overwrites nothing.
func MakeAuthority(dir, like string, now time.Time) error {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	name := hex.EncodeToString(id)
	if like != "" {
		old, err := readCertificates(like)
		if err != nil {
			return err
		}
		if name, err = ofCluster(old[0]); err != nil {
			return fmt.Errorf("%s: %w", like, err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "the authority of a natter cluster", Organization: []string{idPrefix + name}},
		// The key's holder can make any name, so that a constraint of names would
		// protect nobody; but what it makes is for these usages only, and makes
		// no authorities of its own.
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: usages,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		NotBefore: now.Add(-backdated), NotAfter: now.AddDate(authorityYears, 0, 0),
	}
	der, err := sign(template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := pemOfKey(key)
	if err != nil {
		return err
	}
	return write(dir, file{AuthorityKeyFile, 0o600, private}, file{AuthorityFile, 0o644, pemOf(pemCertificate, der)})
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// MakeNode makes the certificate of the node called name into out, signed by the
// authority in the directory authority. hosts are the names and IP addresses
// under which the other nodes connect to it; its name is one in any case. out
// gets a copy of ca.crt as well. It overwrites nothing.
func MakeNode(name string, hosts []string, authority, out string, now time.Time) error {
	if !nodeName.MatchString(name) {
		return fmt.Errorf("the name must be 1 to 32 of A-Z a-z 0-9 _ -, not %q", name)
	}
	all, err := readCertificates(filepath.Join(authority, AuthorityFile))
	if err != nil {
		return err
	}
	signer, err := readKey(filepath.Join(authority, AuthorityKeyFile))
	if err != nil {
		return err
	}
	ca, err := authorityOf(all, signer)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(authority, AuthorityFile), err)
	}
	if now.After(ca.NotAfter) {
		return fmt.Errorf("%s: expired on %s: make another authority with `natter cluster init DIR --like` it", filepath.Join(authority, AuthorityFile), day(ca.NotAfter))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: name, Organization: ca.Subject.Organization},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usages, BasicConstraintsValid: true,
		NotBefore: now.Add(-backdated), NotAfter: earlier(now.AddDate(nodeYears, 0, 0), ca.NotAfter),
		DNSNames: []string{name},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host == "" || len(host) > 253 || strings.ContainsAny(host, ":/*@ ") {
			return fmt.Errorf("a host must be a name or an IP address, without a port, not %q", host)
		} else if host != name {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := sign(template, ca, key.Public(), signer)
	if err != nil {
		return err
	}
	private, err := pemOfKey(key)
	if err != nil {
		return err
	}
	var bundle []byte
	for _, c := range all {
		bundle = append(bundle, pemOf(pemCertificate, c.Raw)...)
	}
	return write(out, file{NodeKeyFile, 0o600, private}, file{NodeFile, 0o644, pemOf(pemCertificate, der)}, file{AuthorityFile, 0o644, bundle})
}

// authorityOf is the certificate of the signer among all.
func authorityOf(all []*x509.Certificate, signer crypto.Signer) (*x509.Certificate, error) {
	for _, c := range all {
		if public, ok := c.PublicKey.(*ecdsa.PublicKey); ok && public.Equal(signer.Public()) {
			_, err := ofCluster(c)
			return c, err
		}
	}
	return nil, errors.New("isn't the certificate of " + AuthorityKeyFile)
}

// ofCluster is the ClusterID in a certificate's subject.
func ofCluster(c *x509.Certificate) (string, error) {
	for _, o := range c.Subject.Organization {
		if id, ok := strings.CutPrefix(o, idPrefix); ok && clusterID.MatchString(id) {
			return id, nil
		}
	}
	return "", errors.New("names no natter cluster; `natter cluster init` makes the authority")
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, public, signer)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }
