package node

import (
	"context"
	"errors"
	"os"
	"time"

	"natter/chat"
)

// A full disk.
//
// NATS gives a stream up for good when a write to it fails: whoever publishes to it
// gets no answer any more, until the server starts anew, however much room there
// is by then. So the node stops taking commands while there is still room for what
// is under way. Should the disk run full all the same (something else fills it
// faster than we look), or a write fail, the node goes on answering what can be
// read, tries the disk, and starts anew when it takes writes again.
const (
	diskLook    = 250 * time.Millisecond
	diskReserve = 32 << 20 // bytes free, below which no commands are taken
	diskTry     = 1 << 20  // bytes written to see whether it takes writes
)

// ErrAgain ends Wait, or Start, when the node must stop and start anew: its disk failed, and
// works again.
var ErrAgain = errors.New("the disk takes writes again")

var errDisk = chat.Unavailable("the disk is full or takes no writes; nothing is kept until it does", 5*time.Second)

// errDiskHere is errDisk while another node can do what this one can't.
var errDiskHere = chat.Unavailable("the disk is full or takes no writes on this node; another one may answer", time.Second)

// watchDisk holds the store while the disk has no room. It ends with the node.
func (n *Node) watchDisk() {
	tick := time.NewTicker(diskLook)
	defer tick.Stop()
	yielding := func() {} // ends yield
	defer func() { yielding() }()
	for held := false; ; {
		select {
		case <-tick.C:
		case <-n.quit:
			return
		}
		free, err := freeBytes(n.data.path)
		room := err == nil && free >= diskReserve
		broken := n.nats.log.broken.Load()
		if hold := broken || !room; hold != held {
			yielding()
			if held = hold; held {
				n.log.Error("the disk is full or failed: no commands are taken", "free_bytes", free, "err", err)
				n.hold(func(h *holds) { h.disk = errDisk })
				yielding = n.startYield()
			} else {
				n.log.Info("the disk has room again", "free_bytes", free)
				n.hold(func(h *holds) { h.disk = nil })
			}
		}
		if broken && room && n.data.try() == nil {
			n.fail(ErrAgain)
			return
		}
	}
}

// startYield has a member hand over what it leads until end is called.
func (n *Node) startYield() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	if n.member != nil {
		n.serving.Go(func() { n.yield(ctx) })
	}
	return cancel
}

// whileDiskWorks is ctx for the start, which ends with ErrAgain as its cause when a
// write has failed and the disk takes writes again: what a start waits for would
// never come. end must be called when the start is through.
func (n *Node) whileDiskWorks(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	n.serving.Go(func() {
		tick := time.NewTicker(diskLook)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if free, err := freeBytes(n.data.path); n.nats.log.broken.Load() && err == nil && free >= diskReserve && n.data.try() == nil {
				cancel(ErrAgain)
			}
		}
	})
	return ctx, func() { cancel(nil) }
}

// try writes to the disk as NATS would.
func (d *directory) try() error {
	name := d.file("try")
	err := writeSynced(name, make([]byte, diskTry))
	return errors.Join(err, os.Remove(name))
}
