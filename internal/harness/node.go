package harness

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"natter/internal/harness/process"
)

// ReadyLimit is how long a node may take to be ready. The race detector and two
// shared cores are in it; a usual start is a second.
const ReadyLimit = 60 * time.Second

// StopLimit is how long an orderly stop may take.
const StopLimit = 30 * time.Second

// Node is one natter with its own ports and data, which outlive its process:
// kill it and start it again, and it is the same node.
type Node struct {
	t    testing.TB
	opts process.Options
	log  *nodeLog

	mu  sync.Mutex
	now *process.Node // nil while it is down
}

// StartNode starts a node and waits until it is ready. It is stopped, its log
// is shown if the test failed, and its data is removed when the test ends; a
// data race it reported fails the test. Rate limits are off unless an argument
// turns them on.
func StartNode(t testing.TB, args ...string) *Node {
	t.Helper()
	n := NewNode(t, Binary(t), args...)
	n.Start()
	n.WaitReady()
	return n
}

// NewNode is StartNode for any program, and before its first start.
func NewNode(t testing.TB, binary string, args ...string) *Node {
	t.Helper()
	ports, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	return newNode(t, binary, t.TempDir(), ports[0], ports[1], args)
}

// newNode is a node over dir that isn't started.
func newNode(t testing.TB, binary, dir, listen, admin string, args []string) *Node {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log := &nodeLog{path: filepath.Join(dir, "log")}
	all := []string{"--rate-limits=off"}
	for _, a := range args {
		if strings.HasPrefix(a, "--rate-limits") {
			all = nil
		}
	}
	n := &Node{t: t, log: log, opts: process.Options{
		Binary: binary, Data: filepath.Join(dir, "data"), Listen: listen, Admin: admin,
		Args: append(all, args...), Log: log, Races: filepath.Join(dir, "race"),
	}}
	t.Cleanup(n.end)
	return n
}

// URL is the node's address, the same through its lives.
func (n *Node) URL() string { return "http://" + n.opts.Listen }

// AdminURL is the address of its admin listener.
func (n *Node) AdminURL() string { return "http://" + n.opts.Admin }

// Data is its data directory.
func (n *Node) Data() string { return n.opts.Data }

// Start starts the process, again after Kill or Stop, without waiting.
func (n *Node) Start() {
	n.t.Helper()
	n.StartWith()
}

// StartWith is Start with more in the environment, each as NAME=value.
func (n *Node) StartWith(env ...string) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now != nil {
		n.t.Fatal("the node runs already")
	}
	opts := n.opts
	opts.Env = env
	p, err := process.Start(opts)
	if err != nil {
		n.t.Fatal(err)
	}
	n.now = p
}

// StartAs is Start with another program, or over another data directory, this once; empty
// is its own.
func (n *Node) StartAs(program, data string) {
	n.t.Helper()
	was := n.opts
	n.opts.Binary, n.opts.Data = cmp.Or(program, was.Binary), cmp.Or(data, was.Data)
	n.Start()
	n.opts = was
}

// WaitRefused waits until a node that was started has ended by itself, and returns its
// exit code and the last of what it said.
func (n *Node) WaitRefused() (code int, tail string) {
	n.t.Helper()
	p := n.take()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	select {
	case <-p.Ended():
	case <-time.After(ReadyLimit):
		p.Kill()
		n.t.Fatalf("after %s the node has not ended\n%s", ReadyLimit, p.Tail())
	}
	return p.ExitCode(), p.Tail()
}

// WaitReady waits until the node may take traffic, and tells how long it took.
func (n *Node) WaitReady() time.Duration {
	n.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), ReadyLimit)
	defer cancel()
	if p := n.process(); p == nil {
		n.t.Fatal("the node is down")
	} else if err := p.WaitReady(ctx); err != nil {
		n.t.Fatal(err)
	}
	return time.Since(began)
}

// Kill ends the process at once, as a crash would.
func (n *Node) Kill() {
	n.t.Helper()
	p := n.take()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	select {
	case <-p.Ended():
		n.t.Fatalf("the node ended by itself\n%s", p.Tail())
	default:
	}
	p.Kill()
}

// Freeze has the process stand still, as a machine that hangs: its connections stay.
// Thaw, or the test's end, has it go on.
func (n *Node) Freeze() {
	n.t.Helper()
	n.signal(syscall.SIGSTOP)
	n.t.Cleanup(func() {
		if p := n.process(); p != nil {
			_ = p.Signal(syscall.SIGCONT) // an error means that it has ended
		}
	})
}

// Thaw has a frozen process go on.
func (n *Node) Thaw() {
	n.t.Helper()
	n.signal(syscall.SIGCONT)
}

func (n *Node) signal(s syscall.Signal) {
	n.t.Helper()
	p := n.process()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	if err := p.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// AskToStop asks for an orderly stop, without waiting.
func (n *Node) AskToStop() {
	n.t.Helper()
	p := n.process()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	p.AskToStop()
}

// WaitKilled waits until the process has killed itself, at most until limit, and
// fails the test if it doesn't or ends in any other way. It returns the last of
// what the process said.
func (n *Node) WaitKilled(where string, limit time.Duration) (tail string) {
	n.t.Helper()
	p := n.process()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-p.Ended():
	case <-late.C:
		n.t.Fatalf("after %s the node has not killed itself %s", limit, where)
	}
	n.take()
	if !p.Killed() {
		n.t.Fatalf("the node was to kill itself %s and ended in another way\n%s", where, p.Tail())
	}
	return p.Tail()
}

// Stop stops the node in order; a stop that fails or takes too long fails the test.
func (n *Node) Stop() {
	n.t.Helper()
	p := n.take()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	if err := p.Stop(StopLimit); err != nil {
		n.t.Error(err)
	}
}

// PID is the running process's.
func (n *Node) PID() int {
	n.t.Helper()
	p := n.process()
	if p == nil {
		n.t.Fatal("the node is down")
	}
	return p.PID()
}

func (n *Node) process() *process.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *Node) take() *process.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.now
	n.now = nil
	return p
}

// end is the test's cleanup.
func (n *Node) end() {
	if p := n.take(); p != nil {
		if err := p.Stop(StopLimit); err != nil {
			n.t.Error(err)
		}
	}
	text := n.log.close()
	races, err := process.Races(n.opts.Races)
	if err != nil {
		n.t.Error(err)
	}
	for _, report := range races {
		n.t.Errorf("the node has a data race\n%s", report[:min(len(report), 6000)])
	}
	if i := strings.Index(text, "\npanic: "); i >= 0 {
		n.t.Errorf("the node panicked\n%s", text[i:min(len(text), i+6000)])
	}
	if n.t.Failed() {
		n.t.Logf("the end of the node's log:\n%s", text[max(0, len(text)-8000):])
	}
}

// nodeLog keeps what all lives of a node said, in a file.
type nodeLog struct {
	path string
	mu   sync.Mutex
	file *os.File
}

func (l *nodeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		f, err := os.Create(l.path)
		if err != nil {
			return 0, err
		}
		l.file = f
	}
	return l.file.Write(p)
}

func (l *nodeLog) close() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return ""
	}
	_ = l.file.Close()
	text, _ := os.ReadFile(l.path) // it was just written
	return string(text)
}
