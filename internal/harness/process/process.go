// Package process runs a natter node as a process of the operating system:
// start, ready, stop, kill, what it costs. It doesn't know testing; the harness
// and the benchmark stand on it.
//
// Every process has one goroutine, which waits for its end, and dies with its
// parent where the system offers that.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Options say what to run. Those up to Admin are needed.
type Options struct {
	Binary string    // the natter program
	Data   string    // its data directory
	Listen string    // host:port
	Admin  string    // host:port of metrics
	Args   []string  // more arguments of `natter serve`
	Env    []string  // more of the environment, each as NAME=value
	Log    io.Writer // gets what it says; nil throws it away
	Races  string    // where a program with the race detector writes its reports, see Races; empty: into what it says

	// Enter, if not nil, is called on the thread that starts the process: what it
	// changes of the thread alone, as its network namespace, the process has too.
	// The thread isn't used again.
	Enter func() error
	// Dial reaches the node's addresses, for WaitReady; nil is the plain way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Node is a running natter. Its methods are safe for concurrent use.
type Node struct {
	opts  Options
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; after ended is closed

	mu   sync.Mutex
	tail bytes.Buffer // the last of what it said, for errors
}

// FreePorts are n loopback ports that were free a moment ago.
func FreePorts(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// Start starts a node and returns when the process runs, which is before it is
// ready. Whoever starts it must Stop or Kill it.
func Start(opts Options) (*Node, error) {
	args := append([]string{"serve", "--listen", opts.Listen, "--data", opts.Data, "--admin", opts.Admin}, opts.Args...)
	n := &Node{opts: opts, cmd: exec.Command(opts.Binary, args...), ended: make(chan struct{})}
	n.cmd.Env = append(os.Environ(), opts.Env...)
	if opts.Races != "" {
		n.cmd.Env = append(n.cmd.Env, raceOptions(opts.Races))
	}
	n.cmd.Stdout, n.cmd.Stderr = n, n
	n.cmd.WaitDelay = 5 * time.Second
	dieWithParent(n.cmd)
	started := make(chan error)
	go func() {
		// The kernel ties "die with the parent" to the thread that started it.
		runtime.LockOSThread()
		var err error
		if opts.Enter != nil {
			err = opts.Enter()
		}
		if err == nil {
			err = n.cmd.Start()
		}
		started <- err
		if err == nil {
			n.err = n.cmd.Wait()
			close(n.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", opts.Binary, err)
	}
	return n, nil
}

// Run runs another program to its end, as a child that dies with this process.
func Run(cmd *exec.Cmd) error {
	dieWithParent(cmd)
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // as in Start
		ended <- cmd.Run()
	}()
	return <-ended
}

const tailBytes = 16 << 10

// Write takes what the process says; exec calls it.
func (n *Node) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tail.Len() > tailBytes {
		n.tail.Next(n.tail.Len() - tailBytes/2)
	}
	n.tail.Write(p)
	if n.opts.Log != nil {
		return n.opts.Log.Write(p)
	}
	return len(p), nil
}

// Tail is the last of what it said.
func (n *Node) Tail() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tail.String()
}

// URL is the node's address for clients.
func (n *Node) URL() string { return "http://" + n.opts.Listen }

// AdminURL is the address of its metrics.
func (n *Node) AdminURL() string { return "http://" + n.opts.Admin }

// PID is the process's number.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (n *Node) Ended() <-chan struct{} { return n.ended }

// WaitReady waits until the node may take traffic. It fails at once when the
// process ends.
func (n *Node) WaitReady(ctx context.Context) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: n.opts.Dial}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("not asked yet")
	for {
		select {
		case <-n.ended:
			return fmt.Errorf("the node ended before it was ready: %v\n%s", n.err, n.Tail())
		case <-ctx.Done():
			return fmt.Errorf("the node was not ready in time (%v): %w\n%s", last, ctx.Err(), n.Tail())
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			last = err
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return nil
		}
		last = fmt.Errorf("readyz answered %s", res.Status)
	}
}

// Kill ends the process at once, as a crash would, and waits for its end.
func (n *Node) Kill() {
	_ = n.cmd.Process.Kill() // an error means that it has ended already
	<-n.ended
}

// Signal sends the process a signal, as SIGSTOP and SIGCONT. An error means that
// it has ended.
func (n *Node) Signal(s syscall.Signal) error { return n.cmd.Process.Signal(s) }

// Killed tells whether SIGKILL ended it. It waits for its end.
func (n *Node) Killed() bool {
	<-n.ended
	status, ok := n.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// ExitCode is what it ended with, -1 if a signal ended it. It waits for its end.
func (n *Node) ExitCode() int {
	<-n.ended
	return n.cmd.ProcessState.ExitCode()
}

// AskToStop asks the process to end.
func (n *Node) AskToStop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended already
}

// Stop asks the process to end, kills it after patience, and tells how it ended.
func (n *Node) Stop(patience time.Duration) error {
	n.AskToStop()
	select {
	case <-n.ended:
	case <-time.After(patience):
		n.Kill()
		return fmt.Errorf("the node did not stop within %s\n%s", patience, n.Tail())
	}
	if n.err != nil {
		return fmt.Errorf("the node stopped with %w\n%s", n.err, n.Tail())
	}
	return nil
}

// MakeData is a new data directory for a node, and its removal.
func MakeData(pattern string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", pattern)
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
