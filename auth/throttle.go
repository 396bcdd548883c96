package auth

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"natter/chat"
)

// rate is a token bucket's shape: burst at once, then one each interval.
type rate struct {
	burst float64
	each  time.Duration
}

// The buckets in front of the passwords. Each try takes from all that apply; a
// right password gives back, so that only wrong ones count.
//
//	pair      an account from one address: somebody guesses one password
//	address   any account from one address: somebody guesses many
//	stranger  an account from all addresses that never signed in to it: many
//	          machines guess one password. Addresses that did are not counted
//	          here, so strangers can't lock the owner out.
//	signUp    new accounts from one address
//	session   new sessions of an account, by who knows its password
//	change    an account's own password, asked for when it is changed
var (
	pairRate     = rate{10, 30 * time.Second}
	addressRate  = rate{60, 5 * time.Second}
	strangerRate = rate{30, time.Minute}
	signUpRate   = rate{30, 10 * time.Second}
	sessionRate  = rate{30, time.Minute}
	changeRate   = rate{10, 30 * time.Second}
)

// maxBuckets bounds each throttle, about 10 MB for all. At the bound the bucket
// that was used longest ago is forgotten, which gives that caller a full one.
const maxBuckets = 1 << 14

// throttle is a bounded set of buckets of one rate, by key. The nil throttle
// lets everyone pass.
type throttle struct {
	rate   rate
	mu     sync.Mutex
	places map[string]*list.Element // of *bucket
	order  list.List                // used last in front
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time
}

func newThrottle(r rate) *throttle {
	return &throttle{rate: r, places: map[string]*list.Element{}}
}

// take takes one token, or refuses with the time after which there is one.
func (t *throttle) take(key string, now time.Time) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucketLocked(key, now)
	if b.tokens >= 1 {
		b.tokens--
		return nil
	}
	wait := time.Duration((1 - b.tokens) * float64(t.rate.each))
	return chat.TooMany("too many attempts; wait a little", int64(t.rate.burst), max(wait, time.Second))
}

// giveBack returns a token that take took.
func (t *throttle) giveBack(key string, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucketLocked(key, now)
	b.tokens = min(b.tokens+1, t.rate.burst)
}

func (t *throttle) bucketLocked(key string, now time.Time) *bucket {
	if place, ok := t.places[key]; ok {
		t.order.MoveToFront(place)
		b := place.Value.(*bucket)
		if passed := now.Sub(b.at); passed > 0 { // a clock that went back gives nothing
			b.tokens = min(b.tokens+float64(passed)/float64(t.rate.each), t.rate.burst)
		}
		b.at = now
		return b
	}
	if len(t.places) >= maxBuckets {
		oldest := t.order.Back()
		delete(t.places, t.order.Remove(oldest).(*bucket).key)
	}
	b := &bucket{key: key, tokens: t.rate.burst, at: now}
	t.places[key] = t.order.PushFront(b)
	return b
}

// addressKey is the address as far as one caller is likely to own it: an IPv4
// address, or the /64 of an IPv6 one. What is no address stands for itself.
func addressKey(addr string) string {
	if with, err := netip.ParseAddrPort(addr); err == nil {
		addr = with.Addr().String()
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.String()
}
