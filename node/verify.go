package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"natter/blocks"
	"natter/jetstream"
)

// Before NATS starts, a member of a cluster looks whether its files still are what was
// written. What NATS can't read it leaves out without a word, and where the last stop
// wasn't in order it cuts off all that stands behind it; from then on every read that
// this node answers would lack it.
//
// A flipped bit in a sequence even has it count up to that, which it never ends.
//
// After a stop in order all of the files is on the disk, and what can't be read is
// damage. After another one it need not be. NATS puts a stream's files on the disk
// only before it makes a snapshot of the stream's state in its Raft group, and makes
// what is newer again from the group's log. So:
//
//	sequences   1 ────────── the snapshot's last ────────── the file's last
//	            can't be read: damaged        can't be read: written again
//
// The names of the groups are kept from the last run.

const (
	groupsFile = "groups" // of Raft, of each stream
	// verifyWithin bounds how long a start looks. What it hasn't seen by then the scrub
	// does.
	verifyWithin = 20 * time.Second
	// minSnapshot is the least a snapshot of a Raft group is.
	minSnapshot = 28
)

// verified is what a look at a stream's files came to.
type verified int

const (
	sound    verified = iota
	doubtful          // not all can be read, which may be in order
	damaged
)

// verify looks at all streams' files until late.
func (d *directory) verify(late time.Time) (found map[string]verified, err error) {
	groups, err := d.groups()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(d.file(streamsDir), "jetstream")
	dirs, err := os.ReadDir(filepath.Join(root, account, "streams"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found = map[string]verified{}
	for _, dir := range dirs {
		name := dir.Name()
		if !jetstream.ValidStream(name) {
			continue
		}
		last, right, err := verifyStream(filepath.Join(root, account, "streams", name, "msgs"), name, late)
		if err != nil {
			return nil, err
		}
		kept := lastOfSnapshot(filepath.Join(root, systemAccount, "_js_", groups[name], "snapshots"))
		switch {
		case right && last >= kept:
			found[name] = sound
		case !right && (d.clean || last < kept):
			found[name] = damaged
		default:
			found[name] = doubtful
		}
	}
	return found, nil
}

// verifyStream looks at the files of one stream, in their order, and returns the highest
// sequence up to where one can't be read. Files that there is no time for pass.
func verifyStream(dir, name string, late time.Time) (last uint64, right bool, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.blk"))
	if err != nil {
		return 0, false, err
	}
	byIndex := map[uint32]string{}
	for _, path := range files {
		index, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".blk"), 10, 32)
		if err == nil {
			byIndex[uint32(index)] = path
		}
	}
	for _, index := range slices.Sorted(maps.Keys(byIndex)) {
		if time.Now().After(late) {
			return ^uint64(0), true, nil
		}
		b, err := os.ReadFile(byIndex[index])
		if err != nil {
			return 0, false, err
		}
		upTo, right := blocks.Check(name, index, b)
		last = max(last, upTo)
		if !right {
			return last, false, nil
		}
	}
	return last, true, nil
}

// lastOfSnapshot is the last sequence of a stream that the newest snapshot of its group
// tells of; 0 if there is none, or it can't be read.
func lastOfSnapshot(dir string) uint64 {
	files, err := filepath.Glob(filepath.Join(dir, "snap.*"))
	if err != nil {
		return 0
	}
	var last uint64
	for _, path := range files { // NATS keeps the newest only; if it was about to delete one, both are of the stream
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if one, err := parseSnapshot(b); err == nil {
			last = max(last, one)
		}
	}
	return last
}

// parseSnapshot reads the last sequence of a stream from its group's snapshot: term and
// index, the length of the peers' state and that state, the stream's state, a sum. The
// stream's state begins with how many entries and bytes it has, and its first and last
// sequence.
func parseSnapshot(b []byte) (last uint64, err error) {
	const stateHead, before = 2, 3 // bytes, and numbers before the last sequence
	if len(b) < minSnapshot {
		return 0, errors.New("it is too short")
	}
	from, to := 20+uint64(binary.LittleEndian.Uint32(b[16:])), uint64(len(b)-8)
	if from > to || !server.IsEncodedStreamState(b[from:to]) {
		return 0, errors.New("it is not of a stream, or of another format")
	}
	state := b[from+stateHead : to]
	for range before + 1 {
		n := 0
		if last, n = binary.Uvarint(state); n <= 0 {
			return 0, errors.New("it ends too soon")
		}
		state = state[n:]
	}
	return last, nil
}

// lookAtFiles finds what is damaged before NATS reads it, sets it aside, and has what is
// doubtful compared first.
func (n *Node) lookAtFiles() error {
	if n.config.ScrubInterval == 0 {
		return nil
	}
	n.stage.is("looking at the files")
	found, err := n.data.verify(time.Now().Add(verifyWithin))
	if err != nil { // NATS will say so, if it can't read them either
		n.log.Warn("the files can't all be looked at", "err", err)
		return nil
	}
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		switch found[name] {
		case damaged:
			bad = append(bad, name)
		case doubtful:
			n.compareFirst = append(n.compareFirst, name)
		}
	}
	// Most of them at once are no bits that flipped: somebody else has to judge.
	if 2*len(bad) > len(found) {
		n.compareFirst, bad = append(n.compareFirst, bad...), nil
	}
	if len(bad) == 0 {
		return nil
	}
	n.log.Error("the disk has damaged files of some streams", "streams", bad)
	return n.makeAnew(bad)
}

// noteGroups keeps the names of the streams' Raft groups for the next start. It ends
// with the node, or when they are kept.
func (n *Node) noteGroups() {
	ctx, cancel := n.whileServing()
	defer cancel()
	every(ctx, asideLook, func() {
		groups := map[string]string{}
		for _, l := range n.store.Leaders(ctx) {
			if l.Group == "" {
				return
			}
			groups[l.Stream] = l.Group
		}
		if err := n.data.noteGroups(groups); err != nil {
			n.log.Warn("the names of the Raft groups aren't kept", "err", err)
		}
		cancel()
	})
}

// groups are the Raft groups as the last run kept them, by stream.
func (d *directory) groups() (map[string]string, error) {
	b, err := os.ReadFile(d.file(groupsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseGroups(b), nil
}

// parseGroups reads them. What can't be a name isn't taken for one.
func parseGroups(b []byte) map[string]string {
	var groups map[string]string
	if json.Unmarshal(b, &groups) != nil {
		return nil
	}
	maps.DeleteFunc(groups, func(_, group string) bool {
		return group == "." || !filepath.IsLocal(group) || filepath.Base(group) != group
	})
	return groups
}

func (d *directory) noteGroups(groups map[string]string) error {
	if have, err := d.groups(); err == nil && maps.Equal(have, groups) {
		return nil
	}
	b, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	if err := writeSynced(d.file(groupsFile+".new"), b); err != nil {
		return err
	}
	return errors.Join(os.Rename(d.file(groupsFile+".new"), d.file(groupsFile)), syncDirectory(d.path))
}

// whileServing ends with the node, or when end is called. It is for a goroutine of
// n.serving.
func (n *Node) whileServing() (_ context.Context, end context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	n.serving.Go(func() {
		select {
		case <-n.quit:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}
