//go:build unix

package certs

import (
	"fmt"
	"os"
)

// openMode is what a key's file must not allow: anything to everybody, and more
// than reading to its group, which a service may be given.
const openMode = 0o037

// private refuses a key that others may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&openMode != 0 {
		return fmt.Errorf("%s: others on this machine may read it (mode %04o): chmod 600 it, and make another if they could before", path, mode)
	}
	return nil
}
