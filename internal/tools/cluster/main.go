// Command cluster runs three natters on this machine as one cluster, until
// Ctrl-C: what `make cluster` does. Their data and certificates are in a directory
// that stays, so that the next run goes on with it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"natter/certs"
)

const (
	firstListen = 8080 // then 8082 and 8084; the admin's are the ports between
	firstRoute  = 6222
)

var names = []string{"a", "b", "c"}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: cluster NATTER DIR [flags of natter serve]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run runs the nodes until a signal. One that is drained or killed leaves the others
// alone, and begins again at Enter; one that fails stops them all.
func run(natter, dir string, args []string) error {
	if err := certify(dir); err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	enter := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			enter <- struct{}{}
		}
	}()
	c := &cluster{natter: natter, dir: dir, args: args, ended: make(chan end, len(names))}
	for i := range names {
		c.start(i)
	}
	fmt.Printf("three nodes: http://127.0.0.1:%d  http://127.0.0.1:%d  http://127.0.0.1:%d  (Ctrl-C stops all, once more at once)\n", firstListen, firstListen+2, firstListen+4)
	var all []error
	for stopping := false; c.running > 0; {
		select {
		case <-signals: // a second one ends them at once
			stopping = true
			c.stop()
		case <-enter:
			for i := range names {
				if c.nodes[i] == nil && !stopping {
					c.start(i)
				}
			}
		case one := <-c.ended:
			name := names[one.node]
			c.nodes[one.node] = nil
			c.running--
			var exit *exec.ExitError
			switch {
			case stopping && one.err == nil:
			case one.err != nil && (stopping || !errors.As(one.err, &exit) || exit.Exited()):
				all = append(all, fmt.Errorf("%s: %w", name, one.err))
				if !stopping {
					stopping = true
					c.stop()
				}
			case c.running > 0:
				c.say(fmt.Sprintf("%s has stopped, the others go on; Enter starts it again", name))
			}
		}
	}
	return errors.Join(all...)
}

// cluster is the processes.
type cluster struct {
	natter, dir string
	args        []string
	nodes       [3]*exec.Cmd // nil: it doesn't run
	running     int
	ended       chan end
	screen      sync.Mutex
}

// end is a process's.
type end struct {
	node int
	err  error
}

func (c *cluster) start(i int) {
	cmd := exec.Command(c.natter, append(settings(c.dir, i), c.args...)...)
	// Its own group: Ctrl-C is passed on, once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	go c.prefix(names[i], out)
	c.nodes[i] = cmd
	c.running++
	err := cmd.Start()
	go func() {
		if err == nil {
			err = cmd.Wait()
		}
		in.Close()
		c.ended <- end{i, err}
	}()
}

func (c *cluster) stop() {
	for _, n := range c.nodes {
		if n != nil && n.Process != nil {
			_ = n.Process.Signal(syscall.SIGTERM) // one that has ended doesn't mind
		}
	}
}

// settings are a node's flags.
func settings(dir string, i int) []string {
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	var routes []string
	for k := range names {
		routes = append(routes, at(firstRoute+k))
	}
	return []string{"serve", "--name", names[i], "--listen", at(firstListen + 2*i), "--admin", at(firstListen + 2*i + 1),
		"--data", filepath.Join(dir, "data-"+names[i]), "--cluster", strings.Join(routes, ","), "--cluster-listen", routes[i],
		"--cluster-certs", filepath.Join(dir, "certs-"+names[i]), "--log-format", "text"}
}

// certify makes the authority and the certificates that aren't there.
func certify(dir string) error {
	authority := filepath.Join(dir, "ca")
	if _, err := os.Stat(authority); errors.Is(err, fs.ErrNotExist) {
		if err := certs.MakeAuthority(authority, "", time.Now()); err != nil {
			return err
		}
	}
	for _, name := range names {
		own := filepath.Join(dir, "certs-"+name)
		if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
			if err := certs.MakeNode(name, []string{"127.0.0.1"}, authority, own, time.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// prefix copies lines to the screen behind the node's name.
func (c *cluster) prefix(name string, from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		c.say(name + " | " + lines.Text())
	}
}

func (c *cluster) say(line string) {
	c.screen.Lock()
	defer c.screen.Unlock()
	fmt.Println(line)
}
