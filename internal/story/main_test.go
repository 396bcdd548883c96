// Package story tells what natter promises as stories: people with devices, and
// a node that is a process of its own and dies when the story wants it.
package story

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"natter/internal/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
