package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"natter/internal/harness/process"
)

// target is the node under load.
type target struct {
	url, admin string
	pid        int
	node       *process.Node // nil if it was running before
	remove     func()
}

const readyLimit = 60 * time.Second

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
	node, err := process.Start(process.Options{
		Binary: c.Binary, Data: dir, Listen: ports[0], Admin: ports[1],
		Args: append([]string{"--rate-limits=off", "--durability=" + c.Durability}, c.ServeArgs...),
	})
	if err != nil {
		remove()
		return nil, err
	}
	t := &target{url: node.URL(), admin: node.AdminURL(), pid: node.PID(), node: node, remove: remove}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := node.WaitReady(ctx); err != nil {
		t.close()
		return nil, err
	}
	c.say("started a node (%s, process %d)", t.url, t.pid)
	return t, nil
}

func (t *target) close() {
	if t.node != nil {
		_ = t.node.Stop(10 * time.Second) // what it was for has been measured
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

// cost is what the node has used so far. known is false if neither its process
// nor its admin listener was named.
type cost struct {
	known bool
	cpu   time.Duration
	rss   int64
}

func (t *target) cost(ctx context.Context) (cost, error) {
	switch {
	case t.pid > 0:
		cpu, err := process.CPU(t.pid)
		if err != nil {
			return cost{}, err
		}
		rss, err := process.RSS(t.pid)
		return cost{known: true, cpu: cpu, rss: rss}, err
	case t.admin != "":
		return t.metrics(ctx)
	}
	return cost{}, nil
}

func (t *target) metrics(ctx context.Context) (cost, error) {
	res, err := get(ctx, t.admin+"/metrics")
	if err != nil {
		return cost{}, err
	}
	defer res.Body.Close()
	c := cost{known: true}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "process_cpu_seconds_total":
			c.cpu = time.Duration(v * float64(time.Second))
		case "process_resident_memory_bytes":
			c.rss = int64(v)
		}
	}
	if c.rss == 0 {
		return cost{}, errors.New("the admin listener's /metrics don't tell the process's cost")
	}
	return c, lines.Err()
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
