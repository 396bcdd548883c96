package edge

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// session is a device's present connection.
type session struct {
	e      *Edge
	out    *outbox
	life   context.Context // ends when the session does
	end    context.CancelFunc
	group  sync.WaitGroup // every goroutine of the session but the reader
	cookie string         // until hello

	// The reader's own.
	greeted bool
	buckets map[Rate]*rate.Limiter
	pings   *rate.Limiter

	// Written by hello, before anybody else may look; read-only afterwards.
	who  auth.Identity
	stop []func() // what to undo when the session ends
	jobs *jobs

	watched []chat.UserID // under the roster's lock

	mu      sync.Mutex
	conn    conn // nil before run and after
	closing bool
	code    wire.CloseCode // what the close frame says
	reason  string
	place   chat.Cursor // all events up to here are in the outbox
	reading bool        // a goroutine reads the queue; hints only wake it
	again   bool        // the queue is to be looked at once more
	told    uint64      // the highest sequence a hint has named since the last look
	synced  bool        // the client was told that it has caught up
	ended   bool        // nothing may be started any more
	// underWay are messages of direct rooms sent and not acked yet.
	underWay []placed
}

func newSession(e *Edge, cookie string) *session {
	s := &session{e: e, cookie: cookie, out: newOutbox(), buckets: map[Rate]*rate.Limiter{}}
	s.pings = rate.NewLimiter(2, 20)
	s.life, s.end = context.WithCancel(context.Background())
	s.jobs = newJobs(s)
	return s
}

// run reads frames until the socket or the session ends, and returns when every
// goroutine of the session has.
func (s *session) run(c conn) {
	s.mu.Lock()
	s.conn = c
	s.mu.Unlock()
	s.e.metrics.sockets.Inc()
	defer s.e.metrics.sockets.Dec()
	var written sync.WaitGroup
	written.Go(func() { s.write(c) })
	err := s.read(c)
	s.finish(err)
	s.group.Wait()
	s.out.close()
	written.Wait()
	s.mu.Lock()
	s.conn = nil
	code := s.code
	s.mu.Unlock()
	s.e.metrics.closed(code)
}

// read is the reader's loop. Its error says why it ended.
func (s *session) read(c conn) (err error) {
	defer func() {
		if text := recover(); text != nil {
			s.e.Logger.Error("a session panicked", "user", s.who.User, "panic", text, "stack", string(debug.Stack()))
			err = errUnexpected
		}
	}()
	deadline := time.Now().Add(s.e.helloWithin)
	for {
		data, err := c.ReadFrame(deadline)
		if err != nil {
			return err
		}
		if err := s.handle(data); err != nil {
			return err
		}
		if s.greeted {
			deadline = time.Now().Add(s.e.Heartbeat * 5 / 2)
		}
	}
}

// goodbye is an error of the reader's that carries how to close.
type goodbye struct {
	code   wire.CloseCode
	reason string
}

func (g *goodbye) Error() string { return g.reason }

// handle works on one text frame. An error ends the session.
func (s *session) handle(data []byte) error {
	if !utf8.Valid(data) {
		return &goodbye{wire.CloseInvalidUTF8, "a frame is UTF-8"}
	}
	frame, ref, err := wire.DecodeClient(data)
	if err != nil {
		s.refuse(ref, err)
		if !s.greeted {
			return &goodbye{wire.CloseProtocolError, "the first frame is hello"}
		}
		if s.spend(RateRead) != nil {
			return &goodbye{wire.CloseProtocolError, "too many frames that are none"}
		}
		return nil
	}
	return s.dispatch(frame, ref)
}

// closings is how the reader's errors close the socket.
var closings = []struct {
	err    error
	code   wire.CloseCode
	reason string
}{
	{errBinary, wire.CloseProtocolError, "frames are text"},
	{errTooLarge, wire.CloseTooLarge, "a frame is at most 65536 bytes"},
	{errPings, wire.CloseProtocolError, "too many pings"},
	{errProtocol, wire.CloseProtocol, ""},
	{errClosed, wire.CloseNormal, ""},
	{errUnexpected, wire.CloseUnavailable, ""},
}

// finish ends the session because of err: nothing new begins after it.
func (s *session) finish(err error) {
	code, reason := wire.CloseGoingAway, ""
	var g *goodbye
	var network net.Error
	switch {
	case errors.As(err, &g):
		code, reason = g.code, g.reason
	case errors.As(err, &network) && network.Timeout() && s.greeted:
		code, reason = wire.CloseHeartbeatLost, "no sign of life"
	case errors.As(err, &network) && network.Timeout():
		code, reason = wire.CloseUnauthenticated, "no hello came"
	default:
		for _, row := range closings {
			if errors.Is(err, row.err) {
				code, reason = row.code, row.reason
				break
			}
		}
	}
	s.close(code, reason)
	s.mu.Lock()
	s.ended = true
	stops := s.stop
	s.stop = nil
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	s.end()
}

// close ends the session with a code: what waits in the outbox is still sent.
// The first one counts. Any goroutine may call it at any time.
func (s *session) close(code wire.CloseCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	s.closing, s.code, s.reason = true, code, reason
	s.end()
	if s.conn != nil {
		s.conn.Interrupt()
	}
}

// put sends a frame; a client that takes nothing is let go.
func (s *session) put(frame []byte) {
	if !s.out.put(item{frame: frame}) {
		s.close(wire.CloseTooSlow, "frames were not taken")
	}
}

// pass sends passing news, or drops them.
func (s *session) pass(frame []byte) { s.out.putPassing(item{frame: frame}) }

// refuse answers a request with an error frame.
func (s *session) refuse(ref string, err error) {
	p := chat.ProblemOf(err)
	if p.Kind == chat.KindInternal {
		s.e.Logger.Error("a frame's request failed", "user", s.who.User, "ref", ref, "err", err)
	}
	s.put(wire.Encode(&wire.Error{Ref: ref, Problem: *wire.NewProblem(p, s.e.Now(), "")}))
}

// pong answers a ping of the WebSocket protocol; the reader calls it.
func (s *session) pong(payload []byte) error {
	if s.e.RateLimits && !s.pings.Allow() {
		return errPings
	}
	s.out.putPassing(item{frame: payload, control: opPong})
	return nil
}

// spend takes one from the socket's bucket of r; nil rate limits nothing.
func (s *session) spend(r Rate) error {
	if !s.e.RateLimits || r == RateNone {
		return nil
	}
	b := s.buckets[r]
	if b == nil {
		b = newLimiter(r)
		s.buckets[r] = b
	}
	return spend(b, r, s.e.Now())
}

// write is the writer: it joins what waits into one system call. After an error
// it goes on emptying the outbox, so that nobody waits for it.
func (s *session) write(c conn) {
	f := &frames{}
	var items []item
	var failed error
	for {
		var done bool
		items, done = s.out.take(items)
		if len(items) == 0 {
			if done {
				break
			}
			<-s.out.ready
			continue
		}
		if f.user == "" {
			f.user = s.user()
		}
		if failed == nil {
			if failed = c.WriteFrames(f.join(items), s.e.writeWithin); failed != nil {
				s.close(wire.CloseTooSlow, "frames were not taken")
			}
			s.e.metrics.framesOut.Add(float64(len(items)))
		}
		s.out.wrote(items)
		f.shrink()
		if cap(items) > 256 {
			items = nil
		}
	}
	s.mu.Lock()
	code, reason := s.code, s.reason
	s.mu.Unlock()
	if failed == nil {
		_ = c.WriteFrames(appendFrame(nil, opClose, closePayload(code, reason)), farewell) // the client may be gone
	}
}

func closePayload(code wire.CloseCode, reason string) []byte {
	return append([]byte{byte(code >> 8), byte(code)}, reason...)
}

func (s *session) user() chat.UserID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who.User
}
