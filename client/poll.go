package client

import (
	"context"
	"time"

	"natter/chat"
	"natter/wire"
)

// PollOptions say how a Poller asks; all may be zero.
type PollOptions struct {
	Cursor string        // where to go on; empty is now
	Wait   time.Duration // how long the server may hold an empty answer; 0 is 25 s
	Event  func(*Event)  // as a Device's
	Reset  func()        // as a Device's

	// Stream takes what comes as one long answer of Server-Sent Events instead. The
	// http.Client's Timeout ends that too; it comes back by itself. So it does when
	// nothing came for Silence, which is to be longer than two of the server's
	// heartbeats; 0 is 75 s.
	Stream  bool
	Silence time.Duration
	// BackoffBase and BackoffCap are as a Device's.
	BackoffBase, BackoffCap time.Duration
}

// Poller is a device over HTTP alone: long polling or a stream for what comes,
// POST for what goes. It has one goroutine, joined by Close.
type Poller struct {
	account *Account
	opts    PollOptions
	stop    context.CancelFunc
	over    chan struct{}
	started chan struct{} // closed when it has a cursor
	err     error         // why it ended; written before over is closed
	shown   places        // run's own; its count is anybody's
}

// Poll starts a device on an account that is signed in, and returns at once.
func Poll(ctx context.Context, account *Account, opts PollOptions) *Poller {
	if opts.Wait <= 0 {
		opts.Wait = 25 * time.Second
	}
	if opts.BackoffBase <= 0 {
		opts.BackoffBase = 500 * time.Millisecond
	}
	if opts.BackoffCap <= 0 {
		opts.BackoffCap = 30 * time.Second
	}
	if opts.Silence <= 0 {
		opts.Silence = 75 * time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	p := &Poller{account: account, opts: opts, stop: stop, over: make(chan struct{}), started: make(chan struct{})}
	go p.run(ctx)
	return p
}

// Close ends the device and waits for its goroutine; not from a callback.
func (p *Poller) Close() {
	p.stop()
	<-p.over
}

// Done is closed when the device has ended; Err then says why.
func (p *Poller) Done() <-chan struct{} { return p.over }

// Err is why the device ended; only after Done.
func (p *Poller) Err() error { return p.err }

// Repeats is how many messages came again and were not shown.
func (p *Poller) Repeats() uint64 { return p.shown.repeats.Load() }

// WaitLive waits until the device has a place in its queue.
func (p *Poller) WaitLive(ctx context.Context) error {
	select {
	case <-p.started:
		return nil
	case <-p.over:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Poller) run(ctx context.Context) {
	defer close(p.over)
	cursor, try := p.opts.Cursor, 0
	begun := cursor != ""
	if begun {
		close(p.started)
	}
	for {
		heard, err := p.hear(ctx, &cursor)
		if ctx.Err() != nil {
			p.err = ErrClosed
			return
		}
		if heard {
			try = 0
		}
		if !begun && cursor != "" {
			begun = true
			close(p.started)
		}
		if err == nil {
			continue
		}
		if CodeOf(err) == chat.KindUnauthenticated {
			p.err = err
			return
		}
		again, after := retryAfter(problemOf(err))
		if !again {
			after = 0
		}
		if !pause(ctx, max(jitter(p.opts.BackoffBase, p.opts.BackoffCap, try), after)) {
			p.err = ErrClosed
			return
		}
		try++
	}
}

// hear takes one answer, moves cursor along and tells whether anything came.
func (p *Poller) hear(ctx context.Context, cursor *string) (heard bool, err error) {
	if p.opts.Stream && *cursor != "" {
		return p.stream(ctx, cursor)
	}
	answer, err := p.ask(ctx, *cursor)
	if err != nil {
		return false, err
	}
	if answer.Reset {
		p.reset()
	}
	for i := range answer.Events {
		p.tell(&answer.Events[i])
	}
	*cursor = answer.Cursor
	return true, nil
}

func (p *Poller) reset() {
	if p.opts.Reset != nil {
		p.opts.Reset()
	}
}

func (p *Poller) ask(ctx context.Context, cursor string) (*wire.SyncAnswer, error) {
	if _, err := p.account.Token(ctx); err != nil {
		return nil, err
	}
	if cursor == "" {
		return p.account.Sync(ctx, "", 0, 0)
	}
	return p.account.Sync(ctx, cursor, chat.MaxPage, p.opts.Wait)
}

func (p *Poller) tell(full *wire.Event) {
	e := Event{Type: full.Type, decoded: full}
	if m := full.Message; m != nil {
		e.Message = Brief{
			Room:   []byte(m.RoomID),
			ID:     chat.MessageID(m.ID),
			Seq:    m.Seq,
			Person: m.Kind == chat.KindText,
			Sender: []byte(m.SenderID),
			Text:   []byte(m.Text),
			named:  m.Mentions,
		}
		if !m.ClientID.IsZero() {
			e.Message.ClientID = []byte(m.ClientID.String())
		}
	}
	if p.shown.fresh(&e) && p.opts.Event != nil {
		p.opts.Event(&e)
	}
}

// SendWait posts a message until it is answered: lost connections, restarts and
// refusals that ask to wait are tried again with the same client_id. It ends
// with the receipt, another refusal (a *wire.Problem) or ctx's end.
func (p *Poller) SendWait(ctx context.Context, m Outgoing) (Receipt, error) {
	if m.ClientID.IsZero() {
		m.ClientID = NewKey()
	}
	for try := 0; ; try++ {
		got, err := p.account.Post(ctx, m.Room, m.ClientID, m.Text)
		if err == nil {
			return Receipt{ID: chat.MessageID(got.ID), Seq: got.Seq, At: chat.Millis(got.CreatedAt)}, nil
		}
		refused := problemOf(err)
		again, after := retryAfter(refused)
		if refused != nil && !again && refused.Code != chat.KindInternal {
			return Receipt{}, refused
		}
		if !pause(ctx, max(jitter(p.opts.BackoffBase, p.opts.BackoffCap, try), after)) {
			return Receipt{}, ctx.Err()
		}
	}
}

// pause waits; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
