package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// data looks at the data directory, and whether a node uses it.
func (e *examination) data() {
	const name = "data"
	dir := directory{path: e.c.Data}
	info, err := os.Stat(dir.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.ok(name, "%s isn't there; the first start makes it", dir.path)
		return
	case err != nil:
		e.fail(name, "run the doctor as the user of the node, or set data", "%s can't be looked at: %v", dir.path, reason(err))
		return
	case !info.IsDir():
		e.fail(name, "set data to a directory", "%s is not a directory", dir.path)
		return
	}
	held, who, err := dir.holder()
	if err != nil {
		e.fail(name, "run the doctor as the user of the node", "%s can't be looked at: %v", dir.file(lockFile), reason(err))
		return
	}
	e.running = held
	made, err := dir.identity()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(dir.file(streamsDir)); err == nil {
			e.fail(name, "restore "+identityFile+" from a backup, or give the node another directory", "%s holds streams but no %s: it isn't natter's, or the file was lost", dir.path, identityFile)
			return
		}
		e.ok(name, "%s is empty; the first start fills it", dir.path)
		return
	case err != nil:
		e.fail(name, "restore "+identityFile+" from a backup", "%s can't be read: %v", dir.file(identityFile), reason(err))
		return
	}
	if why := made.unlike(e.identity(made)); why != "" {
		e.fail(name, "give the node its own directory, or the settings the directory was made with", "%s %s", dir.path, why)
		return
	}
	e.use(dir, made, who)
}

// use says how a directory that fits is used.
func (e *examination) use(dir directory, made identity, who string) {
	of := fmt.Sprintf("of the node %q, format %d", made.Name, made.Format)
	if made.Cluster {
		of += fmt.Sprintf(", in the cluster %q (%s)", made.ClusterName, made.ClusterID)
	}
	_, err := os.Stat(dir.file(runningFile))
	switch {
	case e.running:
		e.ok("data", "%s, in use%s", of, who)
	case err == nil:
		e.warn("data", "nothing: the next start makes again what it left, which may take it a minute", "%s; the last stop was not in order", of)
	default:
		e.ok("data", "%s", of)
	}
}

// identity is what the settings are, as openDirectory would be told.
func (e *examination) identity(made identity) identity {
	as := identity{Name: e.c.Name, Partitions: e.c.Partitions}
	if e.c.Clustered() {
		as.Cluster, as.ClusterName, as.ClusterID = true, e.c.ClusterName, made.ClusterID
		if e.member != nil {
			as.ClusterID = e.member.certs.ClusterID
		}
	}
	return as
}

// holder tells whether a process uses the directory, and which.
func (d *directory) holder() (held bool, who string, err error) {
	f, err := os.Open(d.file(lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	defer f.Close() // which gives the lock up, if it was free
	if held, err = locked(f); err != nil || !held {
		return false, "", err
	}
	text, err := os.ReadFile(d.file(lockFile))
	return true, process(text), err
}

// near is the directory, or the nearest above it that is there.
func (e *examination) near() string {
	dir, err := filepath.Abs(e.c.Data)
	if err != nil {
		return e.c.Data
	}
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// diskLittle is from where on little is free.
const diskLittle = 1 << 30 // bytes

// disk looks at what is free.
func (e *examination) disk() {
	free, err := freeBytes(e.near())
	if err != nil {
		e.fail("disk", "set data to a directory of a file system that tells its free space", "%s doesn't tell its free space: %v", e.near(), err)
		return
	}
	e.room(free)
}

func (e *examination) room(free int64) {
	const do = "make room: history is kept for ever, and below 32 MiB no messages are taken"
	found := fmt.Sprintf("%.2f GiB free", float64(free)/(1<<30))
	switch {
	case free < diskReserve:
		e.fail("disk", do, "%s", found)
	case free < diskLittle:
		e.warn("disk", do, "%s", found)
	default:
		e.ok("disk", "%s", found)
	}
}

// How quickly the disk takes writes for good.
const (
	fsyncWrites = 50
	fsyncBytes  = 4 << 10
	fsyncAtMost = 2 * time.Second // for all of them
	// A message waits for one fsync, and a member of a cluster that takes too long for
	// one misses its turns.
	fsyncSlow    = 20 * time.Millisecond
	fsyncTooSlow = 250 * time.Millisecond
	// fsyncNone is quicker than a disk is.
	fsyncNone = 15 * time.Microsecond
)

// fsync looks whether the directory can be written, and how quickly.
func (e *examination) fsync() {
	took, err := timeSyncs(e.near(), time.Now)
	if err != nil {
		e.fail("fsync", "make the directory the node's user's, on a file system that takes writes", "%s can't be written: %v", e.near(), reason(err))
		return
	}
	e.speed(took)
}

func (e *examination) speed(took []time.Duration) {
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	found := fmt.Sprintf("median %.2f ms, slowest %.2f ms, of %d writes", ms(median), ms(worst), len(took))
	switch {
	case median > fsyncTooSlow:
		e.fail("fsync", "put data on a quicker disk: every message waits for a write and an fsync", "%s", found)
	case median > fsyncSlow:
		e.warn("fsync", "a quicker disk, with protection against power failure, makes every message quicker", "%s", found)
	case median < fsyncNone:
		e.warn("fsync", "put data on a disk that keeps its word: after a power failure what was acknowledged would be gone", "%s: quicker than a disk is, so it is memory, or doesn't wait for its disk", found)
	default:
		e.ok("fsync", "%s", found)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// timeSyncs writes to a file in dir as a log is written, and tells how long each write
// took. At least one is made.
func timeSyncs(dir string, now func() time.Time) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, fsyncBytes)
	for begun := now(); len(took) == 0 || len(took) < fsyncWrites && now().Sub(begun) < fsyncAtMost; {
		at := now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, now().Sub(at))
	}
	return took, nil
}

// files looks at the limit of open files: the running node's, or what one started from
// here would have.
func (e *examination) files() {
	const name = "open files"
	do := fmt.Sprintf("raise the limit (ulimit -n, LimitNOFILE of systemd) to %d, or lower max_connections", e.c.MaxConnections+ownFiles)
	if e.status != nil {
		for _, one := range e.status.Nodes {
			if one.Name == e.c.Name && one.Capacity < e.c.MaxConnections {
				e.warn(name, do, "the node takes %d connections, fewer than max_connections, %d", one.Capacity, e.c.MaxConnections)
				return
			}
		}
		e.ok(name, "enough for max_connections, %d", e.c.MaxConnections)
		return
	}
	open, err := maxOpenFiles()
	switch most := uint64(e.c.MaxConnections) + ownFiles; {
	case err != nil:
		e.warn(name, do, "the limit can't be told: %v", err)
	case open < ownFiles+leastConnections:
		e.fail(name, do, "%d, and the node alone needs %d", open, ownFiles)
	case open < most:
		e.warn(name, do, "%d: the node would take %d connections, fewer than max_connections, %d", open, open-ownFiles, e.c.MaxConnections)
	default:
		e.ok(name, "%d, enough for max_connections, %d", open, e.c.MaxConnections)
	}
}
