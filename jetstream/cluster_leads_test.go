package jetstream

import (
	"testing"
)

// Three stores take commands for the same rooms; all show the same.
func TestThreeNodesAreOneStore(t *testing.T) {
	w := openThree(t).crowd()
	w.more(300)
	w.judge()
}
