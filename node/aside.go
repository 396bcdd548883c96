package node

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"natter/jetstream"
)

const (
	refillFile = "refill" // streams that are set aside at the next start
	asideDir   = "aside"  // their files, until the streams are equal on all nodes again
)

// markRefill leaves the mark for the next start.
func (d *directory) markRefill(o *refillOrder) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return writeSynced(d.file(refillFile), b)
}

// toRefill is the mark; nil if there is none.
func (d *directory) toRefill() (*refillOrder, error) {
	b, err := os.ReadFile(d.file(refillFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseRefill(b)
}

// setAside moves streams' files from where NATS looks for them, and takes the mark
// away. Where the disk has no room for both it deletes them: the others have it all.
func (d *directory) setAside(streams []string) error {
	for _, name := range streams {
		if err := jetstream.SetAside(d.file(streamsDir), account, name, d.file(asideDir)); err != nil {
			return err
		}
		free, err := freeBytes(d.path)
		if err == nil && free < 2*diskReserve+sizeOf(filepath.Join(d.file(asideDir), name)) {
			err = d.deleteAside(name)
		}
		if err != nil {
			return err
		}
	}
	return d.refillDone()
}

func (d *directory) refillDone() error {
	if err := os.Remove(d.file(refillFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDirectory(d.path)
}

// aside are the streams whose files are set aside.
func (d *directory) aside() ([]string, error) {
	all, err := os.ReadDir(d.file(asideDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var streams []string
	for _, one := range all {
		streams = append(streams, one.Name())
	}
	return streams, err
}

func (d *directory) deleteAside(stream string) error {
	return os.RemoveAll(filepath.Join(d.file(asideDir), stream))
}
