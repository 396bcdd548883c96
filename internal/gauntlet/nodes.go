//go:build linux

package gauntlet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"natter/internal/harness/process"
	"natter/internal/lossfs"
)

const (
	readyLimit = 90 * time.Second // from the start of a process; race detector and shared cores are in it
	stopLimit  = 60 * time.Second
)

// node is one natter. It outlives its processes: killed and started again, it has
// the same name, addresses and data. It belongs to the scenario's goroutine.
type node struct {
	name string
	opts process.Options
	log  *os.File
	disk *lossfs.FS // what data lies on; nil is the machine's own
	now  *process.Node
}

func (n *node) url() string { return "http://" + n.opts.Listen }

// start starts the process, without waiting for more.
func (n *node) start() error {
	if n.now != nil {
		return fmt.Errorf("node %s runs already", n.name)
	}
	p, err := process.Start(n.opts)
	if err == nil {
		n.now = p
	}
	return err
}

// ready waits until the node may take traffic.
func (n *node) ready(ctx context.Context) error {
	if n.now == nil {
		return fmt.Errorf("node %s is down", n.name)
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := n.now.WaitReady(ctx); err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	return nil
}

// kill ends the process as a crash would.
func (n *node) kill() error {
	if err := n.lives(); err != nil {
		return err
	}
	n.now.Kill()
	n.now = nil
	return nil
}

// stop ends the process in order.
func (n *node) stop() error {
	if err := n.lives(); err != nil {
		return err
	}
	p := n.now
	n.now = nil
	if err := p.Stop(stopLimit); err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	return nil
}

// freeze stops the process's clock, so to say; thaw lets it go on.
func (n *node) freeze() error { return n.signal(syscall.SIGSTOP) }
func (n *node) thaw() error   { return n.signal(syscall.SIGCONT) }

func (n *node) signal(s syscall.Signal) error {
	if err := n.lives(); err != nil {
		return err
	}
	return n.now.Signal(s)
}

// lives tells why the node is not as the scenario left it.
func (n *node) lives() error {
	if n.now == nil {
		return fmt.Errorf("node %s is down", n.name)
	}
	select {
	case <-n.now.Ended():
		return fmt.Errorf("node %s ended by itself\n%s", n.name, n.now.Tail())
	default:
		return nil
	}
}

// cluster is all nodes.
type cluster struct {
	nodes  []*node
	dir    string // of data and logs
	binary string
	lan    *lan // nil over loopback
	http   *http.Client
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	alone  atomic.Bool     // there is only the first node so far,
	member process.Options // which is to be this
}

// newCluster prepares n nodes in dir: those of a scenario with lines to cut in a
// network of their own, those that lose power each on a disk that forgets.
func newCluster(ctx context.Context, binary, dir string, n int, s *Scenario) (_ *cluster, err error) {
	c := &cluster{dir: dir, binary: binary, dial: new(net.Dialer).DialContext}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.end(false))
		}
	}()
	if s.Network {
		if c.lan, err = newLAN(ctx, n); err != nil {
			return nil, err
		}
		c.dial = c.lan.dial
	}
	c.http = &http.Client{Timeout: 20 * time.Second, Transport: c.transport()}
	addresses, err := c.addresses(n)
	if err != nil {
		return nil, err
	}
	for i := range n {
		one := &node{name: string(rune('a' + i))}
		c.nodes = append(c.nodes, one)
		if one.log, err = os.Create(filepath.Join(dir, "log-"+one.name)); err != nil {
			return nil, err
		}
		one.opts = process.Options{
			Binary: binary, Data: filepath.Join(dir, "data-"+one.name), Listen: addresses[i].listen, Admin: addresses[i].admin,
			Args: append(slices.Clone(s.Args), "--rate-limits=off", "--name="+one.name, "--heartbeat=5s", "--insecure=on", "--max-sockets-per-user=1000"),
			Log:  &locked{to: one.log}, Dial: c.dial, Races: filepath.Join(dir, "race-"+one.name),
		}
		if c.lan != nil {
			one.opts.Enter = c.lan.spaces[i].enter
		}
		if s.Disks {
			if one.disk, err = lossfs.Mount(filepath.Join(dir, "disk-"+one.name), lossfs.Journaled); err != nil {
				return nil, err
			}
			one.opts.Data = filepath.Join(one.disk.Dir, "data")
		}
	}
	plain := c.nodes[0].opts
	if n > 1 {
		err = c.join(ctx, addresses)
	}
	if s.Alone {
		c.standAlone(plain)
	}
	return c, err
}

// transport reaches the nodes over a connection for each request, so that none of
// them knows a device by its connection.
func (c *cluster) transport() *http.Transport {
	return &http.Transport{DialContext: c.dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}
}

// address is where a node listens.
type address struct{ listen, admin, route string }

func (c *cluster) addresses(n int) ([]address, error) {
	all := make([]address, n)
	if c.lan != nil {
		for i, s := range c.lan.spaces {
			all[i] = address{s.ip + ":8080", s.ip + ":8081", s.ip + ":6222"}
		}
		return all, nil
	}
	ports, err := freePorts(3 * n)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i] = address{ports[3*i], ports[3*i+1], ports[3*i+2]}
	}
	return all, nil
}

// freePorts are loopback ports below those that the system gives to outgoing
// connections: a node that is down for a while finds its own still free.
func freePorts(n int) ([]string, error) {
	var ports []string
	taken := map[int]bool{}
	for try := 0; len(ports) < n && try < 100*n; try++ {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil || taken[port] {
			continue
		}
		taken[port] = true
		defer l.Close() // all at the end, so that they differ
		ports = append(ports, l.Addr().String())
	}
	if len(ports) < n {
		return nil, errors.New("no free ports")
	}
	return ports, nil
}

// begin starts all nodes, or the one there is so far, and waits until they are ready.
func (c *cluster) begin(ctx context.Context) error {
	if !c.alone.Load() {
		return c.startAll(ctx)
	}
	return errors.Join(c.nodes[0].start(), c.nodes[0].ready(ctx))
}

// startAll starts every node that is down and waits until all are ready.
func (c *cluster) startAll(ctx context.Context) error {
	for _, n := range c.nodes {
		if n.now == nil {
			if err := n.start(); err != nil {
				return err
			}
		}
	}
	for _, n := range c.nodes {
		if err := n.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// killAll ends all nodes in one moment.
func (c *cluster) killAll() error {
	for _, n := range c.nodes {
		_ = n.freeze() // kill tells if it isn't there
	}
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.kill())
	}
	return errors.Join(errs...)
}

// stopAll stops every node that runs, all at once, in order.
func (c *cluster) stopAll() error {
	errs := make([]error, len(c.nodes))
	var all sync.WaitGroup
	for i, n := range c.nodes {
		if n.now != nil {
			all.Go(func() { errs[i] = n.stop() })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// lives tells which node that should run doesn't.
func (c *cluster) lives() error {
	var errs []error
	for _, n := range c.nodes {
		if n.now != nil {
			errs = append(errs, n.lives())
		}
	}
	return errors.Join(errs...)
}

// cries tells what nodes said that none should ever say.
func (c *cluster) cries() error {
	var errs []error
	for _, n := range c.nodes {
		text, err := os.ReadFile(n.log.Name())
		errs = append(errs, err)
		for _, cry := range []string{"\npanic: ", "\nfatal error: "} {
			if i := bytes.Index(text, []byte(cry)); i >= 0 {
				errs = append(errs, fmt.Errorf("node %s: %s", n.name, text[i:min(len(text), i+4000)]))
			}
		}
		races, err := process.Races(n.opts.Races)
		errs = append(errs, err)
		for _, report := range races {
			errs = append(errs, fmt.Errorf("node %s: %s", n.name, report))
		}
	}
	return errors.Join(errs...)
}

// end ends what is left, at once. The data stays, but for what lay on disks that
// forget: keep copies that to where it would have lain.
func (c *cluster) end(keep bool) error {
	var errs []error
	for _, n := range c.nodes {
		if n.now != nil {
			n.now.Kill() // a frozen one too
			n.now = nil
		}
		if n.disk != nil {
			if keep {
				errs = append(errs, os.CopyFS(filepath.Join(c.dir, "data-"+n.name), os.DirFS(n.opts.Data)))
			}
			errs = append(errs, n.disk.Unmount())
		}
		if n.log != nil {
			errs = append(errs, n.log.Close())
		}
	}
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	if c.lan != nil {
		c.lan.close()
	}
	return errors.Join(errs...)
}

// locked is a file that several lives of a node write to.
type locked struct {
	mu sync.Mutex
	to *os.File
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}
