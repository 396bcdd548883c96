package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"natter/internal/harness/process"
)

// target is the node under load.
type target struct {
	url, admin string
	pid        int
	node       *process.Node // nil if it was running before
	opts       process.Options
	remove     func()
}

const (
	readyLimit = 60 * time.Second
	stopLimit  = 15 * time.Second
)

// open starts a node, or joins the one that Config names.
func (c *Config) open(ctx context.Context) (*target, error) {
	if c.URL != "" {
		c.say("joining %s", c.URL)
		return &target{url: strings.TrimRight(c.URL, "/"), admin: strings.TrimRight(c.Admin, "/"), pid: c.PID, remove: func() {}}, nil
	}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	dir, remove, err := process.MakeData("natter-bench-*")
	if err != nil {
		return nil, err
	}
	t := &target{remove: remove, opts: process.Options{
		Binary: c.Binary, Data: dir, Listen: ports[0], Admin: ports[1],
		Args: append([]string{"--rate-limits=off", "--durability=" + c.Durability, fmt.Sprintf("--max-sockets-per-user=%d", max(c.Sockets+1, 20))}, c.ServeArgs...),
	}}
	if _, err := t.start(ctx); err != nil {
		remove()
		return nil, err
	}
	t.url, t.admin = t.node.URL(), t.node.AdminURL()
	c.say("started a node (%s, process %d)", t.url, t.pid)
	return t, nil
}

// start starts the process and tells how long it took until it was ready.
func (t *target) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	node, err := process.Start(t.opts)
	if err != nil {
		return 0, err
	}
	t.node, t.pid = node, node.PID()
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := node.WaitReady(ctx); err != nil {
		node.Kill()
		return 0, err
	}
	return time.Since(began), nil
}

// restart stops the node, in order or as a crash would, and starts it again.
func (t *target) restart(ctx context.Context, crash bool) (time.Duration, error) {
	if crash {
		t.node.Kill()
	} else if err := t.node.Stop(stopLimit); err != nil {
		return 0, err
	}
	return t.start(ctx)
}

func (t *target) close() {
	if t.node != nil {
		_ = t.node.Stop(stopLimit) // what it was for has been measured
	}
	t.remove()
}

// ended tells why the node is gone, nil while it lives or isn't ours.
func (t *target) ended() error {
	if t.node == nil {
		return nil
	}
	select {
	case <-t.node.Ended():
		return fmt.Errorf("the node ended under the load\n%s", t.node.Tail())
	default:
		return nil
	}
}

// profile writes the node's CPU profile of the next d to a file.
func (t *target) profile(ctx context.Context, file string, d time.Duration) error {
	if t.admin == "" {
		return errors.New("--profile: needs the node's --admin address")
	}
	res, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", t.admin, max(int(d.Seconds()), 1)))
	if err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	defer res.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("--profile: %w", err)
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
