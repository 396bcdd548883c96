package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// publisher sends messages to streams over one connection of its own, many
// under way at once, and calls back with each ack. A stream takes messages of
// one connection in their order. It is leaner than a future per message: one
// subscription, one map entry.
type publisher struct {
	nc     *nats.Conn
	prefix string
	sub    *nats.Subscription

	mu        sync.Mutex
	next      uint64
	waiting   map[uint64]sent
	closed    bool
	stop      chan struct{}
	done      sync.WaitGroup
	fault     fault  // nil outside of tests
	published func() // called by send when its messages are on their way
}

// fault says, for tests, what goes wrong with a message: it is not sent, or it
// is stored and its ack says otherwise.
type fault func(subject string) (drop, deny bool)

var errFault = errors.New("publish: the test's fault")

type sent struct {
	at    time.Time
	acked func(sequence uint64, err error)
}

// publishTimeout must exceed the 9 s of two Raft elections.
const publishTimeout = 15 * time.Second

// ackError is a stream's refusal; Code is the server's err_code.
type ackError struct {
	Code        int
	Description string
}

func (e *ackError) Error() string { return fmt.Sprintf("publish: %s (%d)", e.Description, e.Code) }

// refusedWith tells whether err is a stream's refusal with that code.
func refusedWith(err error, code int) bool {
	var refused *ackError
	return errors.As(err, &refused) && refused.Code == code
}

var errUnanswered = errors.New("publish: no answer in time")

var errMoved = errors.New("publish: the stream has another leader now")

var errPublisherClosed = errors.New("the publisher is closed")

func newPublisher(nc *nats.Conn) (*publisher, error) {
	p := &publisher{nc: nc, prefix: nc.NewInbox() + ".", waiting: make(map[uint64]sent), stop: make(chan struct{})}
	sub, err := nc.Subscribe(p.prefix+"*", p.handleAck)
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // acks are bounded by what is under way
		return nil, err
	}
	p.sub = sub
	p.done.Add(1)
	go p.sweep()
	return p, nil
}

// publish sends data; acked is called once, from another goroutine, with the
// stream's sequence or an error. acked must not block. id, if not empty, is the
// Nats-Msg-Id under which the stream takes the message once.
func (p *publisher) publish(subject, id string, data []byte, acked func(uint64, error)) {
	msg := &nats.Msg{Subject: subject, Data: data}
	if id != "" {
		msg.Header = nats.Header{headerID: {id}}
	}
	p.begin(acked, msg)
}

// headerID is the header by which a stream takes a message once.
const headerID = "Nats-Msg-Id"

// begin sends messages in their order; acked is called with the answer to the
// last. It returns the ticket by which that can be given up.
func (p *publisher) begin(acked func(uint64, error), msgs ...*nats.Msg) (ticket uint64) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		acked(0, errPublisherClosed)
		return 0
	}
	p.next++
	ticket = p.next
	p.waiting[ticket] = sent{time.Now(), acked}
	p.mu.Unlock()

	if p.fault != nil {
		drop, deny := p.fault(msgs[0].Subject)
		if drop {
			p.resolve(ticket, 0, errFault)
			return ticket
		}
		if deny {
			honest := acked
			acked = func(uint64, error) { honest(0, errFault) }
			p.mu.Lock()
			p.waiting[ticket] = sent{time.Now(), acked}
			p.mu.Unlock()
		}
	}
	msgs[len(msgs)-1].Reply = p.prefix + strconv.FormatUint(ticket, 36)
	for _, msg := range msgs {
		if err := p.nc.PublishMsg(msg); err != nil {
			p.resolve(ticket, 0, err)
			break
		}
	}
	return ticket
}

// send is begin that waits for the answer, at most within or until vain is closed, which
// says that none will come. After an error the messages may still be taken.
func (p *publisher) send(ctx context.Context, within time.Duration, vain <-chan struct{}, msgs ...*nats.Msg) (sequence uint64, err error) {
	done := make(chan struct{})
	ticket := p.begin(func(n uint64, e error) {
		sequence, err = n, e
		close(done)
	}, msgs...)
	if p.published != nil {
		p.published()
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
		return sequence, err
	case <-ctx.Done():
		p.resolve(ticket, 0, ctx.Err())
	case <-timer.C:
		p.resolve(ticket, 0, errUnanswered)
	case <-vain:
		p.resolve(ticket, 0, errMoved)
	}
	<-done // given up, or answered at the same moment
	return sequence, err
}

func (p *publisher) resolve(ticket, sequence uint64, err error) {
	p.mu.Lock()
	s, ok := p.waiting[ticket]
	delete(p.waiting, ticket)
	p.mu.Unlock()
	if ok {
		s.acked(sequence, err)
	}
}

func (p *publisher) handleAck(msg *nats.Msg) {
	ticket, err := strconv.ParseUint(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:], 36, 64)
	if err != nil {
		return
	}
	sequence, err := parseAck(msg)
	p.resolve(ticket, sequence, err)
}

// parseAck reads {"stream":"LOG-0","seq":12}; the common form without a JSON
// decoder, which was a third of an ack's cost.
func parseAck(msg *nats.Msg) (uint64, error) {
	if status := msg.Header.Get("Status"); status != "" {
		return 0, fmt.Errorf("publish: status %s", status)
	}
	if !bytes.Contains(msg.Data, []byte(`"error"`)) {
		if _, rest, ok := bytes.Cut(msg.Data, []byte(`"seq":`)); ok {
			n := uint64(0)
			i := 0
			for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
				n = n*10 + uint64(rest[i]-'0')
				i++
			}
			if i > 0 && n > 0 {
				return n, nil
			}
		}
	}
	var ack struct {
		Error struct {
			Code        int    `json:"code"`
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	return 0, &ackError{ack.Error.ErrCode, ack.Error.Description}
}

// sweep fails what has waited too long.
func (p *publisher) sweep() {
	defer p.done.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.fail(func(s sent) bool { return now.Sub(s.at) > publishTimeout }, errUnanswered)
		}
	}
}

func (p *publisher) fail(which func(sent) bool, err error) {
	p.mu.Lock()
	var failed []sent
	for ticket, s := range p.waiting {
		if which(s) {
			failed = append(failed, s)
			delete(p.waiting, ticket)
		}
	}
	p.mu.Unlock()
	for _, s := range failed {
		s.acked(0, err)
	}
}

// close fails what is under way. The connection stays its owner's.
func (p *publisher) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.mu.Unlock()
	close(p.stop)
	p.done.Wait()
	p.sub.Unsubscribe() //nolint:errcheck // the connection may be gone, and the subscription with it
	p.fail(func(sent) bool { return true }, errPublisherClosed)
}
