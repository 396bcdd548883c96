// Package story tells what natter promises as stories: people with devices, and
// a node that is a process of its own and dies when the story wants it.
package story

import (
	"testing"

	"natter/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
