package edge

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/valyala/fasthttp"

	"natter/auth"
	"natter/chat"
	"natter/wire"
)

// admit stands before each route of huma's and lets a request through whose
// form, identity and rate are in order. The order matters: who is nobody learns
// nothing of the rest.
func (e *Edge) admit(r Route) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := humafiber.Unwrap(hc).Context()
		req := rawRequest(c)
		req.route = r.Path
		if err := e.mayPass(c, req, r, hc.Operation().RequestBody); err != nil {
			e.refuse(c, err)
			return
		}
		next(hc)
	}
}

func (e *Edge) mayPass(c *fasthttp.RequestCtx, req *request, r Route, wanted *huma.RequestBody) error {
	if err := knownQuery(c, e.queries[r.ID]); err != nil {
		return err
	}
	if r.Access == SignedIn || r.Method != http.MethodGet {
		if err := e.present(); err != nil {
			return err
		}
	}
	if r.Access == SignedIn {
		if err := e.identify(e.life, c, req); err != nil {
			return err
		}
	}
	if err := e.limits.take(r.Rate, limitKey(req)); err != nil {
		return err
	}
	return checkBody(c, wanted)
}

// identify finds out who calls: by the bearer token, else by the cookie. A
// write by cookie must show that no page of another site made it.
func (e *Edge) identify(ctx context.Context, c *fasthttp.RequestCtx, req *request) error {
	who, byCookie, err := e.whoIs(ctx, c)
	if err != nil {
		return err
	}
	if byCookie && !c.IsGet() && !c.IsHead() && !req.forgeryProof {
		return chat.Forbidden("a write by cookie needs the header X-Natter: 1")
	}
	if byCookie {
		e.slide(c, who)
	}
	req.who, req.cookie = who, byCookie
	return nil
}

func (e *Edge) whoIs(ctx context.Context, c *fasthttp.RequestCtx) (who auth.Identity, byCookie bool, err error) {
	if header := string(c.Request.Header.Peek("Authorization")); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return who, false, chat.Unauthenticated("Authorization must be Bearer and an access token")
		}
		who, err = e.Auth.Verify(token)
		return who, false, err
	}
	if cookie := string(c.Request.Header.Cookie(cookieName)); cookie != "" {
		who, err = e.Auth.VerifyCookie(ctx, cookie)
		return who, true, err
	}
	return who, false, chat.Unauthenticated("this needs an access token")
}

// knownQuery refuses parameters the route doesn't have; tokens in the address
// fall under it.
func knownQuery(c *fasthttp.RequestCtx, known map[string]bool) error {
	for name := range c.QueryArgs().All() {
		if !known[string(name)] {
			return chat.Invalid(shorten(name), "is not a parameter of this call")
		}
	}
	return nil
}

// shorten makes a name of the caller's fit to be said back.
func shorten(name []byte) string {
	return strings.ToValidUTF8(string(name[:min(len(name), chat.MaxIDBytes)]), "\ufffd")
}

// checkBody holds a body to JSON, uncompressed; a route without one takes none.
func checkBody(c *fasthttp.RequestCtx, wanted *huma.RequestBody) error {
	size := len(c.Request.Body())
	if wanted == nil {
		if size > 0 {
			return chat.Invalid("", "this call takes no body")
		}
		return nil
	}
	if size == 0 {
		if wanted.Required {
			return chat.Invalid("", "must be a JSON object")
		}
		return nil
	}
	unfit := &chat.Problem{Kind: wire.CodeContentType, Detail: "a request's body is application/json, not compressed"}
	if len(c.Request.Header.ContentEncoding()) > 0 {
		return unfit
	}
	kind, parameters, err := mime.ParseMediaType(string(c.Request.Header.ContentType()))
	charset := parameters["charset"]
	if err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return unfit
	}
	return nil
}
