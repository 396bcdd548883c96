package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// home is a directory for authorities and nodes.
type home struct {
	t   *testing.T
	dir string
	now time.Time
}

func newHome(t *testing.T) *home { return &home{t, t.TempDir(), time.Now()} }

func (h *home) at(parts ...string) string {
	return filepath.Join(append([]string{h.dir}, parts...)...)
}

func (h *home) authority(dir, like string) {
	h.t.Helper()
	if err := MakeAuthority(h.at(dir), like, h.now); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) node(authority, name string, hosts ...string) {
	h.t.Helper()
	if err := MakeNode(name, hosts, h.at(authority), h.at(name), h.now); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) load(name string) *Node {
	h.t.Helper()
	n, err := Load(h.at(name), name, h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestMadeCertificatesAreTaken(t *testing.T) {
	h := newHome(t)
	h.authority("ca", "")
	h.node("ca", "a", "a.example", "10.0.0.1", "fd00::1")
	n := h.load("a")
	for _, host := range []string{"a", "a.example", "10.0.0.1", "fd00::1"} {
		if !n.Names(host) {
			t.Errorf("the certificate doesn't stand for %s", host)
		}
	}
	if n.Names("b.example") || len(n.Hosts()) != 4 || !clusterID.MatchString(n.ClusterID) {
		t.Errorf("%v of cluster %q", n.Hosts(), n.ClusterID)
	}
	if years := n.Expires.Sub(h.now).Hours() / 24 / 365; years < 1.9 || years > 2.1 {
		t.Errorf("a node's certificate ends in %.1f years", years)
	}
	if years := n.AuthorityExpires.Sub(h.now).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
		t.Errorf("the authority ends in %.1f years", years)
	}
	for path, mode := range map[string]fs.FileMode{h.at("ca", AuthorityKeyFile): 0o600, h.at("a", NodeKeyFile): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	c := n.leaf
	if c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature || len(c.ExtKeyUsage) != 2 {
		t.Errorf("a node may do more than it must: CA %v, usage %b %v", c.IsCA, c.KeyUsage, c.ExtKeyUsage)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	h := newHome(t)
	h.authority("ca", "")
	h.node("ca", "a")
	before := map[string][]byte{}
	for _, path := range []string{h.at("ca", AuthorityFile), h.at("ca", AuthorityKeyFile), h.at("a", NodeFile), h.at("a", NodeKeyFile)} {
		before[path], _ = os.ReadFile(path)
	}
	if err := MakeAuthority(h.at("ca"), "", h.now); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("an authority again: %v", err)
	}
	if err := MakeNode("a", nil, h.at("ca"), h.at("a"), h.now); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("a node again: %v", err)
	}
	for path, b := range before {
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
			t.Errorf("%s was changed", path)
		}
	}
	// What stands in the way of the second file leaves nothing of the first.
	if err := os.Remove(h.at("a", NodeKeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := MakeNode("a", nil, h.at("ca"), h.at("a"), h.now); err == nil {
		t.Error("a node over a certificate")
	}
	if _, err := os.Stat(h.at("a", NodeKeyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was left: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(h *home)
		says  string
	}{
		"nothing there":      {func(h *home) { _ = os.RemoveAll(h.at("a")) }, "no such file"},
		"no key":             {func(h *home) { _ = os.Remove(h.at("a", NodeKeyFile)) }, "node.key: no such file"},
		"open key":           {func(h *home) { _ = os.Chmod(h.at("a", NodeKeyFile), 0o644) }, "chmod 600"},
		"another's name":     {func(h *home) { h.node("ca", "b"); h.copy("b", "a", NodeFile, NodeKeyFile) }, `is of the node "b"; this one is "a"`},
		"another's key":      {func(h *home) { h.node("ca", "b"); h.copy("b", "a", NodeKeyFile) }, "isn't the key of node.crt"},
		"another authority":  {func(h *home) { h.authority("other", ""); h.copy("other", "a", AuthorityFile) }, "isn't of the authority"},
		"expired":            {func(h *home) { h.now = h.now.AddDate(2, 0, 1) }, "node.crt: expired on"},
		"authority expired":  {func(h *home) { h.now = h.now.AddDate(10, 0, 1) }, "ca.crt: expired on"},
		"a clock far behind": {func(h *home) { h.now = h.now.AddDate(-1, 0, 0) }, "clock"},
		"no certificate":     {func(h *home) { h.write("a", NodeFile, "hello") }, "no certificate in PEM"},
		"no key in the key":  {func(h *home) { h.write("a", NodeKeyFile, "hello") }, "no private key"},
		"key in the bundle":  {func(h *home) { h.append("a", NodeKeyFile, "a", AuthorityFile) }, "PRIVATE KEY beside"},
		"two clusters":       {func(h *home) { h.authority("other", ""); h.append("other", AuthorityFile, "a", AuthorityFile) }, "of two clusters"},
		"a node for a CA":    {func(h *home) { h.copyAs("a", NodeFile, "a", AuthorityFile) }, "isn't an authority"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.authority("ca", "")
			h.node("ca", "a")
			c.spoil(h)
			_, err := Load(h.at("a"), "a", h.now)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v; want one line with %q", err, c.says)
			}
		})
	}
}

func (h *home) write(dir, name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.at(dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) read(dir, name string) string {
	h.t.Helper()
	b, err := os.ReadFile(h.at(dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

func (h *home) copyAs(from, file, to, as string) { h.t.Helper(); h.write(to, as, h.read(from, file)) }

func (h *home) copy(from, to string, files ...string) {
	h.t.Helper()
	for _, file := range files {
		h.copyAs(from, file, to, file)
	}
}

func (h *home) append(from, file, to, as string) {
	h.t.Helper()
	h.write(to, as, h.read(to, as)+h.read(from, file))
}

func TestMakeNodeRefuses(t *testing.T) {
	h := newHome(t)
	h.authority("ca", "")
	h.authority("other", "")
	for _, c := range []struct {
		name, authority, says string
		hosts                 []string
	}{
		{"a b", "ca", "1 to 32", nil},
		{"", "ca", "1 to 32", nil},
		{"a", "nowhere", "no such file", nil},
		{"a", "ca", "without a port", []string{"a.example:6222"}},
		{"a", "ca", "without a port", []string{"*.example"}},
		{"a", "ca", "without a port", []string{""}},
	} {
		if err := MakeNode(c.name, c.hosts, h.at(c.authority), h.at("x"), h.now); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	h.copy("other", "ca", AuthorityKeyFile)
	if err := MakeNode("a", nil, h.at("ca"), h.at("x"), h.now); err == nil || !strings.Contains(err.Error(), "isn't the certificate of ca.key") {
		t.Errorf("with another's key: %v", err)
	}
	if _, err := os.Stat(h.at("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refusal left a directory: %v", err)
	}
}

// While the authority changes, nodes of the old one and of the new one know each
// other; afterwards the old one's don't get in.
func TestANewAuthority(t *testing.T) {
	h := newHome(t)
	h.authority("old", "")
	h.node("old", "a")
	h.node("old", "b")
	h.authority("new", h.at("old", AuthorityFile))
	h.append("new", AuthorityFile, "a", AuthorityFile) // first: both are trusted everywhere
	h.append("new", AuthorityFile, "b", AuthorityFile)
	shake(t, h.load("a"), h.load("b"), "")
	h.node("new", "c") // then new certificates
	h.append("old", AuthorityFile, "c", AuthorityFile)
	shake(t, h.load("a"), h.load("c"), "")
	shake(t, h.load("c"), h.load("b"), "")
	h.copyAs("new", AuthorityFile, "c", AuthorityFile) // last: the old one isn't trusted any more
	shake(t, h.load("a"), h.load("c"), "certificate")
}

// shake has one node connect to another; says "" means that it must succeed.
func shake(t *testing.T, from, to *Node, says string) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	_ = server.SetDeadline(time.Now().Add(10 * time.Second))
	met := make(chan string, 2)
	note := func(c *x509.Certificate) { met <- c.Subject.CommonName }
	answered := make(chan error, 1)
	go func() {
		s := tls.Server(server, to.TLS(note))
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		_ = server.Close()
		answered <- err
	}()
	config := from.TLS(note)
	config.ServerName = to.Name
	c := tls.Client(client, config)
	_, err := c.Read(make([]byte, 1))
	err = errors.Join(err, <-answered)
	switch {
	case says == "" && (err != nil || len(met) != 2):
		t.Errorf("%s to %s: %v, %d met", from.Name, to.Name, err, len(met))
	case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
		t.Errorf("%s to %s: %v; want %q", from.Name, to.Name, err, says)
	}
}

// What a node tells of itself reaches the other in both directions, and either may turn
// the other away by it.
func TestARouteTellsMore(t *testing.T) {
	h := newHome(t)
	h.authority("ca", "")
	h.node("ca", "a")
	h.node("ca", "b")
	a, b := h.load("a"), h.load("b")
	for _, refuses := range []string{"", "a", "b"} {
		var mu sync.Mutex
		heard := map[string]string{} // by who heard it
		route := func(n *Node, says string) *tls.Config {
			return n.Route(func() []byte { return []byte(says) }, func(c *x509.Certificate, told []byte) error {
				mu.Lock()
				defer mu.Unlock()
				heard[n.Name] = c.Subject.CommonName + " " + string(told)
				if refuses == n.Name {
					return errors.New("turned away")
				}
				return nil
			})
		}
		client, server := net.Pipe()
		answered := make(chan error, 1)
		go func() {
			s := tls.Server(server, route(b, "I am b"))
			err := s.Handshake()
			if err == nil {
				_, err = s.Write([]byte{1})
			}
			_ = server.Close()
			answered <- err
		}()
		config := route(a, "I am a")
		config.ServerName = "b"
		_, err := tls.Client(client, config).Read(make([]byte, 1))
		_ = client.Close()
		err = errors.Join(err, <-answered)
		if (err == nil) != (refuses == "") || heard["a"] != "b I am b" || refuses != "a" && heard["b"] != "a I am a" {
			t.Errorf("%q refuses: %v; heard %q", refuses, err, heard)
		}
	}
}

func FuzzParse(f *testing.F) {
	dir := f.TempDir()
	if err := MakeAuthority(dir, "", time.Now()); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{AuthorityFile, AuthorityKeyFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseCertificates(b); err == nil && len(all) == 0 {
			t.Error("no certificate, and no error")
		}
		if key, err := parseKey(b); err == nil && key.Public() == nil {
			t.Error("no key, and no error")
		}
	})
}
