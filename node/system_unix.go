//go:build unix

package node

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lock takes f for this process. The system gives it up when the process ends,
// however it ends; but a killed process holds its locks, and its ports, until
// the kernel is through with it, so a supervisor's quick restart waits for that
// a moment before it is refused.
func lock(f *os.File) error {
	deadline := time.Now().Add(lockPatience)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(lockPause)
	}
}

const (
	lockPatience = 3 * time.Second
	lockPause    = 25 * time.Millisecond
)

// locked tells whether a process has f. If none has it is ours, shared, until f is
// closed: for a moment, which lock's patience outlasts.
func locked(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// freeBytes is what may still be written to the disk of path.
func freeBytes(path string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

// processorSeconds is what this process has had of processors.
func processorSeconds() float64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds()
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
