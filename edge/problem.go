package edge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"natter/chat"
	"natter/wire"
)

const problemType = "application/problem+json"

// problem is a refusal as huma writes one.
type problem struct{ wire.Problem }

// GetStatus is the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType makes huma answer in RFC 9457's type.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders are the headers that go with the refusal.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfterMS > 0 {
		// Whole seconds, and never earlier than retry_after_ms says.
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfterMS+999)/1000, 10))
	}
	if p.Code == chat.KindUnauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="natter"`)
	}
	return h
}

// problem is err as an answer to r; what isn't a Problem is logged here, and
// nowhere else.
func (e *Edge) problem(r *request, err error) *problem {
	e.logRefusal(r, err)
	return &problem{*wire.NewProblem(chat.ProblemOf(err), e.Now(), r.id)}
}

// huma is set up by package variables. It makes its own errors through NewError;
// ours never let it get so far, except for its document, which takes the type
// from here. And our lists are lists, never null.
func init() {
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, _ string, _ ...error) huma.StatusError {
		return &problem{*wire.NewProblem(fromStatus(status), time.Time{}, "")}
	}
}
