package wire

import (
	"time"

	"natter/chat"
)

// Problem is a refusal as RFC 9457 has it, with the stable code that clients
// act on. It stands in application/problem+json answers and in error frames.
type Problem struct {
	Type         string    `json:"type"`
	Title        string    `json:"title"`
	Status       int       `json:"status"`
	Detail       string    `json:"detail"`
	Code         chat.Kind `json:"code"`
	Field        string    `json:"field,omitempty"`
	Limit        int64     `json:"limit,omitzero"`
	RetryAfterMS int64     `json:"retry_after_ms,omitzero"`
	ServerTime   Time      `json:"server_time,omitzero" format:"date-time"`
	RequestID    string    `json:"request_id,omitempty"`
}

// The codes that only HTTP has: no rule of a chat refuses with them.
const (
	CodeMethod      chat.Kind = "method_not_allowed"
	CodeContentType chat.Kind = "unsupported_media_type"
	CodeHeaders     chat.Kind = "headers_too_large"
	CodeTimeout     chat.Kind = "timeout"
	CodeUpgrade     chat.Kind = "upgrade_required"
)

// statuses is the one table from a kind to its HTTP status and title.
var statuses = map[chat.Kind]struct {
	status int
	title  string
}{
	chat.KindInvalid:         {400, "The request is not valid"},
	chat.KindUnauthenticated: {401, "Sign in first"},
	chat.KindForbidden:       {403, "Not allowed"},
	chat.KindNotFound:        {404, "Not found"},
	chat.KindConflict:        {409, "Conflict"},
	chat.KindTooLarge:        {413, "Too large"},
	chat.KindTooMany:         {429, "Too many"},
	chat.KindGone:            {410, "Gone"},
	chat.KindClockAhead:      {400, "The clock is ahead"},
	chat.KindUnavailable:     {503, "Not available now"},
	chat.KindInternal:        {500, "Internal error"},
	CodeMethod:               {405, "Method not allowed"},
	CodeContentType:          {415, "Unsupported media type"},
	CodeHeaders:              {431, "Headers too large"},
	CodeTimeout:              {408, "The request took too long"},
	CodeUpgrade:              {426, "Upgrade required"},
}

// NewProblem is p in its wire form. at is the server's time, which only a
// clock_ahead tells; requestID may be empty.
func NewProblem(p *chat.Problem, at time.Time, requestID string) *Problem {
	row, ok := statuses[p.Kind]
	if !ok {
		row = statuses[chat.KindInternal]
	}
	w := &Problem{
		Type:      "about:blank",
		Title:     row.title,
		Status:    row.status,
		Detail:    p.Detail,
		Code:      p.Kind,
		Field:     p.Field,
		Limit:     p.Limit,
		RequestID: requestID,
	}
	if p.RetryAfter > 0 {
		w.RetryAfterMS = max(p.RetryAfter.Milliseconds(), 1)
	}
	if p.Kind == chat.KindClockAhead {
		w.ServerTime = TimeOf(at)
	}
	return w
}

// Error makes a Problem a client has received an error.
func (p *Problem) Error() string { return p.Chat().Error() }

// Chat is the problem as the rules know it, for a client to act on.
func (p *Problem) Chat() *chat.Problem {
	return &chat.Problem{
		Kind:       p.Code,
		Detail:     p.Detail,
		Field:      p.Field,
		Limit:      p.Limit,
		RetryAfter: time.Duration(p.RetryAfterMS) * time.Millisecond,
	}
}

// CloseCode is the code a WebSocket is closed with. 4000 to 4499 ask the client
// to come back by itself; 4500 and above don't without the person.
type CloseCode int

// The close codes.
const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocol        CloseCode = 1002
	CloseInvalidUTF8     CloseCode = 1007
	CloseTooLarge        CloseCode = 1009
	CloseDraining        CloseCode = 4000
	CloseTooSlow         CloseCode = 4001
	CloseHeartbeatLost   CloseCode = 4002
	CloseUnavailable     CloseCode = 4003
	CloseUnauthenticated CloseCode = 4500
	CloseRevoked         CloseCode = 4501
	CloseProtocolError   CloseCode = 4502
	CloseTooMany         CloseCode = 4503
)

// Returns tells whether a client may connect again by itself after c.
func (c CloseCode) Returns() bool { return c < 4500 && c != CloseTooLarge && c != CloseNormal }
