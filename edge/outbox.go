package edge

import (
	"sync"

	"natter/chat"
	"natter/wire"
)

// outbox is what waits for one socket, in order and bounded by bytes. Anybody
// puts in and never blocks; one writer takes out.
//
// At the bound the socket is the victim: put says no, the session closes with
// 4001, and the device goes on from its cursor. Others give way earlier: passing
// news at half, where they are dropped, and events at three quarters, where they
// wait in the queue.
type outbox struct {
	mu     sync.Mutex
	items  []item
	bytes  int // of items and of what the writer has taken and not written yet
	closed bool
	ready  chan struct{} // capacity 1: there is something, or closed
	drain  chan struct{} // capacity 1: bytes has fallen, or closed
}

// item is a frame's text, or an event with its place, or a control frame.
type item struct {
	frame   []byte
	cursor  chat.Cursor
	event   bool
	control byte
}

// overhead stands for what an item costs beside its text.
const overhead = 48

func (it *item) size() int { return len(it.frame) + overhead }

func newOutbox() *outbox {
	return &outbox{ready: make(chan struct{}, 1), drain: make(chan struct{}, 1)}
}

// put adds a frame; false when it doesn't fit or the box is closed.
func (o *outbox) put(it item) bool { return o.add(outboxBytes, it) }

// putEvents adds events, all or none; false when they don't fit, or it is
// closed. They leave the last quarter to answers: events can wait in the queue,
// an answer can't, and a device that is behind is no reason to close.
func (o *outbox) putEvents(events ...item) bool { return o.add(outboxBytes/4*3, events...) }

// putPassing adds a frame if it is under half full; dropping it is no failure.
func (o *outbox) putPassing(it item) { o.add(outboxBytes/2, it) }

// add adds items unless they would go beyond bound; only one by itself may, into
// an empty box, for it would never fit.
func (o *outbox) add(bound int, items ...item) bool {
	size := 0
	for i := range items {
		size += items[i].size()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.bytes+size > bound && (o.bytes > 0 || len(items) > 1) {
		return false
	}
	o.items = append(o.items, items...)
	o.bytes += size
	nudge(o.ready)
	return true
}

// full tells whether it is over half full, or closed.
func (o *outbox) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed || o.bytes > outboxBytes/2
}

// fits tells whether putEvents would take it now.
func (o *outbox) fits(it item) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.closed && (o.bytes == 0 || o.bytes+it.size() <= outboxBytes/4*3)
}

// take moves everything out of the box into into, whose items are forgotten.
// done is false until the box is closed and empty.
func (o *outbox) take(into []item) (items []item, done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	items, o.items = o.items, into[:0]
	return items, o.closed && len(items) == 0
}

// wrote says that items taken are out of the way.
func (o *outbox) wrote(items []item) {
	size := 0
	for i := range items {
		size += items[i].size()
		items[i] = item{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= size
	nudge(o.drain)
}

// close lets nothing more in; what is in it is still written.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	nudge(o.ready)
	nudge(o.drain)
}

// frames joins items into the bytes of WebSocket frames, events that follow
// each other in one.
type frames struct {
	user   chat.UserID
	batch  wire.Batch
	cursor []byte
	text   []byte
	buf    []byte
}

// shrink lets go of buffers that a burst has grown: a socket at rest is small.
func (f *frames) shrink() {
	if cap(f.buf) > 4096 {
		f.buf = nil
	}
	if cap(f.text) > 4096 {
		f.text, f.batch = nil, wire.Batch{}
	}
}

func (f *frames) join(items []item) []byte {
	f.buf = f.buf[:0]
	for i := range items {
		it := &items[i]
		if it.event {
			f.cursor = it.cursor.Append(f.cursor[:0], f.user)
			f.batch.Add(f.cursor, it.frame)
			if f.batch.Len() >= batchEvents || f.batch.Size() >= batchBytes {
				f.endBatch()
			}
			continue
		}
		f.endBatch()
		opcode := it.control
		if opcode == 0 {
			opcode = opText
		}
		f.buf = appendFrame(f.buf, opcode, it.frame)
	}
	f.endBatch()
	return f.buf
}

func (f *frames) endBatch() {
	if f.batch.Len() == 0 {
		return
	}
	f.text = f.batch.AppendTo(f.text[:0])
	f.buf = appendFrame(f.buf, opText, f.text)
}
