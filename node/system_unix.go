//go:build unix

package node

import (
	"errors"
	"os"
	"syscall"
)

// lock takes f for this process, at once or not at all. The system gives it up
// when the process ends, however it ends.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// freeBytes is what may still be written to the disk of path.
func freeBytes(path string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

// maxOpenFiles is the limit of open files; Go has raised it as far as it may.
func maxOpenFiles() (uint64, error) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err
}

func addressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// exhausted tells whether accepting failed for want of something that comes
// back: file descriptors, memory, or a client that left while it waited.
func exhausted(err error) bool {
	for _, one := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EPERM} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}
