package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"natter/internal/harness/process"
)

// node is one node under load.
type node struct {
	name       string // in its cluster; empty alone
	url, admin string
	pid        int
	process    *process.Node // nil if it was running before
	opts       process.Options
	ready      time.Duration // from its last start until it was ready
}

// newNode is a node that isn't started.
func newNode(opts process.Options) *node {
	return &node{url: "http://" + opts.Listen, admin: "http://" + opts.Admin, opts: opts}
}

// joined is the running node that c names.
func joined(c *Config) *node {
	return &node{url: strings.TrimRight(c.URL, "/"), admin: strings.TrimRight(c.Admin, "/"), pid: c.PID}
}

// start starts the process and waits until it is ready.
func (n *node) start(ctx context.Context) error {
	began := time.Now()
	p, err := process.Start(n.opts)
	if err != nil {
		return err
	}
	n.process, n.pid = p, p.PID()
	if err := p.WaitReady(ctx); err != nil {
		p.Kill()
		return err
	}
	n.ready = time.Since(began)
	return nil
}

// kill ends it as a crash would; one that has ended doesn't mind.
func (n *node) kill() {
	if n.process != nil {
		n.process.Kill()
	}
}

func (n *node) ended() error {
	if n.process == nil {
		return nil
	}
	select {
	case <-n.process.Ended():
		return fmt.Errorf("the node %s ended under the load\n%s", n.url, n.process.Tail())
	default:
		return nil
	}
}

// profileName is the file of a node's profile: of cpu.pprof, cpu-a.pprof.
func profileName(file, name string) string {
	if name == "" {
		return file
	}
	ext := filepath.Ext(file)
	return strings.TrimSuffix(file, ext) + "-" + name + ext
}

func (n *node) profile(ctx context.Context, file string, d time.Duration) error {
	if n.admin == "" {
		return errors.New("needs the node's --admin-url")
	}
	res, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", n.admin, max(int(d.Seconds()), 1)))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s answered %s", url, res.Status)
	}
	return res, nil
}
