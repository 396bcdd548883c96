//go:build linux

package gauntlet

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"natter/chat"
)

// leadership is who led the partitions at a time, by name.
type leadership struct {
	rooms  [partitions][]string // of its log, its history and its marks: its projector needs them all
	queues [partitions]string
}

// room tells whether a room can't do without a node, queue the same of a queue.
func (l *leadership) room(room chat.RoomID, node string) bool {
	return slices.Contains(l.rooms[partitionOf(string(room), partitions)], node)
}

func (l *leadership) queue(q int, node string) bool { return l.queues[q] == node }

// leaders asks one node after the other who leads; nil: none answers.
func (c *cluster) leaders(ctx context.Context) *leadership {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second) // a node asks others for 2 s
	defer cancel()
	for _, n := range c.nodes {
		if n.now == nil {
			continue
		}
		status, err := c.status(ctx, n)
		if err != nil {
			continue
		}
		l := new(leadership)
		for _, p := range status.Partitions {
			if p.Number < partitions {
				l.rooms[p.Number], l.queues[p.Number] = []string{p.Leader, p.History, p.Marks}, p.Queues
			}
		}
		return l
	}
	return nil
}

// status is what of GET /cluster of a node's admin listener is used here.
type status struct {
	Partitions []struct {
		Number  int    `json:"partition"`
		Leader  string `json:"leader"`
		History string `json:"history"`
		Marks   string `json:"marks"`
		Queues  string `json:"queues"`
	} `json:"partitions"`
}

func (c *cluster) status(ctx context.Context, n *node) (*status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.opts.Admin+"/cluster", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	s := new(status)
	return s, json.NewDecoder(res.Body).Decode(s)
}

// partitionOf is the partition of a room or a person: FNV-1a of the id, as
// docs/ARCHITECTURE.md has it.
func partitionOf(id string, partitions int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % uint32(partitions))
}

// partitions is natter's default.
const partitions = 4

// leads is who leads now; nil where there is one node, or not everything has a leader.
func (r *Run) leads() *leadership {
	if len(r.cluster.nodes) < 2 {
		return nil
	}
	all := r.cluster.leaders(r.ctx)
	if all == nil {
		return nil
	}
	text := ""
	for p, names := range all.rooms {
		if len(names) == 0 || slices.Contains(names, "") || all.queues[p] == "" {
			return nil
		}
		text += fmt.Sprintf(" %d:%s/%s", p, strings.Join(names, ""), all.queues[p])
	}
	r.say("leaders of log, history, marks / queues:%s", text)
	return all
}

// untouched notes how long those waited, from a time on, whose node and whose room's
// leaders live while victim doesn't. leads is of before.
func (r *Run) untouched(fault string, from time.Duration, victim string, leads *leadership) {
	if leads == nil {
		return
	}
	longest, what := r.crowd.record.slowest(from, func(s *sent) bool {
		return s.measured && s.node != victim && !leads.room(s.room, victim)
	})
	r.figure(fault+": with the sender's node and the room's leaders alive after", longest, untouchedGap)
	if longest > untouchedGap {
		r.say("waited longest of those: a message sent on %s %.2f s after the fault, to a room of partition %d", what.node, (what.at - from).Seconds(), partitionOf(string(what.room), partitions))
	}
}

// busiest is the number of the node that leads most, or of a random one.
func (r *Run) busiest() int {
	best, most := r.random.IntN(len(r.cluster.nodes)), 0
	all := r.cluster.leaders(r.ctx)
	if all == nil {
		return best
	}
	for i, n := range r.cluster.nodes {
		count := 0
		for _, names := range all.rooms {
			for _, name := range names {
				count += btoi(name == n.name)
			}
		}
		if count > most {
			best, most = i, count
		}
	}
	return best
}
