//go:build linux

package gauntlet

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"natter/internal/builds"
)

// buildOld makes the natter before this tree's, with which the nodes begin.
func buildOld(r *Run) error {
	root, err := builds.Root()
	if err != nil {
		return err
	}
	r.other = filepath.Join(r.result.Dir, "natter-before")
	r.first = r.other
	r.say("building the natter before this one")
	is, err := builds.Before(r.ctx, root, r.other)
	if err == nil {
		r.say("the nodes begin with %s", is)
		r.result.Old = is
	}
	return err
}

// upgrade: each node is stopped in order and started again with the new program, one
// after the other; for a while both are in the cluster. A long run goes back and forth.
func upgrade(r *Run) error {
	programs := []string{r.Binary}
	if r.Long {
		programs = []string{r.Binary, r.other, r.Binary}
	}
	for _, program := range programs {
		for i, n := range r.cluster.nodes {
			if err := r.calm(time.Second, 3*time.Second); err != nil {
				return err
			}
			n.opts.Binary = program
			if err := r.drainOne(n); err != nil {
				return fmt.Errorf("with %d nodes changed to %s: %w", i+1, program, err)
			}
		}
	}
	// Longer than a node needs to find that nobody answers it.
	if err := r.calm(8*time.Second, 8*time.Second); err != nil {
		return err
	}
	return errors.Join(r.crowd.wrong(), r.cluster.lives())
}
