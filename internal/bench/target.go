package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"natter/internal/harness/process"
)

// target is what is under load: one node, or the three of a cluster.
type target struct {
	nodes   []*node // at least one
	cluster *ClusterResult
	remove  func()
}

const (
	readyLimit = 60 * time.Second
	// stopLimit is beyond shutdown_grace: the last of a cluster to stop uses all of it.
	stopLimit = 30 * time.Second
)

// open starts a node or a cluster, or joins the node that Config names.
func (c *Config) open(ctx context.Context) (*target, error) {
	if c.URL != "" {
		c.say("joining %s", c.URL)
		return &target{nodes: []*node{joined(c)}, remove: func() {}}, nil
	}
	dir, remove, err := process.MakeData("natter-bench-*")
	if err != nil {
		return nil, err
	}
	t := &target{remove: remove}
	if c.Nodes > 1 {
		err = t.makeCluster(c, dir)
	} else {
		err = t.makeNode(c, dir)
	}
	var took time.Duration
	if err == nil {
		took, err = t.start(ctx)
	}
	if err != nil {
		remove()
		return nil, err
	}
	for _, n := range t.nodes {
		c.say("started a node (%s, process %d)", n.url, n.pid)
	}
	if t.cluster != nil {
		t.cluster.ReadySeconds = took.Seconds()
		for i, n := range t.nodes {
			t.cluster.Nodes[i].ReadySeconds = n.ready.Seconds()
		}
	}
	return t, nil
}

func (t *target) makeNode(c *Config, dir string) error {
	ports, err := process.FreePorts(2)
	if err != nil {
		return err
	}
	t.nodes = []*node{newNode(process.Options{Binary: c.Binary, Data: dir, Listen: ports[0], Admin: ports[1], Args: c.serveArgs()})}
	return nil
}

// serveArgs are the settings of every node that is started here.
func (c *Config) serveArgs() []string {
	return append([]string{"--rate-limits=off", "--durability=" + c.Durability, fmt.Sprintf("--max-sockets-per-user=%d", max(c.Sockets+1, 20))}, c.ServeArgs...)
}

// url is where the i-th person is at home: they are spread over the nodes in
// turn, so that those who share a room are on different ones.
func (t *target) url(i int) string { return t.nodes[i%len(t.nodes)].url }

// ours tells whether the processes were started here, and may be stopped.
func (t *target) ours() bool { return t.nodes[0].process != nil }

// start starts every process at once and tells how long it took until all were
// ready. When one can't be, the others are ended, and its error is the answer.
func (t *target) start(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	began := time.Now()
	var failed atomic.Pointer[error]
	t.all(func(n *node) {
		if err := n.start(ctx); err != nil {
			failed.CompareAndSwap(nil, &err) // before the others fail of it
			cancel()
		}
	})
	if err := failed.Load(); err != nil {
		t.all((*node).kill)
		return 0, *err
	}
	return time.Since(began), nil
}

// restart stops every node, in order or as a crash would, and starts all again.
func (t *target) restart(ctx context.Context, crash bool) (time.Duration, error) {
	if crash {
		t.all((*node).kill)
		return t.start(ctx)
	}
	if err := t.stop(); err != nil {
		return 0, err
	}
	took, err := t.start(ctx)
	if err == nil && t.cluster != nil {
		t.cluster.ReadyAgainSeconds = took.Seconds()
		for i, n := range t.nodes {
			t.cluster.Nodes[i].ReadyAgainSeconds = n.ready.Seconds()
		}
	}
	return took, err
}

// stop stops all nodes at once, in order.
func (t *target) stop() error {
	var mu sync.Mutex
	var failed []error
	t.all(func(n *node) {
		if err := n.process.Stop(stopLimit); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, err)
		}
	})
	return errors.Join(failed...)
}

// close ends what was started here, and removes its data. What it was for has been
// measured, so of a cluster nobody waits until they have handed over.
func (t *target) close() {
	switch {
	case t.cluster != nil:
		t.all((*node).kill)
	case t.ours():
		_ = t.stop()
	}
	t.remove()
}

// all does something with all nodes at once and waits for it.
func (t *target) all(do func(*node)) {
	var work sync.WaitGroup
	for _, n := range t.nodes {
		work.Go(func() { do(n) })
	}
	work.Wait()
}

// ended tells why a node is gone, nil while all live or aren't ours.
func (t *target) ended() error {
	for _, n := range t.nodes {
		if err := n.ended(); err != nil {
			return err
		}
	}
	return nil
}

// profile writes the CPU profile of the next d to a file; of a cluster, of each
// node to a file of its own.
func (t *target) profile(ctx context.Context, file string, d time.Duration) error {
	var mu sync.Mutex
	var failed []error
	t.all(func(n *node) {
		if err := n.profile(ctx, profileName(file, n.name), d); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, fmt.Errorf("--profile: %w", err))
		}
	})
	return errors.Join(failed...)
}
