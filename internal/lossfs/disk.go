package lossfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Model says which file system's promises the disk keeps; see doc.go.
type Model int

// The models.
const (
	Posix Model = iota
	Journaled
)

// String is the model's name.
func (m Model) String() string { return [...]string{"posix", "journaled"}[m] }

// Disk is the state of a file system: as programs see it, and as it would be
// found after a power failure. Its methods are safe for concurrent use and
// return the errors a program gets.
type Disk struct {
	backing string
	model   Model

	mu      sync.Mutex
	clock   uint64 // counts changes
	next    uint64 // the next inode's number
	root    *inode
	nodes   map[uint64]*inode
	pending []renaming // changes of names that are not on the disk, oldest first
	used    int64      // bytes in files that have a name
	limit   int64      // of used; unlimited is below 0
	fault   func(Call) syscall.Errno
	syncs   uint64
	removed int // since the last collecting
}

// Op names what a program asks, for faults.
type Op string

// The calls that can be made to fail.
const (
	OpCreate Op = "create" // and mkdir
	OpOpen   Op = "open"
	OpRead   Op = "read"
	OpWrite  Op = "write"
	OpSync   Op = "sync" // fsync of a file or a directory
	OpRename Op = "rename"
	OpRemove Op = "remove"
	OpResize Op = "resize"
)

// Call is what a fault is asked about.
type Call struct {
	Op   Op
	Path string // from the root, as a/b
}

// inode is a file or a directory. Everything in it is guarded by the disk's mu.
type inode struct {
	id     uint64
	parent *inode // where it was put last
	name   string
	mode   uint32
	mtime  time.Time
	seen   uint64 // the kernel's references
	linked bool   // it has a name

	// of a directory
	names map[string]*inode // as programs see them
	kept  map[string]*inode // as they are on the disk

	// of a file
	file *os.File
	size int64
	undo []change // since the last fsync, oldest first
}

func (n *inode) isDir() bool { return n.names != nil }

// change is one change of a file's contents, with what it takes to undo it.
type change struct {
	clock   uint64
	at      int64  // where it begins
	old     []byte // what stood there, as far as the file reached
	size    int64  // the length before
	written int64  // bytes written; 0 for a change of length
}

// renaming is one change of names: all of its places change, or none.
type renaming struct {
	clock  uint64
	places []place
}

type place struct {
	dir  *inode
	name string
	node *inode // nil: the name is gone
}

const unlimited = -1

// NewDisk is an empty disk that keeps its files' contents in backing, an empty
// directory.
func NewDisk(backing string, model Model) *Disk {
	d := &Disk{backing: backing, model: model, next: 1, nodes: map[uint64]*inode{}, limit: unlimited}
	d.root = d.newNode(syscall.S_IFDIR | 0o755)
	d.root.linked = true
	return d
}

// SetFree says how many bytes more can be written until the disk is full; below
// 0 there is no end.
func (d *Disk) SetFree(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = unlimited
	if bytes >= 0 {
		d.limit = d.used + bytes
	}
}

// Used is how many bytes its files hold.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Syncs is how often something was fsynced.
func (d *Disk) Syncs() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

// SetFault has every call asked for an error to return instead of being done; 0
// lets it pass. fault is called with the disk locked: it must not block, nor
// call the disk. Nil ends it.
func (d *Disk) SetFault(fault func(Call) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// Close gives the backing files back; their contents stay.
func (d *Disk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		if n.file != nil {
			_ = n.file.Close()
		}
	}
}

func (d *Disk) newNode(mode uint32) *inode {
	n := &inode{id: d.next, mode: mode, mtime: time.Now()}
	if mode&syscall.S_IFMT == syscall.S_IFDIR {
		n.names, n.kept = map[string]*inode{}, map[string]*inode{}
	}
	d.next++
	d.nodes[n.id] = n
	return n
}

func (d *Disk) failsLocked(op Op, dir *inode, name string) syscall.Errno {
	if d.fault == nil {
		return 0
	}
	return d.fault(Call{op, filepath.Join(pathOf(dir), name)})
}

func pathOf(n *inode) string {
	if n == nil || n.parent == nil {
		return ""
	}
	return filepath.Join(pathOf(n.parent), n.name)
}

// roomLocked is how much more can be written.
func (d *Disk) roomLocked() int64 {
	if d.limit < 0 {
		return 1 << 40
	}
	return max(0, d.limit-d.used)
}

// create makes a file or a directory.
func (d *Disk) create(dir *inode, name string, mode uint32) (*inode, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpCreate, dir, name); e != 0 {
		return nil, e
	}
	if _, ok := dir.names[name]; ok {
		return nil, syscall.EEXIST
	}
	if !dir.linked {
		return nil, syscall.ENOENT
	}
	if d.roomLocked() == 0 {
		return nil, syscall.ENOSPC
	}
	n := d.newNode(mode)
	if !n.isDir() {
		f, err := os.OpenFile(filepath.Join(d.backing, strconv.FormatUint(n.id, 10)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			delete(d.nodes, n.id)
			return nil, errnoOf(err)
		}
		n.file = f
	}
	d.renameLocked(place{dir, name, n})
	return n, 0
}

// remove takes a name away; wantDir says which kind it must be of.
func (d *Disk) remove(dir *inode, name string, wantDir bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpRemove, dir, name); e != 0 {
		return e
	}
	n := dir.names[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case wantDir && !n.isDir():
		return syscall.ENOTDIR
	case !wantDir && n.isDir():
		return syscall.EISDIR
	case wantDir && len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	d.renameLocked(place{dir, name, nil})
	d.collectLocked()
	return 0
}

// rename moves a name, over what is there.
func (d *Disk) rename(from *inode, name string, to *inode, newName string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpRename, to, newName); e != 0 {
		return e
	}
	n, over := from.names[name], to.names[newName]
	switch {
	case n == nil:
		return syscall.ENOENT
	case n == over:
		return 0
	case over != nil && over.isDir() && !n.isDir():
		return syscall.EISDIR
	case over != nil && !over.isDir() && n.isDir():
		return syscall.ENOTDIR
	case over != nil && over.isDir() && len(over.names) > 0:
		return syscall.ENOTEMPTY
	}
	d.renameLocked(place{from, name, nil}, place{to, newName, n})
	d.collectLocked()
	return 0
}

// renameLocked makes one change of names, which waits for an fsync.
func (d *Disk) renameLocked(places ...place) {
	d.clock++
	for _, p := range places {
		if was := p.dir.names[p.name]; was != nil {
			was.linked = false
			d.used -= was.size
		}
		if p.node == nil {
			delete(p.dir.names, p.name)
		} else {
			p.dir.names[p.name] = p.node
			p.node.parent, p.node.name, p.node.linked = p.dir, p.name, true
			d.used += p.node.size
		}
		p.dir.mtime = time.Now()
	}
	d.pending = append(d.pending, renaming{d.clock, places})
}

// write writes data at a place. Like a disk that runs full in the middle, it
// takes what it has room for.
func (d *Disk) write(n *inode, data []byte, at int64) (int, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpWrite, n.parent, n.name); e != 0 {
		return 0, e
	}
	if more := at + int64(len(data)) - n.size; n.linked && more > d.roomLocked() {
		if data = data[:max(0, int64(len(data))-(more-d.roomLocked()))]; len(data) == 0 {
			return 0, syscall.ENOSPC
		}
	}
	end := at + int64(len(data))
	c := change{at: at, size: n.size, written: int64(len(data))}
	if at < n.size {
		c.old = make([]byte, min(end, n.size)-at)
		if _, err := n.file.ReadAt(c.old, at); err != nil {
			return 0, errnoOf(err)
		}
	}
	if _, err := n.file.WriteAt(data, at); err != nil {
		return 0, errnoOf(err)
	}
	d.changedLocked(n, c, max(n.size, end))
	return len(data), 0
}

// resize makes a file shorter or longer.
func (d *Disk) resize(n *inode, size int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpResize, n.parent, n.name); e != 0 {
		return e
	}
	c := change{at: size, size: n.size}
	if size < n.size {
		c.old = make([]byte, n.size-size)
		if _, err := n.file.ReadAt(c.old, size); err != nil {
			return errnoOf(err)
		}
	} else if n.linked && size-n.size > d.roomLocked() {
		return syscall.ENOSPC
	}
	if err := n.file.Truncate(size); err != nil {
		return errnoOf(err)
	}
	d.changedLocked(n, c, size)
	return 0
}

func (d *Disk) changedLocked(n *inode, c change, size int64) {
	d.clock++
	c.clock = d.clock
	n.undo = append(n.undo, c)
	n.mtime = time.Now()
	if n.linked {
		d.used += size - n.size
	}
	n.size = size
}

// read fills buf from a place, as far as the file reaches.
func (d *Disk) read(n *inode, buf []byte, at int64) ([]byte, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpRead, n.parent, n.name); e != 0 {
		return nil, e
	}
	if at >= n.size {
		return nil, 0
	}
	buf = buf[:min(int64(len(buf)), n.size-at)]
	if _, err := n.file.ReadAt(buf, at); err != nil {
		return nil, errnoOf(err)
	}
	return buf, 0
}

// sync puts a file or a directory on the disk, as it is now.
func (d *Disk) sync(n *inode) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.failsLocked(OpSync, n.parent, n.name); e != 0 {
		return e
	}
	d.syncLocked(n)
	return 0
}

func (d *Disk) syncLocked(n *inode) {
	d.syncs++
	n.undo = nil
	switch {
	case d.model == Journaled:
		d.keepLocked(func(*renaming) bool { return true })
	case n.isDir():
		d.keepLocked(touching(n))
	}
}

// touching picks the changes of a directory's names and, because changes are
// kept in order, the earlier ones of every directory they touch. It is asked
// from the newest to the oldest.
func touching(dir *inode) func(*renaming) bool {
	dirs := map[*inode]bool{dir: true}
	return func(r *renaming) bool {
		picked := false
		for _, p := range r.places {
			picked = picked || dirs[p.dir]
		}
		if picked {
			for _, p := range r.places {
				dirs[p.dir] = true
			}
		}
		return picked
	}
}

// keepLocked puts the changes of names that pick chooses on the disk. pick is
// asked from the newest to the oldest.
func (d *Disk) keepLocked(pick func(*renaming) bool) {
	if len(d.pending) == 0 {
		return
	}
	picked := make([]bool, len(d.pending))
	for i := len(d.pending) - 1; i >= 0; i-- {
		picked[i] = pick(&d.pending[i])
	}
	var left []renaming
	for i, r := range d.pending {
		if !picked[i] {
			left = append(left, r)
			continue
		}
		for _, p := range r.places {
			if p.node == nil {
				delete(p.dir.kept, p.name)
			} else {
				p.dir.kept[p.name] = p.node
			}
		}
	}
	d.pending = left
}

// collectLocked lets go of the contents that nobody can reach any more, now or
// after a power failure.
func (d *Disk) collectLocked() {
	if d.removed++; d.removed < 64 {
		return
	}
	d.removed = 0
	alive := map[*inode]bool{d.root: true}
	var reach func(*inode)
	reach = func(n *inode) {
		if n == nil || alive[n] {
			return
		}
		alive[n] = true
		for _, m := range n.names {
			reach(m)
		}
		for _, m := range n.kept {
			reach(m)
		}
	}
	for _, m := range d.root.names {
		reach(m)
	}
	for _, m := range d.root.kept {
		reach(m)
	}
	for _, r := range d.pending {
		for _, p := range r.places {
			reach(p.dir)
			reach(p.node)
		}
	}
	for _, n := range d.nodes {
		if !alive[n] && n.seen == 0 {
			d.dropLocked(n)
		}
	}
}

func (d *Disk) dropLocked(n *inode) {
	delete(d.nodes, n.id)
	if n.file != nil {
		_ = n.file.Close()
		_ = os.Remove(n.file.Name())
		n.file = nil
	}
}

func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	if p, ok := err.(*os.PathError); ok {
		if e, ok = p.Err.(syscall.Errno); ok {
			return e
		}
	}
	return syscall.EIO
}

// String says how full it is, for logs.
func (d *Disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("%d bytes in %d files and directories, %d changes of names not on the disk", d.used, len(d.nodes), len(d.pending))
}
