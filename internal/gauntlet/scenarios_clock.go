//go:build linux

package gauntlet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"natter/internal/builds"
)

const (
	anHour = time.Hour
	// skewAfter is when the clock of a node that runs jumps: it is ready by then.
	skewAfter = 40 * time.Second
	// skewFor is how long it is wrong.
	skewFor = 30 * time.Second
	// skewCalm is how long people go on talking beside a node whose clock is wrong.
	skewCalm = 15 * time.Second
	// clockTold is when the node must have noticed, after its clock became wrong.
	clockTold = 10 * time.Second
)

// buildSkewed makes a natter whose clock can be wrong.
func buildSkewed(r *Run) error {
	root, err := builds.Root()
	if err != nil {
		return err
	}
	r.other = filepath.Join(r.result.Dir, "natter-skewed")
	r.say("building a natter whose clock can be wrong")
	return builds.Skewed(r.ctx, root, r.other)
}

// clock: one node's clock is an hour ahead or behind, from its start on, and then for a
// while when it runs. It must say so, lead nothing and take nobody, and be itself again
// when its clock is right.
func clock(r *Run) error {
	for _, by := range []time.Duration{anHour, -anHour} {
		victim := r.pick()
		if err := r.wrongFromTheStart(victim, by); err != nil {
			return fmt.Errorf("%s starts with its clock %s ahead: %w", victim.name, by, err)
		}
		victim = r.pick()
		if err := r.wrongForAWhile(victim, by); err != nil {
			return fmt.Errorf("%s runs, and its clock is set %s ahead: %w", victim.name, by, err)
		}
	}
	return r.calm(5*time.Second, 5*time.Second)
}

// again stops a node and starts it as another program.
func (r *Run) again(n *node, program string, env []string) error {
	if err := n.stop(); err != nil {
		return err
	}
	n.opts.Binary, n.opts.Env = program, env
	return n.start()
}

func (r *Run) wrongFromTheStart(victim *node, by time.Duration) error {
	if err := r.calm(2*time.Second, 4*time.Second); err != nil {
		return err
	}
	from := r.crowd.record.now()
	end := r.crowd.record.mark(fmt.Sprintf("%s starts %+.0f h", victim.name, by.Hours()))
	if err := r.again(victim, r.other, builds.SkewEnv(by, 0, 0)); err != nil {
		return err
	}
	if err := r.saysSo(victim, by, readyLimit); err != nil {
		return err
	}
	if err := r.leadsNothing(victim); err != nil {
		return err
	}
	if err := r.again(victim, r.Binary, nil); err != nil {
		return err
	}
	if err := victim.ready(r.ctx); err != nil {
		return err
	}
	end()
	if err := r.resumes(from); err != nil {
		return err
	}
	r.count("starts with a wrong clock: longest wait of anybody", r.crowd.record.gap(from, nil))
	return nil
}

func (r *Run) wrongForAWhile(victim *node, by time.Duration) error {
	if err := r.calm(2*time.Second, 4*time.Second); err != nil {
		return err
	}
	began := time.Now()
	if err := r.again(victim, r.other, builds.SkewEnv(by, skewAfter, skewFor)); err != nil {
		return err
	}
	if err := victim.ready(r.ctx); err != nil {
		return err
	}
	if time.Since(began) > skewAfter {
		return errors.New("the machine is too busy: the node was not ready before its clock became wrong")
	}
	// What it leads by then is its share, as of any other.
	if !sleep(r.ctx, skewAfter-time.Since(began)) {
		return r.ctx.Err()
	}
	from := r.crowd.record.now()
	end := r.crowd.record.mark(fmt.Sprintf("%s runs %+.0f h", victim.name, by.Hours()))
	if err := r.saysSo(victim, by, clockTold+readyLimit); err != nil {
		return err
	}
	r.figure("clock jumps: the node knows after", r.crowd.record.now()-from, clockTold)
	if err := r.leadsNothing(victim); err != nil {
		return err
	}
	if err := victim.ready(r.ctx); err != nil { // by itself
		return err
	}
	end()
	if err := r.resumes(from); err != nil {
		return err
	}
	r.figure("clock jumps: longest wait for an answer", r.crowd.record.gap(from, nil), failover)
	if err := r.again(victim, r.Binary, nil); err != nil {
		return err
	}
	return victim.ready(r.ctx)
}

// saysSo waits until a node tells its operator that its clock is wrong, and to which side;
// the log says it too.
func (r *Run) saysSo(n *node, by time.Duration, limit time.Duration) error {
	side := "ahead of the other nodes'"
	if by < 0 {
		side = "behind the other nodes'"
	}
	told := ""
	if !r.crowd.until(limit, func() bool {
		told = r.readyz(n)
		return strings.Contains(told, "this node's clock is ") && strings.Contains(told, side)
	}) {
		return errors.Join(fmt.Errorf("its /readyz says %q", told), r.cluster.lives())
	}
	r.say("%s: %s", n.name, strings.TrimSpace(told))
	if !r.crowd.until(clockTold, func() bool {
		text, err := os.ReadFile(n.log.Name())
		return err == nil && bytes.Contains(text, []byte(side))
	}) {
		return errors.New("its log doesn't say so")
	}
	return nil
}

// readyz is what a node's operator is told.
func (r *Run) readyz(n *node) string {
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.opts.Admin+"/readyz", http.NoBody)
	if err != nil {
		return err.Error()
	}
	res, err := r.cluster.http.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// leadsNothing waits until a node leads no partition, and fails if it comes to lead one in
// the time after.
func (r *Run) leadsNothing(n *node) error {
	led := func() []int {
		ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
		defer cancel()
		now := r.cluster.leaders(ctx)
		if now == nil {
			return []int{-1}
		}
		var led []int
		for p, leaders := range now.rooms {
			if len(leaders) > 0 && leaders[0] == n.name {
				led = append(led, p)
			}
		}
		return led
	}
	if !r.crowd.until(failover, func() bool { return len(led()) == 0 }) {
		return fmt.Errorf("it still leads the partitions %d", led())
	}
	for end := time.Now().Add(skewCalm); time.Now().Before(end); {
		if p := led(); len(p) > 0 && p[0] >= 0 {
			return fmt.Errorf("it leads the partitions %d", p)
		}
		if !sleep(r.ctx, time.Second) {
			return r.ctx.Err()
		}
	}
	return nil
}
