package node

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"natter/certs"
	"natter/config"
)

func TestDoctorSeesTheClustersCertificates(t *testing.T) {
	c := newCluster(t)
	s := c.all[0]
	c.authority("ca2")
	replace := func(dir, name, with string) {
		b, err := os.ReadFile(with)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now()
	good := *s
	for _, f := range []fault{
		{"good ones", func() {}, "cluster_certs", CheckOK, `of the node "a", until `},
		{"the end is near", func() { at = at.AddDate(2, 0, -10) }, "cluster_certs", CheckWarn, "ends in "},
		{"expired", func() { at = at.AddDate(2, 0, 1) }, "cluster_certs", CheckFail, "node.crt: expired on"},
		{"a clock far behind", func() { at = at.AddDate(-1, 0, 0) }, "cluster_certs", CheckFail, "clock"},
		{"another node's", func() { s.Name = "z" }, "cluster_certs", CheckFail, `is of the node "a"`},
		{"none", func() { s.ClusterCerts = t.TempDir() }, "cluster_certs", CheckFail, "ca.crt"},
		{"not among the members", func() { s.Cluster = []string{"b.example:1", "c.example:1", "d.example:1"} }, "cluster_certs", CheckFail, "lists no address of this node"},
		{"another authority", func() {
			s.ClusterCerts = c.certify("ca", "a", "wrong")
			replace(s.ClusterCerts, certs.AuthorityFile, filepath.Join(c.dir, "ca2", certs.AuthorityFile))
		}, "cluster_certs", CheckFail, "isn't of the authority"},
		{"a key that others read", func() {
			s.ClusterCerts = c.certify("ca", "a", "open")
			if err := os.Chmod(filepath.Join(s.ClusterCerts, certs.NodeKeyFile), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "cluster_certs", CheckFail, "others on this machine may read it"},
	} {
		*s, at = good, time.Now()
		f.plant()
		f.finds(t, visit(s, func(e *examination) { e.now = at; e.certificates() }))
	}
}

func TestDoctorSeesTheFrontsCertificate(t *testing.T) {
	c := newCluster(t)
	own := filepath.Join(c.dir, "front")
	if err := certs.MakeNode("front", []string{"chat.example"}, filepath.Join(c.dir, "ca"), own, time.Now()); err != nil {
		t.Fatal(err)
	}
	good := *config.Defaults()
	good.TLSCert, good.TLSKey = filepath.Join(own, certs.NodeFile), filepath.Join(own, certs.NodeKeyFile)
	good.PublicURL, good.Advertise = "https://chat.example", "https://chat.example:8443"
	at := time.Now()
	s := good
	for _, f := range []fault{
		{"a good one", func() {}, "tls_cert", CheckOK, "until "},
		{"of nobody's authority", func() {}, "tls_cert", CheckWarn, "isn't trusted by this machine"},
		{"the end is near", func() { at = at.AddDate(2, 0, -10) }, "tls_cert", CheckWarn, "ends in "},
		{"expired", func() { at = at.AddDate(2, 0, 1) }, "tls_cert", CheckFail, "expired on"},
		{"a clock far behind", func() { at = at.AddDate(-1, 0, 0) }, "tls_cert", CheckFail, "is valid from"},
		{"another address for all", func() { s.PublicURL = "https://else.example" }, "tls_cert", CheckFail, "else.example, where public_url"},
		{"another address of its own", func() { s.Advertise = "https://10.0.0.1" }, "tls_cert", CheckFail, "10.0.0.1, where advertise"},
		{"no file", func() { s.TLSCert += "-not" }, "tls_cert", CheckFail, "no such file"},
		{"another's key", func() { s.TLSKey = filepath.Join(c.all[0].ClusterCerts, certs.NodeKeyFile) }, "tls_cert", CheckFail, "private key"},
	} {
		s, at = good, time.Now()
		f.plant()
		f.finds(t, visit(&s, func(e *examination) { e.now = at; e.certificates() }))
	}
}

// route proves itself as a member's route does, or says a line where there is no proof.
func route(t *testing.T, address, line string, proves *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if proves == nil {
			_, _ = io.WriteString(conn, line) // the doctor may have left
			return
		}
		_, _ = io.Copy(io.Discard, tls.Server(conn, proves)) // until the doctor leaves, or is refused
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

func TestDoctorMeetsTheOthers(t *testing.T) {
	c := newCluster(t)
	c.authority("ca2")
	proof := func(authority, name, dir string) *tls.Config {
		own, err := certs.Load(c.certify(authority, name, dir), name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return own.TLS(func(*x509.Certificate) {})
	}
	refuses := proof("ca", "b", "refuses")
	refuses.ClientCAs, refuses.VerifyConnection = proof("ca2", "x", "x").ClientCAs, nil
	far := func(e *examination) { e.now = time.Now().AddDate(2, 0, -10) }
	for _, one := range []struct {
		line   string
		proves *tls.Config
		change func(*examination)
		fault
	}{
		{"", proof("ca", "b", "b1"), nil, fault{"a member", nil, "", CheckOK, `is "b", and each takes the other's`}},
		{"", proof("ca", "b", "b2"), far, fault{"whose certificate ends", nil, "", CheckWarn, "certificate ends on"}},
		{"", proof("ca", "a", "a2"), nil, fault{"of this node's name", nil, "", CheckFail, `is a node "a", as this one is`}},
		{"", proof("ca2", "b", "b3"), nil, fault{"of another authority", nil, "", CheckFail, "doesn't prove that it is a member"}},
		{"", refuses, nil, fault{"that refuses this node", nil, "", CheckFail, "doesn't take this node's certificate"}},
		{"SSH-2.0-x\r\n", nil, nil, fault{"something else", nil, "", CheckFail, "doesn't prove that it is a member"}},
		{"", nil, nil, fault{"that says nothing", nil, "", CheckFail, "doesn't prove that it is a member"}},
	} {
		s := *c.all[0]
		s.Cluster = []string{s.ClusterListen, freeAddress(t), freeAddress(t)}
		route(t, s.Cluster[1], one.line, one.proves)
		checks := visit(&s, (*examination).certificates, func(e *examination) {
			if one.change != nil {
				one.change(e)
			}
			e.peers(t.Context())
		})
		one.name = "member " + s.Cluster[1]
		one.finds(t, checks)
		(&fault{one.what + ", and one that is down", nil, "member " + s.Cluster[2], CheckWarn, "isn't reached"}).finds(t, checks)
	}
}
