//go:build unix

package client

import (
	"errors"
	"os"
	"syscall"
)

// lockFile keeps other openers out until unlock is called or the process ends.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, outboxMode)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("somebody else has it open")
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// syncDir makes a rename in a directory safe.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
