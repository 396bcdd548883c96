package edge

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"natter/chat"
)

// Rate is how often a caller may do something. Each person, or for anonymous
// calls each address, has a bucket for each; a socket has its own ones.
type Rate string

// The rates.
const (
	RateNone    Rate = ""        // not limited here: health checks, answers from memory
	RateAccount Rate = "account" // signing up and in; auth throttles names and addresses too
	RateRead    Rate = "read"
	RateWrite   Rate = "write"
	RateSend    Rate = "send"
	RateTyping  Rate = "typing"
	RateDraft   Rate = "draft"  // of one room, by person; beside the rate of reading
	RateSocket  Rate = "socket" // connecting, by address: after a restart all of a house come at once
)

// rates are events a second and how many at once.
var rates = map[Rate]struct {
	each  rate.Limit
	burst int
}{
	RateAccount: {2, 30},
	RateRead:    {50, 150},
	RateWrite:   {10, 40},
	RateSend:    {20, 60},
	RateTyping:  {2, 4},
	RateDraft:   {2, 20},
	RateSocket:  {100, 1000},
}

// limits are the buckets of HTTP callers. One that has been full for a while is
// forgotten, which changes nothing.
type limits struct {
	on  bool
	now func() time.Time

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
	swept   time.Time
}

type bucketKey struct {
	rate Rate
	who  string
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

const sweepEach = time.Minute

func newLimits(on bool, now func() time.Time) *limits {
	return &limits{on: on, now: now, buckets: map[bucketKey]*bucket{}}
}

// take uses one of who's; KindTooMany when there is none.
func (l *limits) take(r Rate, who string) error {
	if !l.on || r == RateNone {
		return nil
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > sweepEach {
		for key, b := range l.buckets {
			if now.Sub(b.used) > sweepEach {
				delete(l.buckets, key)
			}
		}
		l.swept = now
	}
	key := bucketKey{r, who}
	b := l.buckets[key]
	if b == nil {
		b = &bucket{Limiter: newLimiter(r)}
		l.buckets[key] = b
	}
	b.used = now
	return spend(b.Limiter, r, now)
}

func newLimiter(r Rate) *rate.Limiter { return rate.NewLimiter(rates[r].each, rates[r].burst) }

// spend takes one token, or says when there will be one.
func spend(b *rate.Limiter, r Rate, now time.Time) error {
	reserved := b.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	reserved.CancelAt(now)
	return chat.TooMany("too many requests of this kind; slow down", int64(rates[r].burst), wait)
}

// limitKey names the bucket's owner: the person, or the address. An IPv6
// customer has a /64.
func limitKey(r *request) string {
	if r.who.User != "" {
		return string(r.who.User)
	}
	if r.addr.Is6() {
		if p, err := r.addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return r.addr.String()
}
