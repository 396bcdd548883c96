package bench

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"natter/internal/harness/process"
)

// ownCPU is the time the cores have spent on this process; 0 where the system
// doesn't tell.
func ownCPU() time.Duration {
	d, _ := process.CPU(os.Getpid())
	return d
}

// cost is what the nodes have used so far, together and each. It is all 0 if
// neither the node's process nor its admin listener was named.
type cost struct {
	cpu   time.Duration
	rss   int64
	nodes []cost // as target's; none in a node's own
}

func (t *target) cost(ctx context.Context) (cost, error) {
	var all cost
	for _, n := range t.nodes {
		c, err := n.cost(ctx)
		if err != nil {
			return cost{}, err
		}
		all.cpu += c.cpu
		all.rss += c.rss
		all.nodes = append(all.nodes, c)
	}
	return all, nil
}

func (n *node) cost(ctx context.Context) (cost, error) {
	switch {
	case n.pid > 0:
		cpu, err := process.CPU(n.pid)
		if err != nil {
			return cost{}, err
		}
		rss, err := process.RSS(n.pid)
		return cost{cpu: cpu, rss: rss}, err
	case n.admin != "":
		m, err := n.metrics(ctx)
		if err != nil {
			return cost{}, err
		}
		rss := int64(m["process_resident_memory_bytes"])
		if rss == 0 {
			return cost{}, errors.New("the admin listener's /metrics don't tell the process's cost")
		}
		return cost{cpu: time.Duration(m["process_cpu_seconds_total"] * float64(time.Second)), rss: rss}, nil
	}
	return cost{}, nil
}

// metrics are those of the node that have no labels.
func (n *node) metrics(ctx context.Context) (map[string]float64, error) {
	res, err := get(ctx, n.admin+"/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	m := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = v
		}
	}
	return m, lines.Err()
}

// liveHeap is what lives in the nodes' heaps together.
func (t *target) liveHeap(ctx context.Context) (all int64, err error) {
	for _, n := range t.nodes {
		lives, err := n.liveHeap(ctx)
		if err != nil {
			return 0, err
		}
		all += lives
	}
	return all, nil
}

// liveHeap is what lives in the node's heap: the least of a few looks, each
// after a collection. Without its admin listener it isn't known, and 0.
func (n *node) liveHeap(ctx context.Context) (least int64, err error) {
	if n.admin == "" {
		return 0, nil
	}
	for range heapLooks {
		res, err := get(ctx, n.admin+"/debug/pprof/heap?gc=1")
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return 0, err
		}
		m, err := n.metrics(ctx)
		if err != nil {
			return 0, err
		}
		if lives := int64(m["go_memstats_heap_alloc_bytes"]); least == 0 || lives < least {
			least = lives
		}
	}
	return least, nil
}

const heapLooks = 5
