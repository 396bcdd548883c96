package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"natter/chat"
	"natter/wire"
)

// Options say what a Device is. URLs and Token are needed, the rest may be zero.
type Options struct {
	URLs  []string                                  // nodes, as http://127.0.0.1:8080; tried in turn
	Token func(ctx context.Context) (string, error) // asked at each connecting; Account.Token fits

	Cursor string // where to go on; empty is the server's own record of this device, or now
	Name   string // what the app calls itself

	Event func(*Event)       // each event, in the queue's order, a message once
	Reset func()             // the cursor couldn't be honoured: load the rooms again
	News  func(wire.Frame)   // presence, typing, delivered: passing news
	State func(State, error) // with the reason why the connection ended

	// Outbox, if not nil, keeps what isn't answered yet beyond this process. It
	// is the device's until Close; the caller closes it afterwards. Earlier gets
	// the answers to what an earlier process left in it, as done of Send would.
	Outbox  *Outbox
	Earlier func(Outgoing, Receipt, error)
	// KeepCursor keeps the cursor in the Outbox too, every second and at the end,
	// and goes on from there if Cursor is empty. After a crash the events since
	// then are told again. It is for a program that has no store of its own; one
	// that has keeps Event.Cursor in it, in one transaction with the event.
	KeepCursor bool

	// NetDial opens the connection, through a proxy say; nil is the plain way.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	AckEvery time.Duration // how often to tell the server the cursor; 0 is never, call Ack
	// BackoffBase and BackoffCap bound the wait before the nth try: a random
	// time up to base·2ⁿ, at most cap. 0 is 0.5 s and 30 s.
	BackoffBase, BackoffCap time.Duration
}

// State is where a Device is with its server.
type State int

// The states, in the order of a connection's life.
const (
	Connecting State = iota // it dials
	Greeting                // the connection stands: hello goes out
	CatchingUp              // welcome came: missed events come, sends go out
	Live                    // synced came: what comes is news
	Waiting                 // the connection ended; the next try comes by itself
	Ended                   // for good
)

// String is the state's name.
func (s State) String() string {
	return [...]string{"connecting", "greeting", "catching up", "live", "waiting", "ended"}[s]
}

// The ways in which a call on a Device fails by the Device's own doing.
var (
	ErrClosed  = errors.New("client: the device was closed")
	ErrOffline = errors.New("client: the device is not connected")
	ErrBacklog = errors.New("client: too many messages wait for an answer")
)

// MaxPending bounds the sends that wait for an answer. The next one ends at
// once with ErrBacklog; those before it are kept.
const MaxPending = 1 << 16

// Device is one device's live connection. All methods are safe for concurrent use.
type Device struct {
	opts Options
	stop context.CancelFunc
	over chan struct{} // closed when run has ended
	wake chan struct{} // tells write that there is something in out; holds one

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed and replaced at each change of state
	err     error         // why it ended
	cursor  []byte        // everything up to it was handed to Event
	told    string        // the cursor last acknowledged
	out     [][]byte      // frames for write; only while open
	open    bool          // welcome came and the connection stands
	pending []*sending    // in order of sending; pending[i] has ref base+i
	base    uint64
	kept    uint64 // sends below it are in the Outbox, or there is none: they may go
	posted  uint64 // sends below it were handed to this connection's write
	under   int    // of them have no answer yet
	asks    map[uint64]chan error
	lastAsk uint64
	welcome wire.Welcome
	urls    []string
	ws      *websocket.Conn // the connection that stands, for Reconnect

	shown places // run's own; its count is anybody's
}

// Dial starts a device and returns at once; it connects, and comes back, by
// itself until ctx ends, Close is called or the server refuses it for good.
func Dial(ctx context.Context, opts Options) *Device {
	if len(opts.URLs) == 0 || opts.Token == nil {
		panic("client: Dial needs URLs and a Token")
	}
	if opts.KeepCursor && opts.Outbox == nil {
		panic("client: KeepCursor needs an Outbox to keep it in")
	}
	if opts.BackoffBase <= 0 {
		opts.BackoffBase = 500 * time.Millisecond
	}
	if opts.BackoffCap <= 0 {
		opts.BackoffCap = 30 * time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	d := &Device{
		opts:    opts,
		stop:    stop,
		over:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		cursor:  []byte(opts.Cursor),
		asks:    map[uint64]chan error{},
		urls:    opts.URLs,
	}
	if o := opts.Outbox; o != nil {
		o.take()
		d.goOn(o)
	}
	go d.run(ctx)
	return d
}

// goOn takes over what an earlier process left behind.
func (d *Device) goOn(o *Outbox) {
	if d.opts.KeepCursor && len(d.cursor) == 0 {
		d.cursor = []byte(o.Cursor())
	}
	for _, m := range o.Left() {
		done := func(Receipt, error) {}
		if tell := d.opts.Earlier; tell != nil {
			done = func(r Receipt, err error) { tell(m, r, err) }
		}
		d.pending = append(d.pending, &sending{frame: appendSend(nil, uint64(len(d.pending)), &m), key: m.ClientID, done: done})
	}
	d.kept = uint64(len(d.pending))
}

// Close ends the device and waits for its goroutines. Sends without an answer
// end with ErrClosed. It must not be called from a callback.
func (d *Device) Close() {
	d.stop()
	<-d.over
}

// Reconnect drops the connection, if there is one; the device comes back with
// its cursor as after any loss. It is for a program that knows that its network
// has changed and doesn't want to wait until the old connection is found dead.
func (d *Device) Reconnect() {
	d.mu.Lock()
	ws := d.ws
	d.mu.Unlock()
	if ws != nil {
		_ = ws.NetConn().Close() // run sees it
	}
}

// Done is closed when the device has ended; Err then says why.
func (d *Device) Done() <-chan struct{} { return d.over }

// Err is why the device ended: ErrClosed, or a *Refused; nil before.
func (d *Device) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Cursor is the place up to which every event was handed to Event.
func (d *Device) Cursor() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.cursor)
}

// Repeats is how many messages came again and were not shown.
func (d *Device) Repeats() uint64 { return d.shown.repeats.Load() }

// Welcome is what the server last said to hello.
func (d *Device) Welcome() wire.Welcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.welcome
}

// State is where the device is now.
func (d *Device) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// WaitLive waits until the device has caught up.
func (d *Device) WaitLive(ctx context.Context) error {
	for {
		d.mu.Lock()
		state, changed, err := d.state, d.changed, d.err
		d.mu.Unlock()
		switch state {
		case Live:
			return nil
		case Ended:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("client: the device is %s: %w", state, ctx.Err())
		}
	}
}

// Ack tells the server that this device has everything up to cursor. It is lost
// without a connection; the next one says the same or more.
func (d *Device) Ack(cursor string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.postLocked(wire.Encode(&wire.Ack{Cursor: cursor}))
}

// Typing tells the room that the person writes. It is lost without a connection.
func (d *Device) Typing(room chat.RoomID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.postLocked(wire.Encode(&wire.Typing{RoomID: string(room)}))
}

// Read moves the person's read mark and waits for the answer; see Do.
func (d *Device) Read(ctx context.Context, room chat.RoomID, seq chat.Seq) error {
	return d.Do(ctx, func(ref string) wire.Frame {
		return &wire.Read{Ref: ref, RoomID: string(room), Seq: uint64(seq)}
	})
}

// Draft keeps what the person has begun to write in a room, for their other
// devices; an empty text takes it away. A refusal with code too_many means: bring
// the newest text when its time has come.
func (d *Device) Draft(ctx context.Context, room chat.RoomID, text string, replyTo chat.Seq) error {
	return d.Do(ctx, func(ref string) wire.Frame {
		return &wire.SetDraft{Ref: ref, RoomID: string(room), Text: text, ReplyTo: uint64(replyTo)}
	})
}

// Do sends the frame that build makes for a ref and waits for ok or error. It is
// tried on one connection only: ErrOffline means that there was none, or that
// it ended before the answer, and the frame may or may not have taken effect.
func (d *Device) Do(ctx context.Context, build func(ref string) wire.Frame) error {
	answer := make(chan error, 1)
	d.mu.Lock()
	if !d.open {
		err := ErrOffline
		if d.state == Ended {
			err = d.err
		}
		d.mu.Unlock()
		return err
	}
	d.lastAsk++
	ask := d.lastAsk
	d.asks[ask] = answer
	d.postLocked(wire.Encode(build(askRef(ask))))
	d.mu.Unlock()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.asks, ask)
		d.mu.Unlock()
		return ctx.Err()
	}
}

// postLocked queues a frame for the writer, or drops it without a connection.
func (d *Device) postLocked(frame []byte) {
	if !d.open {
		return
	}
	d.out = append(d.out, frame)
	select {
	case d.wake <- struct{}{}:
	default: // it has been told and hasn't looked yet
	}
}

func (d *Device) enter(s State, err error) {
	d.mu.Lock()
	d.state = s
	close(d.changed)
	d.changed = make(chan struct{})
	d.mu.Unlock()
	if d.opts.State != nil {
		d.opts.State(s, err)
	}
}
