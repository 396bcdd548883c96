package lossfs

import (
	"fmt"
	"math/rand/v2"
)

// Survival says what of the unsynced survives a power failure.
type Survival int

// The survivals; see doc.go.
const (
	Nothing   Survival = iota // the worst case of a disk that wrote nothing back
	Something                 // what a kernel may have written back, by a seed
)

// String is the survival's name.
func (s Survival) String() string { return [...]string{"nothing", "something"}[s] }

// Loss is what a power failure took.
type Loss struct {
	Files int   // whose contents changed
	Bytes int64 // written to them and gone
	Torn  int   // files whose last change was cut in the middle
	Names int   // changes of names
}

// String is the loss in a few words.
func (l Loss) String() string {
	return fmt.Sprintf("%d bytes of %d files (%d torn) and %d changes of names", l.Bytes, l.Files, l.Torn, l.Names)
}

// PowerFail takes back what is not on the disk. No program may have the disk
// open: call it through FS.PowerFail.
func (d *Disk) PowerFail(survival Survival, random *rand.Rand) Loss {
	d.mu.Lock()
	defer d.mu.Unlock()
	var loss Loss
	if survival == Something {
		d.keepSomeLocked(random)
	}
	loss.Names = len(d.pending)
	d.pending = nil
	for id := uint64(1); id < d.next; id++ { // in order, so that a seed tells all
		if n := d.nodes[id]; n != nil && n.file != nil {
			surviving, cut := 0, int64(-1)
			if survival == Something {
				surviving, cut = someOf(n.undo, random)
			}
			n.takeBack(surviving, cut, &loss)
		}
	}
	d.namesAsKeptLocked()
	return loss
}

// keepSomeLocked keeps some of the changes of names.
func (d *Disk) keepSomeLocked(random *rand.Rand) {
	if d.model == Journaled {
		last := uint64(0)
		if n := random.IntN(len(d.pending) + 1); n > 0 {
			last = d.pending[n-1].clock
		}
		d.keepLocked(func(r *renaming) bool { return r.clock <= last })
		return
	}
	dirs := map[*inode]bool{}
	d.keepLocked(func(r *renaming) bool {
		picked := random.IntN(2) == 0
		for _, p := range r.places {
			picked = picked || dirs[p.dir] // a later one of this directory is kept, so this is
		}
		for _, p := range r.places {
			dirs[p.dir] = dirs[p.dir] || picked
		}
		return picked
	})
}

// someOf is how many of a file's changes survive, and how much of the next one:
// none of it (-1) or its first bytes.
func someOf(undo []change, random *rand.Rand) (surviving int, cut int64) {
	n := len(undo)
	switch random.IntN(3) {
	case 0: // none
	case 1:
		surviving = n
	default:
		surviving = random.IntN(n + 1)
	}
	if surviving < n && undo[surviving].written > 1 && random.IntN(2) == 0 {
		return surviving, 1 + random.Int64N(undo[surviving].written-1)
	}
	return surviving, -1
}

// takeBack undoes a file's changes, the newest first, but the first surviving
// ones and, if cut isn't below 0, the first cut bytes of the one after them.
func (n *inode) takeBack(surviving int, cut int64, loss *Loss) {
	if surviving < len(n.undo) {
		loss.Files++
	}
	for i := len(n.undo) - 1; i >= surviving; i-- {
		c := n.undo[i]
		at, old, size := c.at, c.old, c.size
		if i == surviving && cut >= 0 {
			loss.Torn++
			loss.Bytes -= cut
			at += cut
			old = old[min(cut, int64(len(old))):]
			size = max(size, at)
		}
		loss.Bytes += c.written
		if len(old) > 0 {
			if _, err := n.file.WriteAt(old, at); err != nil {
				panic("lossfs: the backing directory: " + err.Error())
			}
		}
		if err := n.file.Truncate(size); err != nil {
			panic("lossfs: the backing directory: " + err.Error())
		}
		n.size = size
	}
	n.undo = nil
}

// namesAsKeptLocked makes the tree what is on the disk.
func (d *Disk) namesAsKeptLocked() {
	d.used = 0
	for _, n := range d.nodes {
		n.seen, n.linked, n.parent = 0, false, nil
	}
	d.root.linked = true
	var restore func(*inode)
	restore = func(dir *inode) {
		dir.names = make(map[string]*inode, len(dir.kept))
		for name, n := range dir.kept {
			dir.names[name] = n
			n.parent, n.name, n.linked = dir, name, true
			d.used += n.size
			if n.isDir() {
				restore(n)
			}
		}
	}
	restore(d.root)
	for _, n := range d.nodes {
		if !n.linked {
			d.dropLocked(n)
		}
	}
}
