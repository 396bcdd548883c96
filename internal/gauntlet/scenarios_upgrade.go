//go:build linux

package gauntlet

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"natter/internal/builds"
)

// buildOld makes the natter before this tree's.
func (r *Run) buildOld() (string, error) {
	root, err := builds.Root()
	if err != nil {
		return "", err
	}
	old := filepath.Join(r.result.Dir, "natter-before")
	r.say("building the natter before this one")
	is, err := builds.Before(r.ctx, root, old)
	if err != nil {
		return "", err
	}
	r.say("the nodes begin with %s", is)
	r.result.Old = is
	return old, nil
}

// upgrade: each node is stopped in order and started again with the new program, one
// after the other; for a while both are in the cluster. A long run goes back and forth.
func upgrade(r *Run) error {
	old := r.cluster.binary
	programs := []string{r.Binary}
	if r.Long {
		programs = []string{r.Binary, old, r.Binary}
	}
	for _, program := range programs {
		for i, n := range r.cluster.nodes {
			if err := r.calm(2*time.Second, 4*time.Second); err != nil {
				return err
			}
			n.opts.Binary = program
			if err := r.drainOne(n); err != nil {
				return fmt.Errorf("with %d nodes changed to %s: %w", i+1, program, err)
			}
		}
	}
	// Longer than a node needs to find that nobody answers it.
	if err := r.calm(10*time.Second, 10*time.Second); err != nil {
		return err
	}
	return errors.Join(r.crowd.wrong(), r.cluster.lives())
}
