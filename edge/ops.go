package edge

import (
	"natter/chat"
	"natter/wire"
)

// op is how a frame of a client is worked on. The handler runs on the reader's
// goroutine and must not wait for a store: what does goes through s.jobs. Its
// error is answered with an error frame, unless it is a goodbye.
type op struct {
	handle func(s *session, f wire.Frame, ref string) error
	rate   Rate
	first  bool // stands before hello, and only there
}

// ops is the dispatch table; the handlers are in the op_….go files.
var ops = map[wire.Op]op{
	wire.OpHello:   {handle: as((*session).hello), first: true},
	wire.OpSend:    {handle: as((*session).onSend), rate: RateSend},
	wire.OpRead:    {handle: as((*session).onRead), rate: RateRead},
	wire.OpEdit:    {handle: as((*session).onEdit), rate: RateSend},
	wire.OpDelete:  {handle: as((*session).onDelete), rate: RateSend},
	wire.OpReact:   {handle: as((*session).onReact), rate: RateSend},
	wire.OpUnreact: {handle: as((*session).onUnreact), rate: RateSend},
	wire.OpDraft:   {handle: as((*session).onDraft), rate: RateRead},
	wire.OpAck:     {handle: as((*session).onAck), rate: RateRead},
	wire.OpTyping:  {handle: as((*session).onTyping), rate: RateTyping},
	wire.OpStatus:  {handle: as((*session).onStatus), rate: RateWrite},
	wire.OpWatch:   {handle: as((*session).onWatch), rate: RateWrite},
	wire.OpPing:    {handle: as((*session).onPing), rate: RateRead},
}

// as makes a handler of one frame type one of any frame.
func as[F wire.Frame](handle func(*session, F, string) error) func(*session, wire.Frame, string) error {
	return func(s *session, f wire.Frame, ref string) error { return handle(s, f.(F), ref) }
}

// dispatch finds the frame's row and runs it. An error ends the session.
func (s *session) dispatch(f wire.Frame, ref string) error {
	name := wire.OpOf(f)
	row := ops[name]
	s.e.metrics.frameIn(name)
	switch {
	case !s.greeted && !row.first:
		s.refuse(ref, chat.Unauthenticated("the first frame is hello"))
		return &goodbye{wire.CloseProtocolError, "the first frame is hello"}
	case s.greeted && row.first:
		s.refuse(ref, chat.Invalid("op", "was said already"))
		return nil
	}
	err := s.spend(row.rate)
	if err == nil {
		err = row.handle(s, f, ref)
	}
	if g, ok := err.(*goodbye); ok { //nolint:errorlint // the handlers return it as it is
		return g
	}
	if err != nil {
		s.refuse(ref, err)
	}
	return nil
}
