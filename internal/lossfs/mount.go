//go:build linux

package lossfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is a Disk that is mounted. It belongs to one goroutine.
type FS struct {
	*Disk
	Dir     string // where it is mounted
	backing string
	server  *fuse.Server // nil while it isn't
}

// Usable tells why this machine can't mount one, nil if it can: that takes Linux,
// root and /dev/fuse.
func Usable() error {
	if os.Geteuid() != 0 {
		return errors.New("lossfs needs root")
	}
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("lossfs: %w", err)
	}
	return f.Close()
}

// Mount makes the directory dir and mounts an empty disk there, until Unmount. The
// backing directory lies in memory where the system has /dev/shm: what is durable
// is for the Disk to say, and not for the machine's own disk to be waited for.
func Mount(dir string, model Model) (*FS, error) {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	backing, err := os.MkdirTemp(parent, "natter-lossfs-*")
	if err != nil {
		return nil, err
	}
	fs := &FS{Disk: NewDisk(backing, model), Dir: dir, backing: backing}
	if err = os.Mkdir(dir, 0o700); err == nil {
		err = fs.mount()
	}
	if err != nil {
		fs.Close()
		return nil, errors.Join(err, os.RemoveAll(backing))
	}
	return fs, nil
}

// Unmount ends it, with everything in it. It is done even if it fails: then a
// program still had it open.
func (fs *FS) Unmount() error {
	var err error
	if fs.server != nil {
		if err = fs.unmount(); err != nil {
			_ = syscall.Unmount(fs.Dir, syscall.MNT_DETACH) // or nothing below it can be removed
		}
	}
	fs.Close()
	return errors.Join(err, os.RemoveAll(fs.backing))
}

// New mounts an empty disk for the length of a test. Where that can't be it skips
// the test, unless LOSSFS_REQUIRED is set: then it fails it.
func New(t testing.TB, model Model) *FS {
	t.Helper()
	if err := Usable(); err != nil {
		if os.Getenv("LOSSFS_REQUIRED") != "" {
			t.Fatalf("LOSSFS_REQUIRED is set, and %v", err)
		}
		t.Skipf("SKIPPED: %v; nothing is known about power failures here", err)
	}
	fs, err := Mount(filepath.Join(t.TempDir(), "disk"), model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return fs
}

func (fs *FS) mount() error {
	server, err := fuse.NewServer(newCalls(fs.Disk), fs.Dir, &fuse.MountOptions{
		DirectMountStrict: true, FsName: "lossfs", Name: "lossfs", MaxWrite: 1 << 20,
		DisableXAttrs: true, DisableReadDirPlus: true, DirectMountFlags: syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOATIME,
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w", fs.Dir, err)
	}
	go server.Serve() // ends at the unmount, which waits for it
	if err := server.WaitMount(); err != nil {
		return fmt.Errorf("mount %s: %w", fs.Dir, err)
	}
	fs.server = server
	return nil
}

func (fs *FS) unmount() error {
	if err := fs.server.Unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", fs.Dir, err)
	}
	fs.server = nil
	return nil
}

// Cut is the moment the power comes back: what was not synced is gone, as
// survival says, and so is what the kernel remembered. Whoever used the file
// system must have been killed; an open file makes it fail.
func (fs *FS) Cut(survival Survival, random *rand.Rand) (Loss, error) {
	if err := fs.unmount(); err != nil {
		return Loss{}, err
	}
	loss := fs.Disk.PowerFail(survival, random)
	return loss, fs.mount()
}

// PowerFail is Cut, in a test.
func (fs *FS) PowerFail(t testing.TB, survival Survival, random *rand.Rand) Loss {
	t.Helper()
	loss, err := fs.Cut(survival, random)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// Keep copies the files as they are now to a directory that outlives the test.
func (fs *FS) Keep(t testing.TB) string {
	t.Helper()
	to, err := os.MkdirTemp("", "natter-kept-*")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(to, "data"), os.DirFS(fs.Dir)); err != nil {
		t.Error(err)
	}
	return to
}
