package edge

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	contrib "github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"natter/chat"
)

// upgrade answers GET /v1/ws. Whatever is wrong with a request is said in HTTP,
// before the upgrade; who it is is proved by hello, or by the cookie.
func (e *Edge) upgrade(c *fiber.Ctx) error {
	raw := c.Context()
	if err := e.mayUpgrade(raw); err != nil {
		return e.refused(c, err)
	}
	s := newSession(e, e.browserCookie(raw))
	strip(raw)
	return contrib.New(s.serve, contrib.Config{
		Subprotocols:    []string{subprotocol},
		ReadBufferSize:  2048,
		WriteBufferSize: 512, // for the library's own control frames
		WriteBufferPool: &writeBuffers,
		RecoverHandler:  func(*contrib.Conn) {}, // serve recovers by itself
	})(c)
}

var writeBuffers sync.Pool

// handshake are the headers the upgrade needs.
var handshake = map[string]bool{
	"Host": true, "Connection": true, "Upgrade": true,
	"Sec-Websocket-Version": true, "Sec-Websocket-Key": true, "Sec-Websocket-Protocol": true,
}

// strip removes what the library would copy and keep for the life of the
// socket: nothing of it is needed, and some of it is secret.
func strip(c *fasthttp.RequestCtx) {
	c.Request.Header.DelAllCookies()
	var names []string
	for name := range c.Request.Header.All() {
		if !handshake[string(name)] {
			names = append(names, string(name))
		}
	}
	for _, name := range names {
		c.Request.Header.Del(name)
	}
}

func (e *Edge) mayUpgrade(c *fasthttp.RequestCtx) error {
	req := rawRequest(c)
	switch {
	case c.QueryArgs().Len() > 0:
		return knownQuery(c, nil)
	case !websocket.FastHTTPIsWebSocketUpgrade(c):
		return fromStatus(fiber.StatusUpgradeRequired)
	case string(c.Request.Header.Peek("Sec-Websocket-Version")) != "13", len(c.Request.Header.Peek("Sec-Websocket-Key")) != 24:
		return chat.Invalid("Sec-WebSocket-Key", "is not a WebSocket 13 handshake")
	case !e.ownOrigin(c):
		return chat.Forbidden("a page of another origin may not connect")
	case e.draining.Load():
		return chat.Unavailable("the node is draining", time.Second)
	}
	return e.limits.take(RateSocket, limitKey(req))
}

// ownOrigin tells whether the page that connects is ours. What isn't a browser
// sends no Origin.
func (e *Edge) ownOrigin(c *fasthttp.RequestCtx) bool {
	origin := string(c.Request.Header.Peek("Origin"))
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if strings.EqualFold(u.Host, string(c.Host())) {
		return true
	}
	for _, allowed := range append([]string{e.PublicURL}, e.Origins...) {
		if a, err := url.Parse(allowed); err == nil && a.Host != "" && a.Scheme == u.Scheme && strings.EqualFold(a.Host, u.Host) {
			return true
		}
	}
	return false
}

// browserCookie is the session cookie, if the request is a browser's. Without
// an Origin nobody knows whose page it is, so the cookie doesn't count.
func (e *Edge) browserCookie(c *fasthttp.RequestCtx) string {
	if len(c.Request.Header.Peek("Origin")) == 0 {
		return ""
	}
	return string(c.Request.Header.Cookie(cookieName))
}

// serve is the session's life on a socket that has been upgraded. It returns
// when nobody touches ws any more.
func (s *session) serve(ws *contrib.Conn) {
	d := newDriver(ws.Conn, s.pong)
	defer d.Release()
	if !s.e.hub.begin(s) {
		return
	}
	defer s.e.hub.end(s)
	s.run(d)
}

var errUnexpected = errors.New("edge: the session panicked")
