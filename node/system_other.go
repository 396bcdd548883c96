//go:build !linux

package node

import "errors"

// clockKept tells whether something keeps the system's clock right. Other systems than
// Linux have no one way to ask.
func clockKept() (bool, error) { return false, errors.ErrUnsupported }

// machineSeconds would be how long the machine's processors were idle, and how long there
// were any. Other systems than Linux have no one way to ask.
func machineSeconds() (idle, all float64) { return 0, 0 }
