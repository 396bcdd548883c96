package edge

import (
	"sync"

	"natter/chat"
	"natter/wire"
)

// outbox is what waits for one socket, in order and bounded by bytes. Anybody
// puts in and never blocks; one writer takes out. The writer is started when
// something is put into an empty box, and ends when it is empty again.
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
	writing bool
	written sync.WaitGroup // of the writer; nothing is added after closed
	write   func()         // the writer: takes until there is nothing
	drain   chan struct{}  // made for who waits; closed when something was written, or closed
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
	if !o.writing && len(o.items) > 0 {
		o.writing = true
		o.written.Go(o.write)
	}
}

// room tells whether putEvents would take size bytes now.
func (o *outbox) room(size int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.closed && (o.events == 0 || o.events+size <= eventBytes)
}

// take moves everything out of the box into into, whose items are forgotten.
// When there is nothing, the writer is to end.
func (o *outbox) take(into []item) (items []item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.items) == 0 {
		o.items, o.writing = nil, false
		return nil
	}
	items, o.items = o.items, into[:0]
	return items
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
	o.drainedLocked()
}

// drained is closed when something has been written or the box is closed: ask
// for it, then whether there is room, then wait.
func (o *outbox) drained() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.drain == nil {
		o.drain = make(chan struct{})
	}
	return o.drain
}

func (o *outbox) drainedLocked() {
	if o.drain != nil {
		close(o.drain)
		o.drain = nil
	}
}

// close lets nothing more in, and waits until what is in it is written.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.drainedLocked()
	o.mu.Unlock()
	o.written.Wait()
}

// frames joins items into the bytes of WebSocket frames, events that follow
// each other in one.
type frames struct {
	user   chat.UserID
	batch  wire.Batch
	cursor []byte
	text   []byte
	buf    []byte
	items  []item // the writer's, to be exchanged for those of a box
}

// writers are the buffers of those that write now.
var writers = sync.Pool{New: func() any { return new(frames) }}

// shrink lets go of buffers that a burst has grown.
func (f *frames) shrink() {
	const most = 64 << 10
	if cap(f.buf) > most {
		f.buf = nil
	}
	if cap(f.text) > most {
		f.text, f.batch = nil, wire.Batch{}
	}
	if cap(f.items) > 256 {
		f.items = nil
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
