//go:build linux

package lossfs

import (
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// calls answers the kernel from a Disk.
type calls struct {
	fuse.RawFileSystem // answers ENOSYS to the rest
	disk               *Disk

	mu       sync.Mutex
	listings map[uint64][]fuse.DirEntry // of open directories
	handle   uint64
}

func newCalls(d *Disk) *calls {
	return &calls{RawFileSystem: fuse.NewDefaultRawFileSystem(), disk: d, listings: map[uint64][]fuse.DirEntry{}}
}

// cacheFor is long: every change goes through this kernel.
const cacheFor = time.Hour

const blockSize = 4096

func (c *calls) String() string { return "lossfs" }

func (c *calls) node(id uint64) *inode {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	return c.disk.nodes[id]
}

func (c *calls) attr(n *inode, out *fuse.Attr) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	out.Ino, out.Size, out.Mode, out.Nlink, out.Blksize = n.id, uint64(n.size), n.mode, 1, blockSize
	out.Blocks = (out.Size + 511) / 512
	out.SetTimes(&n.mtime, &n.mtime, &n.mtime)
	if !n.linked {
		out.Nlink = 0
	}
}

// entry hands a node to the kernel, which forgets it later.
func (c *calls) entry(n *inode, out *fuse.EntryOut) {
	c.disk.mu.Lock()
	n.seen++
	c.disk.mu.Unlock()
	out.NodeId = n.id
	out.SetEntryTimeout(cacheFor)
	out.SetAttrTimeout(cacheFor)
	c.attr(n, &out.Attr)
}

func (c *calls) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	c.disk.mu.Lock()
	n := c.disk.nodes[in.NodeId].names[name]
	c.disk.mu.Unlock()
	if n == nil {
		return fuse.ENOENT
	}
	c.entry(n, out)
	return fuse.OK
}

func (c *calls) Forget(id, times uint64) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	if n := c.disk.nodes[id]; n != nil {
		n.seen -= min(n.seen, times)
	}
}

func (c *calls) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	c.attr(c.node(in.NodeId), &out.Attr)
	out.SetTimeout(cacheFor)
	return fuse.OK
}

func (c *calls) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := c.node(in.NodeId)
	if size, ok := in.GetSize(); ok {
		if n.isDir() {
			return fuse.EISDIR
		}
		if e := c.disk.resize(n, int64(size)); e != 0 {
			return fuse.Status(e)
		}
	}
	c.disk.mu.Lock()
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode&^uint32(syscall.S_IFMT)
	}
	if t, ok := in.GetMTime(); ok {
		n.mtime = t
	}
	c.disk.mu.Unlock()
	c.attr(n, &out.Attr)
	out.SetTimeout(cacheFor)
	return fuse.OK
}

func (c *calls) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (c *calls) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	n, e := c.disk.create(c.node(in.NodeId), name, syscall.S_IFDIR|in.Mode)
	if e != 0 {
		return fuse.Status(e)
	}
	c.entry(n, out)
	return fuse.OK
}

func (c *calls) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	n, e := c.disk.create(c.node(in.NodeId), name, syscall.S_IFREG|in.Mode&^uint32(syscall.S_IFMT))
	if e != 0 {
		return fuse.Status(e)
	}
	c.entry(n, &out.EntryOut)
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

func (c *calls) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return fuse.Status(c.disk.remove(c.node(in.NodeId), name, false))
}

func (c *calls) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return fuse.Status(c.disk.remove(c.node(in.NodeId), name, true))
}

func (c *calls) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	if in.Flags != 0 {
		return fuse.EINVAL
	}
	return fuse.Status(c.disk.rename(c.node(in.NodeId), name, c.node(in.Newdir), newName))
}

func (c *calls) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := c.node(in.NodeId)
	c.disk.mu.Lock()
	e := c.disk.failsLocked(OpOpen, n.parent, n.name)
	c.disk.mu.Unlock()
	if e == 0 && in.Flags&syscall.O_TRUNC != 0 {
		e = c.disk.resize(n, 0)
	}
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.Status(e)
}

func (c *calls) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	b, e := c.disk.read(c.node(in.NodeId), buf[:min(len(buf), int(in.Size))], int64(in.Offset))
	return fuse.ReadResultData(b), fuse.Status(e)
}

func (c *calls) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n := c.node(in.NodeId)
	written, e := c.disk.write(n, data, int64(in.Offset))
	if e == 0 && in.Flags&syscall.O_DSYNC != 0 { // O_SYNC has its bit
		e = c.disk.sync(n)
	}
	return uint32(written), fuse.Status(e)
}

func (c *calls) Writev(cancel <-chan struct{}, in *fuse.WriteIn, parts [][]byte) (uint32, fuse.Status) {
	if len(parts) == 1 {
		return c.Write(cancel, in, parts[0])
	}
	var data []byte
	for _, p := range parts {
		data = append(data, p...)
	}
	return c.Write(cancel, in, data)
}

func (c *calls) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (c *calls) Release(<-chan struct{}, *fuse.ReleaseIn) {}

func (c *calls) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return fuse.Status(c.disk.sync(c.node(in.NodeId)))
}

func (c *calls) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return fuse.Status(c.disk.sync(c.node(in.NodeId)))
}

func (c *calls) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	c.disk.mu.Lock()
	dir := c.disk.nodes[in.NodeId]
	list := []fuse.DirEntry{{Mode: syscall.S_IFDIR, Name: ".", Ino: dir.id}, {Mode: syscall.S_IFDIR, Name: "..", Ino: dir.id}}
	for name, n := range dir.names {
		list = append(list, fuse.DirEntry{Mode: n.mode, Name: name, Ino: n.id})
	}
	c.disk.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handle++
	out.Fh = c.handle
	c.listings[c.handle] = list
	return fuse.OK
}

func (c *calls) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	c.mu.Lock()
	list := c.listings[in.Fh]
	c.mu.Unlock()
	for i := int(in.Offset); i < len(list); i++ {
		entry := list[i]
		entry.Off = uint64(i) + 1
		if !out.AddDirEntry(entry) {
			break
		}
	}
	return fuse.OK
}

func (c *calls) ReleaseDir(in *fuse.ReleaseIn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.listings, in.Fh)
}

// StatFs tells of a disk of 64 GB that is as full as SetFree says.
func (c *calls) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const whole = 64 << 30 / blockSize
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	free := min(whole, uint64(c.disk.roomLocked())/blockSize)
	out.Blocks, out.Bfree, out.Bavail, out.Bsize, out.Frsize, out.NameLen = whole, free, free, blockSize, blockSize, 255
	out.Files, out.Ffree = 1<<20, 1<<20
	return fuse.OK
}
