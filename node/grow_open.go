package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"natter/config"
)

// open takes both directories. already: an earlier growth got to its end.
func (g *growing) open(old string) (already bool, err error) {
	c, now := g.config, time.Now()
	if !c.Clustered() {
		return false, &config.Error{Field: "cluster", Detail: "must be set: `natter cluster grow` runs as a member of the new cluster"}
	}
	if g.member, err = newMember(c, now); err != nil {
		return false, err
	}
	if same(old, c.Data) {
		return false, &DataError{old, "is this member's own: move the old store to another directory, and name that"}
	}
	if g.old, err = openOld(old, g.member.certs.ClusterID, now); err != nil {
		return false, err
	}
	if g.old.made.Partitions != c.Partitions {
		return false, &config.Error{Field: "partitions", Detail: fmt.Sprintf("must be %d for every member, as the old store was made with; not %d", g.old.made.Partitions, c.Partitions)}
	}
	as := identity{Name: c.Name, Partitions: c.Partitions, Cluster: true, ClusterName: c.ClusterName, ClusterID: g.member.certs.ClusterID}
	if g.data, err = openDirectory(c.Data, as, now); err != nil {
		return false, err
	}
	own, err := openRoll(g.data, c.Name, len(c.Cluster), g.log.With("part", "roll"))
	if err != nil {
		return false, err
	}
	g.member.enter(own)
	if g.data.made.Joined {
		if g.old.made.Grown.ClusterID != "" {
			return true, nil
		}
		return false, g.founded("")
	}
	free, err := freeBytes(c.Data)
	if err != nil {
		return false, err
	}
	return false, g.room(c.Name, free)
}

// founded refuses a cluster that there is already.
func (g *growing) founded(when string) error {
	return &DataError{g.config.Data, fmt.Sprintf("is of the cluster %q, which was made%s and may hold data: a store can only grow into members with empty data directories", g.config.ClusterName, when)}
}

// room refuses a disk that is too small.
func (g *growing) room(node string, free int64) error {
	if need := g.old.size() + diskReserve; free < need {
		return &DataError{g.old.path, fmt.Sprintf("takes %d MiB with what must stay free, and the disk of %s has %d MiB", need>>20, node, free>>20)}
	}
	return nil
}

func same(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// openOld takes the directory of a single node that was stopped in order. One that
// was about to grow into the same cluster may be taken again.
func openOld(path, cluster string, now time.Time) (_ *directory, err error) {
	refuse := func(format string, args ...any) error { return &DataError{path, fmt.Sprintf(format, args...)} }
	made, err := (&directory{path: path}).identity()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("has no %s: it isn't the store of a node", identityFile)
	case err != nil:
		return nil, refuse("has a %s that can't be read: %v", identityFile, reason(err))
	case made.Cluster:
		return nil, refuse("belongs to the cluster %q: only a single node's store can grow", made.ClusterName)
	}
	as := made
	if made.Grown.ClusterID != cluster {
		as.Grown = grown{} // any other is refused
	}
	d, err := openDirectory(path, as, now)
	if err != nil {
		return nil, err
	}
	switch _, err := os.Stat(d.file(streamsDir)); {
	case err != nil:
		err = refuse("holds no streams: %v", reason(err))
		return nil, errors.Join(err, d.close())
	case !d.clean:
		err = refuse("was not stopped in order, and a copy mends nothing: start its node once more, alone, and stop it with SIGTERM")
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}
