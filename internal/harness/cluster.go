package harness

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natter/certs"
	"natter/internal/harness/process"
)

// Cluster is several natters on this machine that are one cluster.
type Cluster struct {
	Nodes []*Node // a, b, c…
	// Routes are their route addresses, Certs their directories of certificates.
	Routes, Certs []string
	// Authority is the directory of the cluster's authority.
	Authority string
}

// NewCluster makes a cluster of size nodes with certificates, ports and names of
// their own, and starts none of them.
func NewCluster(t testing.TB, size int, args ...string) *Cluster {
	t.Helper()
	dir := t.TempDir()
	c := &Cluster{Authority: filepath.Join(dir, "ca")}
	if err := certs.MakeAuthority(c.Authority, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	ports, err := process.FreePorts(3 * size)
	if err != nil {
		t.Fatal(err)
	}
	c.Routes = ports[2*size:]
	for i := range size {
		name := string(rune('a' + i))
		own := filepath.Join(dir, "certs-"+name)
		if err := certs.MakeNode(name, []string{"127.0.0.1"}, c.Authority, own, time.Now()); err != nil {
			t.Fatal(err)
		}
		c.Certs = append(c.Certs, own)
		member := []string{"--name=" + name, "--cluster=" + strings.Join(c.Routes, ","), "--cluster-listen=" + c.Routes[i], "--cluster-certs=" + own}
		c.Nodes = append(c.Nodes, newNode(t, Binary(t), filepath.Join(dir, name), ports[2*i], ports[2*i+1], append(member, args...)))
	}
	return c
}

// StartCluster starts a cluster of three and waits until each of them is ready.
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c := NewCluster(t, 3, args...)
	for _, n := range c.Nodes {
		n.Start()
	}
	c.WaitReady()
	return c
}

// Alone is a node alone at the first member's addresses, with a store of its own and
// before its first start: what the cluster may be grown from.
func (c *Cluster) Alone(t testing.TB, args ...string) *Node {
	t.Helper()
	a := c.Nodes[0].opts
	return newNode(t, Binary(t), filepath.Join(filepath.Dir(c.Authority), "alone"), a.Listen, a.Admin, args)
}

// Grow is the command that makes the cluster of a node's store, as the first member,
// by any program; it isn't started.
func (c *Cluster) Grow(binary string, old *Node) *exec.Cmd {
	a := c.Nodes[0].opts
	args := []string{"cluster", "grow", old.Data(), "--listen", a.Listen, "--data", a.Data, "--admin", a.Admin}
	return exec.Command(binary, append(args, a.Args...)...)
}

// WaitReady waits until every node may take traffic, and tells how long it took.
func (c *Cluster) WaitReady() time.Duration {
	began := time.Now()
	for _, n := range c.Nodes {
		n.t.Helper()
		n.WaitReady()
	}
	return time.Since(began)
}

// Node is the one called name.
func (c *Cluster) Node(name string) *Node { return c.Nodes[name[0]-'a'] }

// String lists the nodes' addresses.
func (c *Cluster) String() string {
	var all []string
	for i, n := range c.Nodes {
		all = append(all, fmt.Sprintf("%c %s", 'a'+i, n.URL()))
	}
	return strings.Join(all, ", ")
}
