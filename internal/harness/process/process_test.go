package process

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is a stand-in for natter: a shell script.
func program(t *testing.T, script string) Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "natter")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	if ports[0] == ports[1] {
		t.Fatal("one port twice")
	}
	return Options{Binary: path, Data: t.TempDir(), Listen: ports[0], Admin: ports[1]}
}

// TestEndBeforeReady: a node that can't start is told at once, with its words.
func TestEndBeforeReady(t *testing.T) {
	n, err := Start(program(t, "echo the data directory is locked >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.WaitReady(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "locked") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("waiting ended with %v", err)
	}
}

// TestStop: a node that doesn't stop when asked is killed and told of.
func TestStop(t *testing.T) {
	n, err := Start(program(t, "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	wait(t, n, "up")
	if cpu, err := CPU(n.PID()); err != nil || cpu < 0 {
		t.Error(cpu, err)
	}
	if rss, err := RSS(n.PID()); err != nil || rss <= 0 {
		t.Error(rss, err)
	}
	if err := n.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	n, err = Start(program(t, "trap '' TERM; echo up; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	wait(t, n, "up")
	if err := n.Stop(50 * time.Millisecond); err == nil {
		t.Error("it stopped")
	}
	select {
	case <-n.Ended():
	default:
		t.Error("it lives")
	}
}

func wait(t *testing.T, n *Node, word string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(n.Tail(), word) {
		select {
		case <-tick.C:
		case <-n.Ended():
			t.Fatal("it ended")
		}
	}
}

// TestRun: another program's output and end are its caller's.
func TestRun(t *testing.T) {
	var out strings.Builder
	cmd := exec.Command(program(t, "echo $1; exit $2").Binary, "fine", "0")
	cmd.Stdout = &out
	if err := Run(cmd); err != nil || out.String() != "fine\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := Run(exec.Command(program(t, "exit $1").Binary, "3")); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a failure is %v", err)
	}
}

// TestListening: where a process listens is found, and nothing else.
func TestListening(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		l, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
		if err != nil {
			t.Logf("not over %s here: %v", network, err)
			continue
		}
		c, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		all, err := Listening(os.Getpid())
		if err != nil || !slices.Contains(all, l.Addr().String()) || slices.Contains(all, c.LocalAddr().String()) {
			t.Errorf("it listens at %q, %v; want %s among them", all, err, l.Addr())
		}
		_ = c.Close()
		_ = l.Close()
		if all, err := Listening(os.Getpid()); err != nil || slices.Contains(all, l.Addr().String()) {
			t.Errorf("closed, it listens at %q, %v", all, err)
		}
	}
}
