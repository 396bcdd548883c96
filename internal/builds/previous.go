package builds

import (
	"context"
	"fmt"
)

// StandIn is the version of a natter that stands in for the one before.
const StandIn = "0.0.0-stand-in"

var standIn = []Change{{"node/versions.go", "wireVersion = 2", "wireVersion = 1"}}

// Before builds the natter before this tree's into the file out and tells what it is. In
// a tree without history it is this tree, called by another version and saying that it
// speaks an older one of what nodes say to each other: then is tells so, and why.
func Before(ctx context.Context, root, out string) (is string, err error) {
	commit, missing := Previous(ctx, root)
	if missing == nil {
		return "commit " + commit, Commit(ctx, root, commit, out)
	}
	err = Changed(ctx, root, out, standIn,
		"-ldflags", "-X natter/node.Version="+StandIn)
	return fmt.Sprintf("NO EARLIER COMMIT (%v): this tree stands in, as version %s with wire version 1", missing, StandIn), err
}
