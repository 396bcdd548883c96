package bench

import (
	"context"
	"fmt"
	"html/template"
	"path/filepath"
	"strings"
	"time"

	"natter/certs"
	"natter/internal/harness/process"
)

// ClusterResult is what a run on a cluster tells beside the rest: how long its
// starts took, and what each node used.
type ClusterResult struct {
	// From the start of all processes at once until the last was ready: with empty
	// directories, so that everything is made; and after all were stopped in order
	// with what the signing up had stored, when they choose their leaders anew.
	ReadySeconds      float64 `json:"ready_seconds"`
	ReadyAgainSeconds float64 `json:"ready_again_seconds"`
	// Of the last one, stopped in order and started while the others went on.
	ReadyAloneSeconds float64 `json:"ready_alone_seconds"`
	// At rest, before anybody had signed up: all nodes together.
	IdleSeconds  float64   `json:"idle_seconds"` // how long it was looked at
	IdleCores    float64   `json:"idle_cores_used"`
	IdleRSSBytes int64     `json:"idle_rss_bytes"`
	Nodes        []NodeUse `json:"nodes"`
}

// NodeUse is one node's part. Cores is of the measured window, and 0 where the
// workload has none; RSSBytes is at its end, or else at the end of the run.
type NodeUse struct {
	Name              string  `json:"name"`
	Connections       int     `json:"connections"` // devices that stay connected
	ReadySeconds      float64 `json:"ready_seconds"`
	ReadyAgainSeconds float64 `json:"ready_again_seconds"`
	IdleCores         float64 `json:"idle_cores_used"`
	IdleRSSBytes      int64   `json:"idle_rss_bytes"`
	Cores             float64 `json:"cores_used"`
	RSSBytes          int64   `json:"rss_bytes"`
}

// clusterSize is how many nodes a cluster under load has.
const clusterSize = 3

// longestIdle is how long a cluster at rest is looked at, if the measurement
// isn't shorter.
const longestIdle = 5 * time.Second

// makeCluster makes the certificates and nodes of a cluster and starts none.
func (t *target) makeCluster(c *Config, dir string) error {
	authority := filepath.Join(dir, "ca")
	if err := certs.MakeAuthority(authority, "", time.Now()); err != nil {
		return err
	}
	ports, err := process.FreePorts(3 * clusterSize)
	if err != nil {
		return err
	}
	routes := ports[2*clusterSize:]
	t.cluster = &ClusterResult{}
	for i := range clusterSize {
		name := string(rune('a' + i))
		own := filepath.Join(dir, "certs-"+name)
		if err := certs.MakeNode(name, []string{"127.0.0.1"}, authority, own, time.Now()); err != nil {
			return err
		}
		member := []string{"--name=" + name, "--cluster=" + strings.Join(routes, ","), "--cluster-listen=" + routes[i], "--cluster-certs=" + own}
		n := newNode(process.Options{
			Binary: c.Binary, Data: filepath.Join(dir, "data-"+name), Listen: ports[2*i], Admin: ports[2*i+1],
			Args: append(member, c.serveArgs()...),
		})
		n.name = name
		t.nodes = append(t.nodes, n)
		t.cluster.Nodes = append(t.cluster.Nodes, NodeUse{Name: name})
	}
	return nil
}

// alone stops the last node in order and starts it again while the others go on.
func (t *target) alone(ctx context.Context) error {
	n := t.nodes[len(t.nodes)-1]
	if err := n.process.Stop(stopLimit); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := n.start(ctx); err != nil {
		return err
	}
	t.cluster.ReadyAloneSeconds = n.ready.Seconds()
	return nil
}

// atRest measures what a cluster costs that nobody uses, and a start in it.
func (t *target) atRest(ctx context.Context, c *Config) error {
	if t.cluster == nil {
		return nil
	}
	c.say("looking at the cluster at rest")
	rest(ctx, settleTime)
	from, err := t.cost(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	rest(ctx, min(c.Duration, longestIdle))
	to, err := t.cost(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	t.cluster.IdleSeconds = took
	t.cluster.IdleCores, t.cluster.IdleRSSBytes = (to.cpu-from.cpu).Seconds()/took, to.rss
	for i := range t.cluster.Nodes {
		n := &t.cluster.Nodes[i]
		n.IdleCores, n.IdleRSSBytes = (to.nodes[i].cpu-from.nodes[i].cpu).Seconds()/took, to.nodes[i].rss
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return t.alone(ctx)
}

// used notes what each node used between two counts.
func (t *target) used(from, to counts) {
	if t.cluster == nil {
		return
	}
	took := to.at.Sub(from.at).Seconds()
	for i := range t.cluster.Nodes {
		n := &t.cluster.Nodes[i]
		n.Cores, n.RSSBytes = (to.cost.nodes[i].cpu-from.cost.nodes[i].cpu).Seconds()/took, to.cost.nodes[i].rss
	}
}

// tellCluster fills in the cluster's part of the result, at the end of the run.
func (w *world) tellCluster(ctx context.Context, r *Result) error {
	t := w.target
	if t.cluster == nil {
		return nil
	}
	end, err := t.cost(ctx)
	if err != nil {
		return err
	}
	for i, n := range t.nodes {
		use := &t.cluster.Nodes[i]
		if use.RSSBytes == 0 {
			use.RSSBytes = end.nodes[i].rss
		}
		for _, p := range w.players {
			if p.person.account.Base() == n.url {
				use.Connections++
			}
		}
	}
	r.Cluster = t.cluster
	return nil
}

// clusterPlots are a bar for each node.
func (r *Result) clusterPlots() []template.HTML {
	if r.Cluster == nil {
		return nil
	}
	var ready, cores, atRest, memory []bar
	core := func(name string, v float64) bar { return bar{name, v, fmt.Sprintf("%.1f %% of one", 100*v)} }
	rss := func(name string, n int64) bar { return bar{name, float64(n), fmt.Sprintf("%.0f MiB", mib(n))} }
	for _, n := range r.Cluster.Nodes {
		ready = append(ready, seconds(n.Name+", first", n.ReadySeconds), seconds(n.Name+", again", n.ReadyAgainSeconds))
		atRest = append(atRest, core(n.Name, n.IdleCores))
		if n.Cores > 0 {
			cores = append(cores, core(n.Name, n.Cores))
		}
		memory = append(memory, rss(n.Name+", at rest", n.IdleRSSBytes), rss(n.Name+", at the end", n.RSSBytes))
	}
	ready = append(ready, seconds("one alone", r.Cluster.ReadyAloneSeconds))
	plots := []template.HTML{barPlot("Start to ready, each node", ready...), barPlot("Core in use at rest, each node", atRest...), barPlot("Server memory, each node", memory...)}
	if len(cores) > 0 {
		plots = append(plots, barPlot("Core in use under load, each node", cores...))
	}
	return plots
}

func (r *Result) writeCluster(t rows) {
	c := r.Cluster
	if c == nil {
		return
	}
	t.row("cluster", "%d nodes; ready %.2f s after the first start, %.2f s after a stop of all, %.2f s after a stop of one", len(c.Nodes), c.ReadySeconds, c.ReadyAgainSeconds, c.ReadyAloneSeconds)
	t.row("cluster at rest", "%.1f %% of a core, %.1f MiB in all, of %.1f s", 100*c.IdleCores, mib(c.IdleRSSBytes), c.IdleSeconds)
	for _, n := range c.Nodes {
		load := ""
		if n.Cores > 0 {
			load = fmt.Sprintf("%.2f cores, ", n.Cores)
		}
		t.row("node "+n.Name, "%d connections, %s%.1f MiB; at rest %.1f %% of a core, %.1f MiB; ready %.2f s, again %.2f s",
			n.Connections, load, mib(n.RSSBytes), 100*n.IdleCores, mib(n.IdleRSSBytes), n.ReadySeconds, n.ReadyAgainSeconds)
	}
}
