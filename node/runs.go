package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// runFile holds the last runs of the lease this directory's node has or had, a line each,
// newest first: a start after a crash need not wait for a lease that is its own.
const runFile = "run"

// runsKept of them. One run isn't enough: a lease that was lost is taken under a new one, and
// whether a try under one reached the store isn't always known.
const runsKept = 16

// runs are the runs of the processes that had a data directory. All but those of the
// process that has it now are over, because one process has it at a time. For one
// goroutine at a time.
type runs struct {
	path string
	kept []string
}

// readRuns reads what there is; a directory that had no node yet has none.
func readRuns(path string) (*runs, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &DataError{filepath.Dir(path), fmt.Sprintf("can't be read: %v", reason(err))}
	}
	kept := strings.Fields(string(b))
	return &runs{path, kept[:min(len(kept), runsKept)]}, nil
}

// has tells whether a run is one of them.
func (r *runs) has(run string) bool { return r != nil && slices.Contains(r.kept, run) }

// add puts a run in front, on the disk. The oldest beyond runsKept go.
func (r *runs) add(run string) error {
	if r == nil {
		return nil
	}
	kept := append([]string{run}, r.kept...)
	kept = kept[:min(len(kept), runsKept)]
	if err := writeSynced(r.path, []byte(strings.Join(kept, "\n")+"\n")); err != nil {
		return &DataError{filepath.Dir(r.path), fmt.Sprintf("can't be written: %v", reason(err))}
	}
	r.kept = kept
	return nil
}
