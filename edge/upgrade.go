package edge

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the protocol has it so
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
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
	if e.PortableSockets {
		return e.upgradePortable(c, s)
	}
	raw.Response.Header.Set("Upgrade", "websocket")
	raw.Response.Header.Set("Connection", "Upgrade")
	raw.Response.Header.Set("Sec-Websocket-Accept", acceptKey(raw.Request.Header.Peek("Sec-Websocket-Key")))
	if offers(raw, subprotocol) {
		raw.Response.Header.Set("Sec-Websocket-Protocol", subprotocol)
	}
	raw.SetStatusCode(fiber.StatusSwitchingProtocols)
	raw.Hijack(s.take)
	return nil
}

// take is called once the answer is sent, with the connection, which is ours
// from then on (KeepHijackedConns). It returns at once, and so gives the
// server's buffers and contexts back: the wrapper it was given is not used
// beyond, for what is in its buffer is taken along.
func (s *session) take(wrapper net.Conn) {
	raw := wrapper.(interface{ UnsafeConn() net.Conn }).UnsafeConn()
	early, err := buffered(wrapper)
	if err != nil {
		_ = raw.Close() // whatever it says, it is gone
		return
	}
	d := newLean(raw, early, s.pong)
	if !s.begin(d) {
		d.Release()
		return
	}
	go s.run(d)
}

// buffered takes what the server has read already: a read that may not wait
// finds it and nothing else.
func buffered(c net.Conn) (early []byte, err error) {
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	buf := make([]byte, 512)
	for {
		n, err := c.Read(buf)
		early = append(early, buf[:n]...)
		var timeout net.Error
		switch {
		case err == nil:
		case errors.As(err, &timeout) && timeout.Timeout():
			return early, nil
		default:
			return nil, err
		}
	}
}

// acceptKey proves to the client that its handshake was understood: RFC 6455,
// section 4.2.2.
func acceptKey(key []byte) string {
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)) //nolint:gosec // the protocol has it so
	return base64.StdEncoding.EncodeToString(sum[:])
}

// offers tells whether the client speaks a protocol.
func offers(c *fasthttp.RequestCtx, protocol string) bool {
	for _, list := range c.Request.Header.PeekAll("Sec-Websocket-Protocol") {
		for one := range strings.SplitSeq(string(list), ",") {
			if strings.TrimSpace(one) == protocol {
				return true
			}
		}
	}
	return false
}

func (e *Edge) mayUpgrade(c *fasthttp.RequestCtx) error {
	req := rawRequest(c)
	switch {
	case c.QueryArgs().Len() > 0:
		return knownQuery(c, nil)
	case !websocket.FastHTTPIsWebSocketUpgrade(c):
		return fromStatus(fiber.StatusUpgradeRequired)
	case string(c.Request.Header.Peek("Sec-Websocket-Version")) != "13", !isKey(c.Request.Header.Peek("Sec-Websocket-Key")):
		return chat.Invalid("Sec-WebSocket-Key", "is not a WebSocket 13 handshake")
	case !e.ownOrigin(c):
		return chat.Forbidden("a page of another origin may not connect")
	case e.draining.Load():
		return chat.Unavailable("the node is draining", againSoon)
	}
	if err := e.present(); err != nil {
		return err
	}
	return e.limits.take(RateSocket, limitKey(req))
}

// isKey tells whether key is 16 bytes in base64.
func isKey(key []byte) bool {
	var raw [18]byte
	n, err := base64.StdEncoding.Decode(raw[:], key[:min(len(key), 24)])
	return err == nil && n == 16 && len(key) == 24
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
