package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DataError says why a data directory can't be used; one line for the operator.
type DataError struct {
	Dir    string
	Detail string
}

// Error is the line.
func (e *DataError) Error() string { return fmt.Sprintf("the data directory %s %s", e.Dir, e.Detail) }

// dataFormat is the version of the directory's layout and of what is in it. A
// node reads its own only; a later one that can bring an older one up to date
// does so before it changes the number.
const dataFormat = 1

// The files of a data directory.
const (
	identityFile = "natter.json" // what it was made with
	lockFile     = "lock"        // held by the one process that uses it
	runningFile  = "running"     // there while a node runs: at start it means a crash
	rollFile     = "members"     // a member's copy of the cluster's roll
	streamsDir   = "jetstream"
	// storeFile is the id of what is beside it. It lies among the streams, so that
	// who empties them takes it away too.
	storeFile = streamsDir + "/store"
)

// identity is what a data directory was made with, and can't be changed by
// starting a node differently.
type identity struct {
	Format     int    `json:"format"`
	Partitions int    `json:"partitions"`
	Name       string `json:"name"`
	// Cluster says that it is a member's, of the cluster of that name and id.
	Cluster     bool   `json:"cluster"`
	ClusterName string `json:"cluster_name,omitempty"`
	ClusterID   string `json:"cluster_id,omitempty"`
	// Joined says that the cluster has taken this member in: until then Partitions
	// is only what it was started with.
	Joined bool `json:"joined,omitempty"`
	// Grown is the cluster that was made of this single node's store: from then on
	// the people are there.
	Grown   grown     `json:"grown,omitzero"`
	Created time.Time `json:"created"`
}

// grown is into what a store has grown; without an id, into nothing.
type grown struct {
	ClusterName string    `json:"cluster_name"`
	ClusterID   string    `json:"cluster_id"`
	At          time.Time `json:"at"`
}

// directory is a data directory in use by this process.
type directory struct {
	path  string
	lock  *os.File
	clean bool // the last node stopped in order, or there was none
	fresh bool // made just now
	made  identity
}

// openDirectory makes, locks and checks the data directory of a node that is what
// as says. It must be closed.
func openDirectory(path string, as identity, now time.Time) (_ *directory, err error) {
	refuse := func(format string, args ...any) error { return &DataError{path, fmt.Sprintf(format, args...)} }
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, refuse("can't be made: %v", reason(err))
	}
	d := &directory{path: path}
	if d.lock, err = os.OpenFile(d.file(lockFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, refuse("can't be written: %v", reason(err))
	}
	defer func() {
		if err != nil {
			_ = d.lock.Close() // which also unlocks
		}
	}()
	if err := lock(d.lock); err != nil {
		holder, _ := os.ReadFile(d.file(lockFile))
		return nil, refuse("is in use by another natter%s", process(holder))
	}
	if err := d.note(); err != nil {
		return nil, refuse("can't be written: %v", reason(err))
	}
	made, err := d.identity()
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.file(streamsDir)); err == nil {
			return nil, refuse("holds streams but no %s: it isn't natter's, or the file was lost", identityFile)
		}
		d.fresh = true
		made = as
		made.Format, made.Created = dataFormat, now.UTC().Truncate(time.Second)
		if err := d.make(made); err != nil {
			return nil, refuse("can't be written: %v", reason(err))
		}
	} else if err != nil {
		return nil, refuse("has a %s that can't be read: %v", identityFile, reason(err))
	}
	if made.Cluster && !made.Joined {
		made.Format = dataFormat // nothing is kept yet; a natter of another one may have been refused
	}
	if why := made.unlike(as); why != "" {
		return nil, refuse("%s", why)
	}
	d.made = made
	if _, err = os.Stat(d.file(runningFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("can't be read: %v", reason(err))
	}
	d.clean = err != nil
	return d, nil
}

// unlike says why a node that is what as says can't use what was made; empty if it can.
func (made identity) unlike(as identity) string {
	switch {
	case made.Format != dataFormat:
		return fmt.Sprintf("is of format %d, this natter reads format %d", made.Format, dataFormat)
	case made.Grown.ClusterID != as.Grown.ClusterID:
		return fmt.Sprintf("has grown into the cluster %q (%s) on %s, where people have gone on since: start a member of that. To go back to what this store was then, take \"grown\" out of its %s",
			made.Grown.ClusterName, made.Grown.ClusterID, made.Grown.At.Format(time.DateOnly), identityFile)
	case as.Cluster && !made.Cluster:
		return "was made by a single node, and a cluster would delete its streams: start it without cluster, or make a cluster of it: `natter cluster grow` copies it into members with empty data directories"
	case made.Cluster && !as.Cluster:
		return fmt.Sprintf("belongs to the cluster %q, and a node alone would lose its streams: start it with the cluster's settings (cluster, cluster_listen, cluster_certs)", made.ClusterName)
	case made.ClusterID != as.ClusterID:
		return fmt.Sprintf("belongs to the cluster %s (%q); the certificates in cluster_certs are of the cluster %s", made.ClusterID, made.ClusterName, as.ClusterID)
	case made.ClusterName != as.ClusterName:
		return fmt.Sprintf("belongs to the cluster %q; this node was started with cluster_name: %s", made.ClusterName, as.ClusterName)
	case made.Partitions != as.Partitions && made.Joined == made.Cluster:
		return fmt.Sprintf("was made with partitions: %d, which can't change; this node was started with %d", made.Partitions, as.Partitions)
	case made.Name != as.Name:
		return fmt.Sprintf("belongs to the node %q; this one was started as %q", made.Name, as.Name)
	}
	return ""
}

// join notes that the cluster has taken this node in, with its partitions.
func (d *directory) join(partitions int) error {
	if d.made.Joined && d.made.Partitions == partitions {
		return nil
	}
	d.made.Joined, d.made.Partitions = true, partitions
	return d.make(d.made)
}

// started leaves the mark: from here on, an end without stopped is a crash.
func (d *directory) started() error {
	if err := writeSynced(d.file(runningFile), []byte("a node is running, or was stopped by force\n")); err != nil {
		return &DataError{d.path, fmt.Sprintf("can't be written: %v", reason(err))}
	}
	return nil
}

// store is the id of the directory's streams; one is made for those that have none,
// as where there are no streams yet.
func (d *directory) store() (id string, err error) {
	if id, err = d.storeThere(); id != "" || err != nil {
		return id, err
	}
	refuse := func(format string, args ...any) error { return &DataError{d.path, fmt.Sprintf(format, args...)} }
	if err := os.MkdirAll(d.file(streamsDir), 0o700); err != nil {
		return "", refuse("can't be written: %v", reason(err))
	}
	id = newStore()
	if err := writeSynced(d.file(storeFile), []byte(id+"\n")); err != nil {
		return "", refuse("can't be written: %v", reason(err))
	}
	return id, syncDirectory(d.path)
}

// storeThere is the id of the directory's streams; empty if they have none.
func (d *directory) storeThere() (id string, err error) {
	b, err := os.ReadFile(d.file(storeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &DataError{d.path, fmt.Sprintf("can't be read: %v", reason(err))}
	}
	if id = strings.TrimSpace(string(b)); !isStore(id) {
		return "", &DataError{d.path, fmt.Sprintf("has a %s that isn't the id of a store: %.40q", storeFile, id)}
	}
	return id, nil
}

func (d *directory) file(name string) string { return filepath.Join(d.path, name) }

// note writes our process into the lock file, for the next one's message.
func (d *directory) note() error {
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

func process(holder []byte) string {
	pid := strings.TrimSpace(string(holder))
	if pid == "" || strings.Trim(pid, "0123456789") != "" {
		return ""
	}
	return " (process " + pid + ")"
}

func (d *directory) identity() (identity, error) {
	b, err := os.ReadFile(d.file(identityFile))
	if err != nil {
		return identity{}, err
	}
	return parseIdentity(b)
}

// parseIdentity reads natter.json.
func parseIdentity(b []byte) (made identity, err error) {
	return made, json.Unmarshal(b, &made)
}

// make writes natter.json whole or not at all.
func (d *directory) make(made identity) error {
	b, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(d.file(identityFile+".new"), append(b, '\n')); err != nil {
		return err
	}
	if err := os.Rename(d.file(identityFile+".new"), d.file(identityFile)); err != nil {
		return err
	}
	return syncDirectory(d.path)
}

// settle puts on the disk the names of what NATS has made, and what its streams
// are: NATS syncs the contents of a log, but not the directories above it, and
// nothing at all of a stream that may lose its end. Without it a power failure
// could take away, with the name, what was synced.
func (d *directory) settle() error {
	err := filepath.WalkDir(d.file(streamsDir), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // a temporary file
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			return syncDirectory(path)
		case strings.HasPrefix(entry.Name(), "meta."):
			return syncFile(path)
		}
		return nil
	})
	_ = syncDirectory(filepath.Dir(d.path)) // a service may not be allowed to read there
	return errors.Join(err, syncDirectory(d.path))
}

// stopped takes the mark away: what is on the disk now is all there was. First
// everything goes to the disk, because the next start trusts it: a mark that is
// gone and pages that were never written would be a silent loss.
func (d *directory) stopped() error {
	if err := d.settleAll(); err != nil {
		return err
	}
	if err := os.Remove(d.file(runningFile)); err != nil {
		return err
	}
	return syncDirectory(d.path)
}

// settleAll puts everything of the streams on the disk.
func (d *directory) settleAll() error {
	return filepath.WalkDir(d.file(streamsDir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			if entry.IsDir() {
				err = syncDirectory(path)
			} else {
				err = syncFile(path)
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // a file that was there for a moment
			return nil
		}
		return err
	})
}

// close unlocks.
func (d *directory) close() error { return d.lock.Close() }

// size is how many bytes the streams occupy; 0 when that can't be told.
func (d *directory) size() int64 { return sizeOf(d.file(streamsDir)) }

func sizeOf(path string) int64 {
	var total int64
	_ = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncParent(path string) error { return syncDirectory(filepath.Dir(path)) }

func syncDirectory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// reason is an error of the file system without the path, which the message has.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
