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

// run runs the nodes until a signal, or until one of them ends by itself: then it
// stops the others.
func run(natter, dir string, args []string) error {
	if err := certify(dir); err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var screen sync.Mutex
	ended := make(chan error, len(names))
	var nodes []*exec.Cmd
	var all []error
	for i, name := range names {
		cmd := exec.Command(natter, append(settings(dir, i), args...)...)
		// Its own group: Ctrl-C is passed on below, once.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, in := io.Pipe()
		cmd.Stdout, cmd.Stderr = in, in
		go prefix(&screen, name, out)
		if err := cmd.Start(); err != nil {
			all = append(all, fmt.Errorf("%s: %w", name, err))
			break
		}
		nodes = append(nodes, cmd)
		go func() {
			err := cmd.Wait()
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			ended <- err
		}()
	}
	fmt.Printf("three nodes: http://127.0.0.1:%d  http://127.0.0.1:%d  http://127.0.0.1:%d  (Ctrl-C stops all, once more at once)\n", firstListen, firstListen+2, firstListen+4)
	stop := func() {
		for _, n := range nodes {
			_ = n.Process.Signal(syscall.SIGTERM) // one that has ended doesn't mind
		}
	}
	stopping := len(all) > 0
	if stopping {
		stop()
	}
	for left := len(nodes); left > 0; {
		select {
		case <-signals: // a second one ends them at once
			stopping = true
			stop()
		case err := <-ended:
			all = append(all, err)
			left--
			if !stopping {
				stopping = true
				stop()
			}
		}
	}
	return errors.Join(all...)
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
func prefix(screen *sync.Mutex, name string, from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		screen.Lock()
		fmt.Printf("%s | %s\n", name, lines.Text())
		screen.Unlock()
	}
}
