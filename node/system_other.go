//go:build !linux

package node

import "errors"

// clockKept tells whether something keeps the system's clock right. Other systems than
// Linux have no one way to ask.
func clockKept() (bool, error) { return false, errors.ErrUnsupported }
