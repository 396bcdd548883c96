package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"natter/config"
	"natter/jetstream"
)

// Finding is one thing that is wrong with a store.
type Finding = jetstream.Finding

// RepairReport is what a repair or a check came to.
type RepairReport struct {
	Clean bool      `json:"clean"` // nothing is left
	Found []Finding `json:"found"`
	Left  []Finding `json:"left"`
}

// Repair verifies the store in a data directory and, unless check is set, repairs
// what can be. No node may run there; the directory must exist already. It needs no
// settings: what the directory was made with is all that matters. progress, which
// must not block, is told how far a stream has been read. Besides *DataError,
// errors are of the machine; the next start then looks as after a crash.
func Repair(ctx context.Context, c *config.Config, check bool, log *slog.Logger, progress func(stream string, read, last uint64)) (_ *RepairReport, err error) {
	made, err := (&directory{path: c.Data}).identity()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DataError{c.Data, fmt.Sprintf("has no %s: there is nothing to repair", identityFile)}
	}
	if err != nil {
		return nil, &DataError{c.Data, fmt.Sprintf("has a %s that can't be read: %v", identityFile, reason(err))}
	}
	if made.Cluster {
		return nil, &DataError{c.Data, fmt.Sprintf("belongs to the cluster %q, whose members mend each other; natter repair is for a node alone", made.ClusterName)}
	}
	d, err := openDirectory(c.Data, made, time.Now())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	// NATS makes what it misses, so that a check would hide that all is gone.
	if _, err := os.Stat(filepath.Join(d.file(streamsDir))); err != nil {
		return nil, &DataError{c.Data, fmt.Sprintf("holds no streams: %v", reason(err))}
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if !check {
		if err := d.started(); err != nil {
			return nil, err
		}
	}
	server, err := startServer(d, made.Name, true, nil, log, func(err error) { fail(err) })
	if err != nil {
		return nil, err
	}
	o := jetstream.RepairOptions{Progress: progress, Store: jetstream.Options{
		Connect: server.connect, Partitions: made.Partitions, Node: made.Name, Clean: d.clean, Replicas: 1,
		QueueRetention: c.QueueRetention, Log: log.With("part", "store"), Fatal: fail,
	}}
	report := &RepairReport{}
	if check {
		report.Found, err = jetstream.Check(ctx, o)
		report.Left = report.Found
	} else {
		report.Found, report.Left, err = jetstream.Repair(ctx, o)
	}
	server.shutdown()
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if err == nil && server.log.broken.Load() {
		err = errors.New("a write to the disk failed")
	}
	if err == nil && !check {
		err = d.stopped()
	}
	report.Clean = len(report.Left) == 0
	return report, err
}
