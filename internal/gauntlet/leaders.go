//go:build linux

package gauntlet

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"natter/chat"
)

// Each node tells on its admin listener which partitions' projectors it runs, which
// it does where it leads their logs.
const leadsMetric = "natter_projector_leads"

// leaders are the nodes that lead, by partition, as the nodes tell it. What nobody
// claims, or a node that doesn't answer, is left out.
func (c *cluster) leaders(ctx context.Context) map[int]*node {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	all := map[int]*node{}
	for _, n := range c.nodes {
		if n.now == nil {
			continue
		}
		partitions, err := c.ledBy(ctx, n)
		if err != nil {
			continue
		}
		for _, p := range partitions {
			all[p] = n
		}
	}
	return all
}

func (c *cluster) ledBy(ctx context.Context, n *node) (partitions []int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.opts.Admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), leadsMetric+`{partition="`)
		if !ok {
			continue
		}
		label, value, ok := strings.Cut(rest, `"} `)
		p, err := strconv.Atoi(label)
		if ok && err == nil && value == "1" {
			partitions = append(partitions, p)
		}
	}
	return partitions, nil
}

// partitionOf is the partition of a room: FNV-1a of its id, as docs/ARCHITECTURE.md
// has it.
func partitionOf(room chat.RoomID, partitions int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(room)) // never fails
	return int(h.Sum32() % uint32(partitions))
}

// partitions is natter's default.
const partitions = 4

// leads is who leads a room's partition now, by the node's name; nil where there is
// one node, or not every partition has a leader.
func (r *Run) leads() func(chat.RoomID) string {
	if len(r.cluster.nodes) < 2 {
		return nil
	}
	all := r.cluster.leaders(r.ctx)
	if len(all) < partitions {
		return nil
	}
	text := ""
	for p := range partitions {
		text += fmt.Sprintf(" %d:%s", p, all[p].name)
	}
	r.say("leaders%s", text)
	return func(room chat.RoomID) string { return all[partitionOf(room, partitions)].name }
}

// busiest is the number of the node that leads most, or of a random one.
func (r *Run) busiest() int {
	count := map[*node]int{}
	for _, n := range r.cluster.leaders(r.ctx) {
		count[n]++
	}
	best := r.random.IntN(len(r.cluster.nodes))
	for i, n := range r.cluster.nodes {
		if count[n] > count[r.cluster.nodes[best]] {
			best = i
		}
	}
	return best
}
