package node

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"natter/blocks"
	"natter/jetstream"
)

// Blocks of history that are read all the time.
//
// nats-server holds the block of a stream that it writes, and lets go of it 10 s after
// anybody has read or written it last; only what it loads again later is the collector's.
// While people page through history everywhere, no block is left alone for 10 s: each that
// was written since the start stayed in memory: paging at random through an hour of 50
// messages a second took a node from 300 to 540 MB. So a node has nats-server let go of
// blocks of history that are full, by the one way there is: see Store.ReadBack.
const (
	hotLook = 5 * time.Second
	// hotAfter is longer ago than nats-server's 10 s.
	hotAfter = 12 * time.Second
	// hotTries is how often a block is read back: somebody else's read between the two of
	// ReadBack makes them have no effect.
	hotTries = 3
)

// hotBlocks lets go of full blocks of history. It isn't safe for concurrent use.
type hotBlocks struct {
	dir      string // of the streams
	streams  []string
	readBack func(ctx context.Context, stream string, first uint64) error

	done  map[string]uint64 // of a stream: the index up to which nothing is to do
	tries map[string]int    // of a file
}

func (n *Node) newHotBlocks() *hotBlocks {
	var streams []string
	for p := range n.config.Partitions {
		streams = append(streams, jetstream.HistoryStream(p))
	}
	return newHotBlocks(filepath.Join(n.data.file(streamsDir), "jetstream", account, "streams"), streams, n.store.ReadBack)
}

func newHotBlocks(dir string, streams []string, readBack func(context.Context, string, uint64) error) *hotBlocks {
	h := &hotBlocks{dir: dir, streams: streams, readBack: readBack, done: map[string]uint64{}, tries: map[string]int{}}
	for _, name := range streams {
		// What is full at the start was not written by this server.
		if newest := h.newest(name); newest > 0 {
			h.done[name] = newest - 1
		}
	}
	return h
}

// letGoOfHistory ends with the node.
func (n *Node) letGoOfHistory() {
	h := n.newHotBlocks()
	tick := time.NewTicker(hotLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ctx, cancel := context.WithTimeout(context.Background(), hotLook)
			for _, name := range h.streams {
				if err := h.look(ctx, name, time.Now()); err != nil {
					n.log.Debug("blocks of history stay in memory for now", "stream", name, "err", err)
				}
			}
			cancel()
		case <-n.quit:
			return
		}
	}
}

// look reads back a stream's blocks that are full and not done. An error leaves the rest to
// the next look.
func (h *hotBlocks) look(ctx context.Context, stream string, now time.Time) error {
	newest := h.newest(stream)
	for index := h.done[stream] + 1; index < newest; index++ {
		info, err := os.Stat(h.file(stream, index))
		switch {
		case errors.Is(err, fs.ErrNotExist): // a repair has emptied it
		case err != nil:
			return err
		case now.Sub(info.ModTime()) < hotAfter:
			return nil
		default:
			if err := h.letGo(ctx, stream, index); err != nil {
				return err
			}
		}
		path := h.file(stream, index)
		if h.tries[path]++; index == h.done[stream]+1 && h.tries[path] >= hotTries {
			delete(h.tries, path)
			h.done[stream] = index
		}
	}
	return nil
}

// letGo reads back a full block.
func (h *hotBlocks) letGo(ctx context.Context, stream string, index uint64) error {
	file, err := os.Open(h.file(stream, index))
	if err != nil {
		return err
	}
	defer file.Close()
	var head [blocks.SeqBytes]byte
	if _, err := io.ReadFull(file, head[:]); err != nil {
		return err
	}
	if first, ok := blocks.FirstSeq(head[:]); ok {
		return h.readBack(ctx, stream, first)
	}
	return nil
}

func (h *hotBlocks) file(stream string, index uint64) string {
	return filepath.Join(h.dir, stream, "msgs", strconv.FormatUint(index, 10)+".blk")
}

// newest is the index of the block that is written; 0 if there is none.
func (h *hotBlocks) newest(stream string) (newest uint64) {
	files, err := os.ReadDir(filepath.Join(h.dir, stream, "msgs"))
	if err != nil {
		return 0 // the stream isn't here
	}
	for _, f := range files {
		name, is := strings.CutSuffix(f.Name(), ".blk")
		if index, err := strconv.ParseUint(name, 10, 64); is && err == nil {
			newest = max(newest, index)
		}
	}
	return newest
}
