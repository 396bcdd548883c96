//go:build linux

package lossfs

import (
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
	Dir    string // where it is mounted
	server *fuse.Server
}

// New mounts an empty disk for the length of a test. Without root or /dev/fuse it
// skips the test, unless LOSSFS_REQUIRED is set: then it fails it. The backing
// directory lies in memory where the system has /dev/shm: what is durable is for
// the Disk to say, and not for the machine's own disk to be waited for.
func New(t testing.TB, model Model) *FS {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil || os.Geteuid() != 0 {
		if os.Getenv("LOSSFS_REQUIRED") != "" {
			t.Fatal("no root or no /dev/fuse, and LOSSFS_REQUIRED is set")
		}
		t.Skip("SKIPPED: needs root and /dev/fuse; nothing is known about power failures here")
	} else {
		_ = f.Close()
	}
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	backing, err := os.MkdirTemp(parent, "natter-lossfs-*")
	if err != nil {
		t.Fatal(err)
	}
	fs := &FS{Disk: NewDisk(backing, model), Dir: filepath.Join(t.TempDir(), "disk")}
	t.Cleanup(func() {
		fs.Close()
		_ = os.RemoveAll(backing)
	})
	if err := os.Mkdir(fs.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := fs.mount(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if fs.server == nil {
			return
		}
		if err := fs.unmount(); err != nil {
			t.Error(err)
			_ = syscall.Unmount(fs.Dir, syscall.MNT_DETACH) // or nothing below it can be removed
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

// PowerFail is the moment the power comes back: what was not synced is gone, as
// survival says, and so is what the kernel remembered. Whoever used the file
// system must have been killed; an open file makes it fail.
func (fs *FS) PowerFail(t testing.TB, survival Survival, random *rand.Rand) Loss {
	t.Helper()
	if err := fs.unmount(); err != nil {
		t.Fatal(err)
	}
	loss := fs.Disk.PowerFail(survival, random)
	if err := fs.mount(); err != nil {
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
