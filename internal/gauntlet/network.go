//go:build linux

package gauntlet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// lan is a network of the run's own: a namespace for each node and one for the
// people, on one bridge.
//
//	hub 10.77.0.254 ── bridge ─┬─ veth ─ 10.77.0.1 a
//	   (people dial from here) ├─ veth ─ 10.77.0.2 b
//	                           └─ veth ─ 10.77.0.3 c
//
// The namespaces have no names: each lives as long as a descriptor of ours or a
// process in it, so that nothing is left behind however the run ends. A line is cut
// by a route to nowhere, in one direction.
type lan struct {
	hub    *space
	spaces []*space
}

// space is a network namespace.
type space struct {
	ip string
	ns *os.File
}

// lanUsable tells why this machine can't have one, nil if it can.
func lanUsable() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return fmt.Errorf("network namespaces need iproute2: %w", err)
	}
	s, err := newSpace("")
	if err != nil {
		return fmt.Errorf("network namespaces: %w", err)
	}
	return s.ns.Close()
}

func newLAN(ctx context.Context, n int) (_ *lan, err error) {
	l := &lan{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.hub, err = newSpace("10.77.0.254"); err != nil {
		return nil, err
	}
	err = l.hub.run(ctx, "link set lo up", "link add br0 type bridge", "addr add 10.77.0.254/24 dev br0", "link set br0 up")
	for i := range n {
		if err != nil {
			return nil, err
		}
		var s *space
		if s, err = newSpace(fmt.Sprintf("10.77.0.%d", i+1)); err != nil {
			return nil, err
		}
		l.spaces = append(l.spaces, s)
		port := fmt.Sprintf("port%d", i)
		err = l.hub.run(ctx, fmt.Sprintf("link add %s type veth peer name eth0 netns /proc/%d/fd/%d", port, os.Getpid(), s.ns.Fd()),
			"link set "+port+" master br0", "link set "+port+" up")
		if err == nil {
			err = s.run(ctx, "link set lo up", "addr add "+s.ip+"/24 dev eth0", "link set eth0 up")
		}
	}
	return l, err
}

// newSpace makes a namespace.
func newSpace(ip string) (*space, error) {
	s := &space{ip: ip}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		var err error
		s.ns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return s, err
}

// onThread runs do on a thread that is not used again.
func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- do()
	}()
	return <-done
}

// enter takes the calling thread into the namespace.
func (s *space) enter() error {
	if err := unix.Setns(int(s.ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// run runs commands of ip in the namespace.
func (s *space) run(ctx context.Context, commands ...string) error {
	return onThread(func() error {
		if err := s.enter(); err != nil {
			return err
		}
		for _, c := range commands {
			if out, err := exec.CommandContext(ctx, "ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
		}
		return nil
	})
}

// dial opens a connection from the hub. The address must be an IP's.
func (l *lan) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = onThread(func() (err error) {
		if err = l.hub.enter(); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
		}
		return err
	})
	return conn, err
}

// cut lets nothing pass from one node to another; heal lets it pass again.
func (l *lan) cut(ctx context.Context, from, to int) error {
	return l.spaces[from].run(ctx, "route replace blackhole "+l.spaces[to].ip+"/32")
}

func (l *lan) heal(ctx context.Context, from, to int) error {
	return l.spaces[from].run(ctx, "route del blackhole "+l.spaces[to].ip+"/32")
}

func (l *lan) close() {
	for _, s := range append(l.spaces, l.hub) {
		if s != nil && s.ns != nil {
			_ = s.ns.Close()
		}
	}
}
