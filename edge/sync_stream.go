package edge

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"natter/auth"
	"natter/chat"
)

// stream answers GET /v1/sync/stream with Server-Sent Events:
//
//	event: synced        id: <cursor>   data: {}
//	event: reset         id: <cursor>   data: {}
//	                     id: <cursor>   data: <event>
//	: a comment each heartbeat
//
// A browser's EventSource resumes by Last-Event-ID by itself.
func (e *Edge) stream(c *fiber.Ctx) error {
	raw := c.Context()
	req := rawRequest(raw)
	cursor := c.Get("Last-Event-ID")
	err := knownQuery(raw, map[string]bool{"cursor": true})
	if err == nil {
		err = e.present()
	}
	if err == nil {
		err = e.identify(e.life, raw, req)
	}
	if err == nil {
		err = e.limits.take(RateRead, limitKey(req))
	}
	if err == nil && e.draining.Load() {
		err = chat.Unavailable("the node is draining", againSoon)
	}
	if err != nil {
		return e.refused(c, err)
	}
	if cursor == "" {
		cursor = c.Query("cursor")
	}
	at, err := e.startOf(e.life, req.who.User, cursor, "")
	if err != nil {
		return e.refused(c, err)
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set("X-Accel-Buffering", "no")
	conn, who := raw.Conn(), req.who
	if req.cookie {
		who.Expires = time.Time{}
	}
	raw.SetBodyStreamWriter(func(w *bufio.Writer) {
		s := &stream{e: e, who: who, at: at, w: w, conn: conn}
		if err := s.run(); err != nil {
			e.Logger.Debug("a stream ended", "user", who.User, "err", err)
		}
	})
	return nil
}

func (e *Edge) refused(c *fiber.Ctx, err error) error {
	e.refuse(c.Context(), err)
	return nil
}

// stream is one Server-Sent Events answer. It belongs to its goroutine.
type stream struct {
	e    *Edge
	who  auth.Identity
	at   chat.Cursor
	w    *bufio.Writer
	conn net.Conn
}

func (s *stream) run() error {
	ctx, cancel := context.WithCancel(s.e.life)
	defer cancel()
	if !s.who.Expires.IsZero() {
		var expire context.CancelFunc
		ctx, expire = context.WithDeadline(ctx, s.who.Expires)
		defer expire()
	}
	defer s.e.polls.begin(s.who.User, s.who.Device, cancel)()
	if err := s.e.present(); err != nil { // after begin: the end of all polls may have been before it
		return err
	}
	hints := make(chan struct{}, 1)
	stop, err := s.e.Queues.Follow(s.who.User, func(*chat.Entry) { nudge(hints) })
	if err != nil {
		return err
	}
	defer stop()
	beat := time.NewTicker(s.e.Heartbeat)
	defer beat.Stop()
	if err := s.catchUp(ctx, true); err != nil {
		return err
	}
	for {
		select {
		case <-hints:
			if err := s.catchUp(ctx, false); err != nil {
				return err
			}
		case <-beat.C:
			if err := s.write(": \n\n"); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp sends what is in the queue after s.at.
func (s *stream) catchUp(ctx context.Context, first bool) error {
	for {
		got, err := s.e.readQueue(ctx, s.who.User, s.at, chat.MaxPage, first)
		if err != nil {
			return err
		}
		var out strings.Builder
		if got.reset {
			fmt.Fprintf(&out, "event: reset\nid: %s\ndata: {}\n\n", got.at.String(s.who.User))
		}
		for _, p := range got.events {
			fmt.Fprintf(&out, "id: %s\ndata: %s\n\n", p.cursor.String(s.who.User), p.json)
		}
		s.at = got.after
		if first && !got.more {
			fmt.Fprintf(&out, "event: synced\nid: %s\ndata: {}\n\n", s.at.String(s.who.User))
		}
		if err := s.write(out.String()); err != nil || !got.more {
			return err
		}
	}
}

// write sends text at once. The server set one deadline for the whole answer;
// each write gets its own instead.
func (s *stream) write(text string) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.e.writeWithin)); err != nil {
		return err
	}
	if _, err := s.w.WriteString(text); err != nil {
		return err
	}
	return s.w.Flush()
}
