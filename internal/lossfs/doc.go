// Package lossfs is a file system for tests that forgets what was not fsynced
// when it is told that the power failed. It also runs full, and fails, on order.
//
//	program ─▶ kernel ─ FUSE ─▶ FS (mount.go, calls.go) ─▶ Disk (disk.go, power.go)
//	                                                        ├ contents: one file each in a backing directory
//	                                                        └ names: in memory, as they are and as they are on the disk
//
// # What survives
//
// POSIX promises little, and this is what it promises:
//
//   - fsync of a file keeps what was written to it before, and its length. It
//     does not keep its name.
//   - fsync of a directory keeps the names in it as they are: what was created,
//     renamed or removed in it before. It keeps nothing of the directory's own
//     name in its parent, and nothing of the contents of the files. A name that is
//     kept, of a file that wasn't, is an empty file.
//   - a write to a file opened with O_SYNC or O_DSYNC is followed by an fsync.
//   - a rename is kept whole or not at all, in both directories.
//
// That is Options.Model Posix. Journaled is what ext4 and XFS do beyond it: names
// stand in one journal, so an fsync of anything also keeps every name that was
// made, changed or removed before it. Contents are as in Posix.
//
// What was not kept is not gone for sure: the kernel writes back when it likes.
// PowerFail is told which of the two to play. Nothing takes all of it back.
// Something keeps, of each file, some first part of its unsynced changes, and of
// the names some of their changes (Journaled: a first part of them), by a seed;
// the last change of a file may be torn in the middle, at any byte.
//
// # What it leaves out
//
// Reordered writes within one file, hard links, symbolic links and extended
// attributes; the durability of modes and times (both are kept at once). Disks
// that lie about fsync. Memory maps are written back by the kernel when they are
// unmapped or synced, and count as writes then.
//
// Goroutines are go-fuse's; Unmount waits for them.
package lossfs
