//go:build linux

package gauntlet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// filled is how long an empty node may take to have everything; what there is to fill
// here is small.
const filled = 60 * time.Second

// replace: a node dies with its data, an empty one of its name starts, is turned away,
// and takes its place when a living one is told so, all under load.
func replace(r *Run) error {
	for i := range r.times(1) {
		if err := r.calm(3*time.Second, 6*time.Second); err != nil {
			return err
		}
		if err := r.replaceOne(fmt.Sprintf("%d replace", i+1)); err != nil {
			return err
		}
	}
	return r.calm(2*time.Second, 4*time.Second)
}

func (r *Run) replaceOne(name string) error {
	order := r.random.Perm(len(r.cluster.nodes))
	lost, living := r.cluster.nodes[order[0]], r.cluster.nodes[order[1]]
	from := r.crowd.record.now()
	end := r.crowd.record.mark(name + " " + lost.name)
	defer end()
	if err := lost.kill(); err != nil {
		return err
	}
	if err := os.RemoveAll(lost.opts.Data); err != nil {
		return err
	}
	if err := lost.start(); err != nil {
		return err
	}
	hint := "`natter cluster replace " + lost.name + "`"
	if err := r.cluster.eventually(r.ctx, lost, http.MethodGet, "/readyz", func(body string) bool { return strings.Contains(body, hint) }); err != nil {
		return fmt.Errorf("the empty node doesn't say %q: %w", hint, err)
	}
	if err := r.resumes(from); err != nil { // the two go on by themselves
		return err
	}
	r.figure("sending resumes after the node is lost", r.crowd.record.gap(from, nil), failover)
	ordered := r.crowd.record.now()
	var last replacement
	err := r.cluster.eventually(r.ctx, living, http.MethodPost, "/cluster/replace/"+lost.name, func(body string) bool {
		last = replacement{}
		_ = json.Unmarshal([]byte(body), &last) // a problem has no state
		return last.State == "done" || last.State == "refused"
	})
	if err != nil || last.State != "done" {
		return fmt.Errorf("%s is not replaced: %q: %w", lost.name, last.Refused, err)
	}
	r.figure("the empty node has everything after", r.crowd.record.now()-ordered, filled)
	if err := lost.ready(r.ctx); err != nil {
		return err
	}
	r.count("and is ready after", r.crowd.record.now()-ordered)
	if err := r.resumes(ordered); err != nil {
		return err
	}
	// Who is on HTTP asks any node, the one that is filled too, and is told to try again
	// in a second.
	elsewhere := r.crowd.record.gap(ordered, func(s *sent) bool { return s.measured && s.node != lost.name })
	r.figure("replaced: longest wait of people on other nodes", elsewhere, plannedGap)
	r.count("replaced: longest wait of anybody", r.crowd.record.gap(ordered, nil))
	r.say("%s: told to %s, longest wait elsewhere %.1f s since", name, living.name, elsewhere.Seconds())
	return nil
}

// replacement is what is read of the node's.
type replacement struct {
	State   string   `json:"state"`
	Refused []string `json:"refused"`
}

// eventually asks a node's admin listener again and again until its answer is as wanted,
// whatever its status.
func (c *cluster) eventually(ctx context.Context, n *node, method, path string, is func(body string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		body, err := c.askAdmin(ctx, n, method, path)
		if err == nil && is(body) {
			return nil
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return errors.Join(fmt.Errorf("%s%s answers %.200q", n.name, path, body), err, n.lives())
		}
	}
}

func (c *cluster) askAdmin(ctx context.Context, n *node, method, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.opts.Admin+path, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Natter", "1")
	res, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
