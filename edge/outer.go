package edge

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"natter/chat"
	"natter/wire"
)

// contentPolicy lets the app load from here alone. Inline styles are what
// Svelte's transitions need; images may be made in the page.
const contentPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"connect-src 'self' ws: wss:; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"

// outer wraps every request: what must hold for all answers holds here.
func (e *Edge) outer(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		r := &request{id: newRequestID(), began: e.Now(), addr: e.proxies.of(c)}
		r.forgeryProof = string(c.Request.Header.Peek(forgeryHeader)) == "1"
		c.SetUserValue(requestKey{}, r)
		e.headers(c, r)
		defer func() {
			if text := recover(); text != nil {
				e.Logger.Error("a handler panicked", "request", r.id, "path", string(c.Path()), "panic", text, "stack", string(debug.Stack()))
				c.Response.ResetBody()
				e.refuse(c, errors.New("panic"))
			}
			e.metrics.answered(r, string(c.Method()), c.Response.StatusCode(), e.Now())
			e.logAnswer(c, r)
		}()
		if p := faultyFraming(c); p != nil {
			c.SetConnectionClose()
			e.refuse(c, p)
			return
		}
		next(c)
	}
}

// headers sets what every answer carries.
func (e *Edge) headers(c *fasthttp.RequestCtx, r *request) {
	h := &c.Response.Header
	h.Set("X-Request-Id", r.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	if e.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// faultyFraming refuses what proxies and servers read in different ways: a
// second request could hide in the difference.
func faultyFraming(c *fasthttp.RequestCtx) *chat.Problem {
	if raw := c.Request.Header.RawHeaders(); hasLine(raw, "transfer-encoding:") && hasLine(raw, "content-length:") {
		return chat.Invalid("Content-Length", "must not stand beside Transfer-Encoding")
	}
	return nil
}

// hasLine tells whether a header line begins with prefix, in any case.
func hasLine(raw []byte, prefix string) bool {
	for line := range bytes.Lines(raw) {
		if len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix)) {
			return true
		}
	}
	return false
}

// refuse writes err as a problem. A text that isn't a Problem's is logged and
// doesn't leave.
func (e *Edge) refuse(c *fasthttp.RequestCtx, err error) {
	r := rawRequest(c)
	e.answer(c, e.problem(r, err))
}

func (e *Edge) answer(c *fasthttp.RequestCtx, p *problem) {
	c.Response.ResetBody()
	c.SetStatusCode(p.Status)
	for name, values := range p.GetHeaders() {
		c.Response.Header.Set(name, values[0])
	}
	c.Response.Header.Set("Content-Type", problemType)
	c.Response.SetBodyRaw(wire.Marshal(&p.Problem))
}

// onError is Fiber's way to say that no route fits, or that one failed.
func (e *Edge) onError(c *fiber.Ctx, err error) error {
	var f *fiber.Error
	if errors.As(err, &f) {
		err = fromStatus(f.Code)
	}
	e.refuse(c.Context(), err)
	return nil
}

// onBadRequest answers what fasthttp could not read as a request; it closes the
// connection afterwards.
func (e *Edge) onBadRequest(c *fasthttp.RequestCtx, err error) {
	r := rawRequest(c)
	e.headers(c, r)
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	status := fasthttp.StatusBadRequest
	switch {
	case errors.As(err, &small):
		status = fasthttp.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status = fasthttp.StatusRequestEntityTooLarge
		discard(c.Conn())
	case errors.As(err, &timeout) && timeout.Timeout():
		status = fasthttp.StatusRequestTimeout
	}
	e.refuse(c, fromStatus(status))
	e.metrics.answered(r, "", c.Response.StatusCode(), e.Now())
}

const (
	discardBytes = 4 * chat.MaxBodyBytes
	discardPause = 100 * time.Millisecond
)

// discard reads what a client is still sending of a body that is too large, up to
// discardBytes or until it pauses. Closing a connection on bytes that nobody has read resets
// it, and the client may lose the answer.
func discard(conn net.Conn) {
	piece := make([]byte, 4<<10)
	for total := 0; total < discardBytes; {
		if conn.SetReadDeadline(time.Now().Add(discardPause)) != nil {
			return
		}
		n, err := conn.Read(piece)
		if err != nil {
			return
		}
		total += n
	}
}

// fromStatus is the refusal behind a status of Fiber's or fasthttp's.
func fromStatus(status int) *chat.Problem {
	switch status {
	case fiber.StatusNotFound:
		return chat.NotFound("address")
	case fiber.StatusMethodNotAllowed:
		return &chat.Problem{Kind: wire.CodeMethod, Detail: "the address doesn't take this method"}
	case fiber.StatusRequestEntityTooLarge:
		return chat.TooLarge("", "a request's body is at most "+strconv.Itoa(chat.MaxBodyBytes)+" bytes", chat.MaxBodyBytes)
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return &chat.Problem{Kind: wire.CodeHeaders, Detail: "a request's headers are at most " + strconv.Itoa(headerBytes) + " bytes", Limit: headerBytes}
	case fiber.StatusRequestTimeout:
		return &chat.Problem{Kind: wire.CodeTimeout, Detail: "the request came too slowly"}
	case fiber.StatusUnsupportedMediaType:
		return &chat.Problem{Kind: wire.CodeContentType, Detail: "a request's body is application/json, not compressed"}
	case fiber.StatusUpgradeRequired:
		return &chat.Problem{Kind: wire.CodeUpgrade, Detail: "this address speaks WebSocket"}
	}
	if status >= 500 {
		return chat.ProblemOf(errors.New(strconv.Itoa(status)))
	}
	return chat.Invalid("", "is not a well-formed request")
}

// logAnswer is the access log, at debug: no query, no header, no body in it.
func (e *Edge) logAnswer(c *fasthttp.RequestCtx, r *request) {
	if !e.Logger.Enabled(e.life, slog.LevelDebug) {
		return
	}
	e.Logger.LogAttrs(e.life, slog.LevelDebug, "answered", slog.String("request", r.id), slog.String("method", string(c.Method())),
		slog.String("route", r.route), slog.Int("status", c.Response.StatusCode()), slog.String("addr", r.addr.String()),
		slog.String("user", string(r.who.User)), slog.Duration("took", e.Now().Sub(r.began)))
}

func (e *Edge) logRefusal(r *request, err error) {
	if chat.KindOf(err) == chat.KindInternal {
		e.Logger.LogAttrs(e.life, slog.LevelError, "a request failed", slog.String("request", r.id), slog.String("route", r.route), slog.Any("err", err))
	}
}
