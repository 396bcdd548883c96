package bench

import (
	"os"
	"time"

	"natter/internal/harness/process"
)

// ownCPU is the time the cores have spent on this process; 0 where the system
// doesn't tell.
func ownCPU() time.Duration {
	d, _ := process.CPU(os.Getpid())
	return d
}
