package edge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"natter/auth"
)

// request is what is known of one HTTP request beside its content. It lives as
// a user value of fasthttp's and as a value of the handlers' context.
type request struct {
	id    string
	addr  netip.Addr
	began time.Time
	route string // the route's pattern, for metrics; empty until it is known
	who   auth.Identity
	// cookie tells that who was proved by the session cookie.
	cookie bool
	// forgeryProof tells that the request has X-Natter: 1, which no page of
	// another site can add.
	forgeryProof bool
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		panic("edge: a handler ran outside of a request")
	}
	return r
}

func rawRequest(c *fasthttp.RequestCtx) *request {
	r, ok := c.UserValue(requestKey{}).(*request)
	if !ok { // fasthttp's own error paths, before outer
		r = &request{id: newRequestID(), began: time.Now()}
		c.SetUserValue(requestKey{}, r)
	}
	return r
}

// caller is who makes the request; only for routes that ask for it.
func caller(ctx context.Context) auth.Identity { return requestOf(ctx).who }

func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// trusted are the proxies whose word on the client's address counts.
type trusted []netip.Prefix

func (t trusted) has(a netip.Addr) bool {
	for _, p := range t {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// client is the address of the client: the peer's, or if that is a trusted
// proxy, the last one in X-Forwarded-For that isn't. What a client wrote there
// itself stands before what our proxies appended and so never counts.
func (t trusted) client(peer netip.Addr, forwarded string) netip.Addr {
	at := peer.Unmap()
	hops := strings.Split(forwarded, ",")
	for i := len(hops) - 1; i >= 0 && t.has(at); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = hop.Unmap()
	}
	return at
}

func (t trusted) of(c *fasthttp.RequestCtx) netip.Addr {
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	if len(t) == 0 {
		return peer.Addr().Unmap()
	}
	return t.client(peer.Addr(), string(c.Request.Header.Peek("X-Forwarded-For")))
}
