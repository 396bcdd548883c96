//go:build linux

package gauntlet

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

var stepdownScenario = &Scenario{
	Name: "stepdown", Title: "every node hands over all it leads, thirty times, one node a second",
	Nodes: 3, Traffic: usual, Limit: 8 * time.Minute, story: stepdown,
}

const (
	stepdowns    = 30 // of every leader
	stepdownEach = time.Second
)

// stepdown: each node in turn is told to hand over what it leads, which is when every
// leader there is has stepped down once.
func stepdown(r *Run) error {
	for i := range stepdowns {
		for _, n := range r.cluster.nodes {
			from := r.crowd.record.now()
			end := r.crowd.record.mark(fmt.Sprintf("%d yield %s", i+1, n.name))
			began := time.Now()
			err := r.yield(n)
			end()
			if err != nil {
				return err
			}
			r.count("a handover takes", time.Since(began))
			if !sleep(r.ctx, stepdownEach) {
				return r.ctx.Err()
			}
			if err := r.resumes(from); err != nil {
				return err
			}
			r.figure("stepped down: longest wait for an answer", r.crowd.record.gap(from, nil), plannedGap)
		}
	}
	r.say("every leader stepped down %d times", stepdowns)
	return nil
}

// yieldLimit bounds a handover. While JetStream's own group elects, after its leader has
// stepped down itself, nobody can.
const yieldLimit = 30 * time.Second

// yield has a node hand over what it leads, by its admin listener.
func (r *Run) yield(n *node) error {
	for late := time.Now().Add(yieldLimit); ; {
		err := r.tryYield(n)
		if err == nil || time.Now().After(late) || !sleep(r.ctx, 100*time.Millisecond) {
			return err
		}
	}
}

func (r *Run) tryYield(n *node) error {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "http://"+n.opts.Admin+"/yield", nil)
	if err != nil {
		return err
	}
	res, err := r.cluster.http.Do(req)
	if err != nil {
		return fmt.Errorf("node %s: hand over: %w", n.name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // what there is of it
		return fmt.Errorf("node %s: hand over: %d %s", n.name, res.StatusCode, text)
	}
	return nil
}
