package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

	AckEvery time.Duration // how often to tell the server the cursor; 0 is never, call Ack
	// BackoffBase and BackoffCap bound the wait before the nth try: a random
	// time up to base·2ⁿ, at most cap. 0 is 0.5 s and 30 s.
	BackoffBase, BackoffCap time.Duration
}

// State is where a Device is with its server.
type State int

// The states, in the order of a connection's life.
const (
	Connecting State = iota // it dials, and says hello
	CatchingUp              // welcome came: missed events come, sends go out
	Live                    // synced came: what comes is news
	Waiting                 // the connection ended; the next try comes by itself
	Ended                   // for good
)

// String is the state's name.
func (s State) String() string {
	return [...]string{"connecting", "catching up", "live", "waiting", "ended"}[s]
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
	asks    map[uint64]chan error
	lastAsk uint64
	welcome wire.Welcome
	urls    []string

	shown places // run's own; its count is anybody's
}

// Dial starts a device and returns at once; it connects, and comes back, by
// itself until ctx ends, Close is called or the server refuses it for good.
func Dial(ctx context.Context, opts Options) *Device {
	if len(opts.URLs) == 0 || opts.Token == nil {
		panic("client: Dial needs URLs and a Token")
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
	go d.run(ctx)
	return d
}

// Close ends the device and waits for its goroutines. Sends without an answer
// end with ErrClosed. It must not be called from a callback.
func (d *Device) Close() {
	d.stop()
	<-d.over
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

// Outgoing is a message to send. A zero ClientID is filled in.
type Outgoing struct {
	Room     chat.RoomID
	ClientID chat.ClientID
	Text     string
	ReplyTo  chat.Seq
}

// Receipt is the server's answer to a message: it is on disk.
type Receipt struct {
	ID  chat.MessageID
	Seq chat.Seq
	At  chat.Millis
}

type sending struct {
	frame []byte
	done  func(Receipt, error) // nil when answered
}

// Send sends a message and returns at once. done is called exactly once: with
// the receipt, with the server's refusal (a *wire.Problem), or with ErrClosed
// or ErrBacklog, on the reading goroutine or, for those two, on any. Messages
// go out in the order of the calls, and again in that order after a reconnect.
// A refusal that asks to wait (unavailable, too_many) isn't told: the message
// goes out again when the time has come, then perhaps behind later ones.
func (d *Device) Send(m Outgoing, done func(Receipt, error)) chat.ClientID {
	if m.ClientID.IsZero() {
		m.ClientID = NewKey()
	}
	d.mu.Lock()
	if err := d.refuseLocked(); err != nil {
		d.mu.Unlock()
		done(Receipt{}, err)
		return m.ClientID
	}
	ref := d.base + uint64(len(d.pending))
	s := &sending{frame: appendSend(nil, ref, &m), done: done}
	d.pending = append(d.pending, s)
	d.postLocked(s.frame)
	d.mu.Unlock()
	return m.ClientID
}

func (d *Device) refuseLocked() error {
	switch {
	case d.state == Ended:
		return d.err
	case len(d.pending) >= MaxPending:
		return ErrBacklog
	}
	return nil
}

// SendWait is Send for one message, waiting for its answer. When ctx ends first
// the message may still be sent.
func (d *Device) SendWait(ctx context.Context, m Outgoing) (Receipt, error) {
	type answer struct {
		r   Receipt
		err error
	}
	got := make(chan answer, 1)
	d.Send(m, func(r Receipt, err error) { got <- answer{r, err} })
	select {
	case a := <-got:
		return a.r, a.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
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
