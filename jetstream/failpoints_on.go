//go:build failpoints

package jetstream

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

const hasten = 50

const failpointVariable = "NATTER_FAILPOINT"

// failing is the point at which this process ends, and how often it may still be
// passed.
var failing struct {
	name string
	left atomic.Int64
}

func init() {
	value, ok := os.LookupEnv(failpointVariable)
	if !ok {
		return
	}
	_ = os.Unsetenv(failpointVariable) // a name that is there can be; the settings would refuse it
	name, times, _ := strings.Cut(value, ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if err != nil || n < 1 || !slices.Contains(Failpoints, name) {
		panic("jetstream: " + failpointVariable + "=" + value + " is no failpoint with a number of passes, such as commit.published:3")
	}
	failing.name = name
	failing.left.Store(n)
}

func failpoint(name string) {
	if name != failing.name || failing.left.Add(-1) != 0 {
		return
	}
	fmt.Fprintln(os.Stderr, "failpoint", name)
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill() // nothing else can be done where it fails
	}
	select {} // the step after this one is never begun
}

func failpointSent(record any) {
	switch record.(type) {
	case *roomRecord:
		failpoint("write.record")
	case *page:
		failpoint("write.page")
	case *roomEntry:
		failpoint("write.entry")
	case *markRecord:
		failpoint("write.mark")
	case *queueEntry:
		failpoint("write.queue")
	}
}
