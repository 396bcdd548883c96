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

// session is a device's present connection. There are as many as there are
// sockets, so what only a busy one needs is made when it does.
type session struct {
	e      *Edge
	out    outbox
	life   context.Context // ends when the session does
	end    context.CancelFunc
	group  sync.WaitGroup // every goroutine of the session but the reader and the writer
	jobs   jobs
	cookie string // until hello

	// The reader's own.
	greeted bool
	until   time.Time // what is to come is to come until then
	expires time.Time // by this machine's clock; zero for never
	buckets map[Rate]*rate.Limiter
	pings   *rate.Limiter

	// Written by hello, before anybody else may look; read-only afterwards.
	who  auth.Identity
	stop []func() // what to undo when the session ends

	watched []chat.UserID // under the roster's lock

	mu      sync.Mutex
	conn    conn // nil before begin and after the end
	closing bool
	code    wire.CloseCode // what the close frame says
	reason  string
	place   chat.Cursor // all events up to here are in the outbox
	reading bool        // a goroutine reads the queue; hints are kept
	again   bool        // the queue is to be looked at once more
	kept    kept        // while reading
	told    uint64      // the highest sequence a hint has named since the last look
	synced  bool        // the client was told that it has caught up
	ended   bool        // nothing may be started any more
	failed  bool        // a write did: nothing more is written
	// underWay are messages of direct rooms sent and not acked yet.
	underWay []placed
}

func newSession(e *Edge, cookie string) *session {
	s := &session{e: e, cookie: cookie}
	s.life, s.end = context.WithCancel(context.Background())
	s.jobs.s = s
	s.out.write = s.write
	return s
}

// begin gives the session its connection, before run; false when the node is
// closing.
func (s *session) begin(c conn) bool {
	s.mu.Lock()
	s.conn = c
	s.mu.Unlock()
	s.until = time.Now().Add(s.e.helloWithin)
	if !s.e.hub.begin(s) {
		return false
	}
	s.e.metrics.sockets.Inc()
	return true
}

// run is the reader: it reads frames until the socket or the session ends, and
// then waits for every goroutine of the session and lets go of the connection.
// At rest it ends too, and goes on in a goroutine whose stack has not grown.
func (s *session) run(c conn) {
	err := s.read(c)
	if errors.Is(err, errAtRest) {
		go s.goOn(c)
		return
	}
	defer s.e.hub.end(s)
	s.finish(err)
	s.group.Wait()
	s.out.close()
	s.mu.Lock()
	s.conn = nil
	code, reason, failed := s.code, s.reason, s.failed
	s.mu.Unlock()
	if !failed {
		_ = c.WriteFrames(appendFrame(nil, opClose, closePayload(code, reason)), farewell) // the client may be gone
	}
	c.Release()
	s.e.metrics.sockets.Dec()
	s.e.metrics.closed(code)
}

// goOn waits where the stack is small, and then runs.
func (s *session) goOn(c conn) {
	if waits, ok := c.(interface{ await() }); ok {
		waits.await()
	}
	s.run(c)
}

// read is the reader's loop. Its error says why it ended.
func (s *session) read(c conn) (err error) {
	defer func() {
		if text := recover(); text != nil {
			s.e.Logger.Error("a session panicked", "user", s.who.User, "panic", text, "stack", string(debug.Stack()))
			err = errUnexpected
		}
	}()
	for {
		data, err := c.ReadFrame(s.until)
		if err != nil {
			return err
		}
		if err := s.handle(data); err != nil {
			return err
		}
		if s.greeted {
			s.until = time.Now().Add(s.e.Heartbeat * 5 / 2)
			if !s.expires.IsZero() && s.expires.Before(s.until) {
				s.until = s.expires
			}
		}
	}
}

var errUnexpected = errors.New("edge: the session panicked")

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
	{errTooMany, wire.CloseTooLarge, "a frame is at most 1024 pieces"},
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
	case errors.As(err, &network) && network.Timeout() && !s.expires.IsZero() && !time.Now().Before(s.expires):
		code, reason = wire.CloseUnauthenticated, "the access token has expired"
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
	if s.e.RateLimits {
		if s.pings == nil {
			s.pings = rate.NewLimiter(2, 20)
		}
		if !s.pings.Allow() {
			return errPings
		}
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
		if s.buckets == nil {
			s.buckets = map[Rate]*rate.Limiter{}
		}
		b = newLimiter(r)
		s.buckets[r] = b
	}
	return spend(b, r, s.e.Now())
}

// write is the writer: it joins what waits into one system call, until nothing
// waits. After an error it only empties the outbox.
func (s *session) write() {
	s.mu.Lock()
	c, failed := s.conn, s.failed
	s.mu.Unlock()
	f := writers.Get().(*frames)
	f.user = ""
	for {
		items := s.out.take(f.items)
		if len(items) == 0 {
			break
		}
		f.items = items
		if f.user == "" {
			f.user = s.user()
		}
		if !failed {
			if c.WriteFrames(f.join(items), s.e.writeWithin) != nil {
				failed = true
				s.mu.Lock()
				s.failed = true
				s.mu.Unlock()
				s.close(wire.CloseTooSlow, "frames were not taken")
			}
			s.e.metrics.framesOut.Add(float64(len(items)))
		}
		s.out.wrote(items)
		f.shrink()
	}
	writers.Put(f)
}

func closePayload(code wire.CloseCode, reason string) []byte {
	return append([]byte{byte(code >> 8), byte(code)}, reason...)
}

func (s *session) user() chat.UserID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who.User
}
