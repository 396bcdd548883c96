//go:build linux

package gauntlet

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"natter/internal/harness/process"
)

// standAlone has the first node begin without the others, at its addresses and with a
// store of its own; plain are its settings without the cluster's.
func (c *cluster) standAlone(plain process.Options) {
	first := c.nodes[0]
	c.member = first.opts
	first.opts = plain
	first.opts.Data = filepath.Join(c.dir, "data-alone")
	c.alone.Store(true)
}

// grow: the only node is stopped and grows into three, while its people go on trying.
// The growth is killed once on the way, at a random moment, and run again. Then one of
// the three dies, as in any cluster.
func grow(r *Run) error {
	if err := r.calm(5*time.Second, 8*time.Second); err != nil {
		return err
	}
	from := r.crowd.record.now()
	end := r.crowd.record.mark("grow")
	first := r.cluster.nodes[0]
	if err := first.stop(); err != nil {
		return err
	}
	for _, n := range r.cluster.nodes[1:] {
		if err := n.start(); err != nil {
			return err
		}
	}
	old := first.opts.Data
	first.opts.Data, first.opts.Args = r.cluster.member.Data, r.cluster.member.Args // its address is read meanwhile
	if err := r.killGrowth(old); err != nil {
		return err
	}
	began := time.Now()
	if out, err := r.cluster.growth(r, old).CombinedOutput(); err != nil {
		return fmt.Errorf("the growth: %w\n%s", err, out)
	}
	r.count("the growth takes", time.Since(began))
	if err := r.cluster.startAll(r.ctx); err != nil {
		return err
	}
	r.cluster.alone.Store(false)
	end()
	if err := r.resumes(from); err != nil {
		return err
	}
	r.count("grown: longest wait for an answer, with a growth that was killed in it", r.crowd.record.gap(from, nil))
	r.say("grown after %.1f s", r.crowd.record.gap(from, nil).Seconds())
	if n := r.crowd.resets.Load(); n > 0 {
		return fmt.Errorf("%d cursors of before were not honoured", n)
	}
	if err := r.calm(2*time.Second, 4*time.Second); err != nil {
		return err
	}
	return r.killOne("kill")
}

// growth is the command by which the first node makes the cluster of a store.
func (c *cluster) growth(r *Run, old string) *exec.Cmd {
	args := []string{"cluster", "grow", old, "--listen", c.member.Listen, "--data", c.member.Data, "--admin", c.member.Admin}
	return exec.CommandContext(r.ctx, c.binary, append(args, c.member.Args...)...)
}

// killGrowth begins a growth and kills it, unless it is quicker.
func (r *Run) killGrowth(old string) error {
	cmd := r.cluster.growth(r, old)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	least, most := 500*time.Millisecond, 4*time.Second
	pause := least + time.Duration(r.random.Int64N(int64(most-least)))
	sleep(r.ctx, pause)
	err := cmd.Process.Kill()
	failed := <-ended
	var exit *exec.ExitError
	switch {
	case failed == nil: // it was through
		return nil
	case err == nil && errors.As(failed, &exit) && !exit.Exited():
		r.say("the growth was killed after %.1f s", pause.Seconds())
		return nil
	}
	return fmt.Errorf("the growth ended by itself: %w", failed)
}
