package edge

import (
	"sync"

	"natter/chat"
	"natter/wire"
)

// outbox is what waits for one socket, in order and bounded by bytes. Anybody
// puts in and never blocks; one writer takes out.
//
//	answers  a quarter: over it the socket is the victim. put says no, the
//	         session closes with 4001, and the device goes on from its cursor.
//	events   three quarters: over it they wait in the queue, on disk. Only one
//	         entry at a time may be larger, into a box without events.
//	news     dropped when there are events for half the box.
type outbox struct {
	mu      sync.Mutex
	items   []item
	answers int // bytes of items that aren't events, taken ones that aren't written yet included
	events  int // bytes of those that are
	closed  bool
	ready   chan struct{} // capacity 1: there is something, or closed
	drain   chan struct{} // capacity 1: something was written, or closed
}

const (
	answerBytes = outboxBytes / 4
	eventBytes  = outboxBytes - answerBytes
	newsBytes   = outboxBytes / 2
)

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
func (o *outbox) put(it item) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.answers+it.size() > answerBytes && o.answers > 0 {
		return false
	}
	o.answers += it.size()
	o.addLocked(it)
	return true
}

// putPassing adds a frame, or drops it, which is no failure.
func (o *outbox) putPassing(it item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.events > newsBytes || o.answers+it.size() > answerBytes/2 {
		return
	}
	o.answers += it.size()
	o.addLocked(it)
}

// putEvents adds events, all or none; false when they don't fit, or it is closed.
func (o *outbox) putEvents(events ...item) bool {
	size := 0
	for i := range events {
		size += events[i].size()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.events+size > eventBytes && o.events > 0 {
		return false
	}
	o.events += size
	o.addLocked(events...)
	return true
}

func (o *outbox) addLocked(items ...item) {
	o.items = append(o.items, items...)
	nudge(o.ready)
}

// room tells whether putEvents would take size bytes now.
func (o *outbox) room(size int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.closed && (o.events == 0 || o.events+size <= eventBytes)
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
	answers, events := 0, 0
	for i := range items {
		if items[i].event {
			events += items[i].size()
		} else {
			answers += items[i].size()
		}
		items[i] = item{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers -= answers
	o.events -= events
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
