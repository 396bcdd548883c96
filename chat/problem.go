package chat

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller can do about a refusal. One table per transport turns
// it into an HTTP status, an error frame or a close code.
type Kind string

// The kinds; their text is the stable `code` of the wire.
const (
	KindInvalid         Kind = "invalid"         // the request is wrong; mend it
	KindUnauthenticated Kind = "unauthenticated" // sign in, or refresh
	KindForbidden       Kind = "forbidden"       // you may see it, and may not do this
	KindNotFound        Kind = "not_found"       // not there, or not yours: the same answer
	KindConflict        Kind = "conflict"        // something else holds that name or state
	KindTooLarge        Kind = "too_large"       // over a size limit
	KindTooMany         Kind = "too_many"        // over a rate or a count; wait RetryAfter
	KindGone            Kind = "gone"            // it was there and will not come back
	KindClockAhead      Kind = "clock_ahead"     // the client's clock is over 2 minutes ahead
	KindUnavailable     Kind = "unavailable"     // not now; the same request may pass later
	KindInternal        Kind = "internal"        // our fault; the detail is in our log only
)

// Problem is a refusal in the terms of RFC 9457: what went wrong, in which
// field, against which limit. It travels from the rules to the wire unchanged.
// It carries nothing the caller may not see.
type Problem struct {
	Kind       Kind
	Detail     string        // one sentence for a person
	Field      string        // the request's field, if one is to blame
	Limit      int64         // the limit it hit, 0 if none
	RetryAfter time.Duration // when trying again makes sense, 0 if unknown
}

// Error is the problem in one line.
func (p *Problem) Error() string {
	if p.Field != "" {
		return fmt.Sprintf("%s: %s: %s", p.Kind, p.Field, p.Detail)
	}
	return fmt.Sprintf("%s: %s", p.Kind, p.Detail)
}

// KindOf is the kind of err: its Problem's, or internal for any other error.
func KindOf(err error) Kind {
	var p *Problem
	if errors.As(err, &p) {
		return p.Kind
	}
	return KindInternal
}

// ProblemOf is err's Problem; any other error becomes a bare internal one, so
// that its text never leaves the node.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Kind: KindInternal, Detail: "the server made a mistake; it has been logged"}
}

// Invalid refuses a field.
func Invalid(field, detail string) *Problem {
	return &Problem{Kind: KindInvalid, Field: field, Detail: detail}
}

// TooLarge refuses a field over its limit.
func TooLarge(field, detail string, limit int64) *Problem {
	return &Problem{Kind: KindTooLarge, Field: field, Detail: detail, Limit: limit}
}

// NotFound answers for what is not there and for what is not the caller's.
func NotFound(what string) *Problem {
	return &Problem{Kind: KindNotFound, Detail: "there is no such " + what}
}

// Forbidden refuses what the caller may see but not do.
func Forbidden(detail string) *Problem { return &Problem{Kind: KindForbidden, Detail: detail} }

// Conflict refuses what collides with what is there.
func Conflict(field, detail string) *Problem {
	return &Problem{Kind: KindConflict, Field: field, Detail: detail}
}

// Unauthenticated asks the caller to sign in.
func Unauthenticated(detail string) *Problem {
	return &Problem{Kind: KindUnauthenticated, Detail: detail}
}

// TooMany asks the caller to wait.
func TooMany(detail string, limit int64, after time.Duration) *Problem {
	return &Problem{Kind: KindTooMany, Detail: detail, Limit: limit, RetryAfter: after}
}

// Unavailable asks the caller to try the same again later.
func Unavailable(detail string, after time.Duration) *Problem {
	return &Problem{Kind: KindUnavailable, Detail: detail, RetryAfter: after}
}
