package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"sync"
	"time"

	"natter/chat"
)

// The refusals of tokens. ErrRevoked is the one that signing in again is the
// only way out of, though refreshing might be tried.
var (
	ErrToken   = chat.Unauthenticated("the token is not valid; sign in again")
	ErrExpired = chat.Unauthenticated("the token has expired")
	ErrRevoked = chat.Unauthenticated("this session has been ended; sign in again")
)

// begin makes a session for a and stores it.
func (s *Service) begin(ctx context.Context, a *account, deviceName string) (Session, error) {
	id, err := s.newID()
	if err != nil {
		return Session{}, err
	}
	device := chat.NewDeviceID(id)
	refresh, refreshSum, err := s.random()
	if err != nil {
		return Session{}, err
	}
	cookie, cookieSum, err := s.random()
	if err != nil {
		return Session{}, err
	}
	now := s.o.Now()
	record := session{
		versioned: versioned{recordVersion}, User: a.User, Device: device, DeviceName: deviceName,
		CreatedAt: chat.MillisOf(now), LastSeenAt: chat.MillisOf(now), Generation: a.Generation,
		Refresh: refreshSum, RefreshUntil: chat.MillisOf(now.Add(s.o.RefreshTTL)),
		Cookie: cookieSum, CookieUntil: chat.MillisOf(now.Add(s.o.CookieTTL)),
	}
	if _, err := s.o.Records.Put(ctx, sessionKey(a.User, device), encode(record), 0); err != nil {
		return Session{}, err
	}
	// A password changed in between has ended the sessions it saw; this one may
	// have come too late for that, so it looks again.
	current, _, err := s.account(ctx, a.User)
	if err != nil {
		return Session{}, err
	}
	if !current.holds(&record) {
		if err := s.end(ctx, a.User, device); err != nil {
			return Session{}, err
		}
		return Session{}, errCredentials
	}
	made := s.grant(current, &record, refresh, now)
	made.Cookie = s.signer.seal(cookiePrefix, a.User, device, cookie)
	made.CookieExpires = record.CookieUntil.Time()
	return made, nil
}

// grant is the answer of begin and Refresh, without the cookie.
func (s *Service) grant(a *account, record *session, refresh []byte, now time.Time) Session {
	expires := chat.MillisOf(now.Add(s.o.AccessTTL))
	return Session{
		User: a.user(), Device: record.Device,
		AccessToken: s.signer.sealAccess(record.User, record.Device, expires), AccessExpires: expires.Time(),
		RefreshToken: s.signer.seal(refreshPrefix, record.User, record.Device, refresh),
	}
}

// random is a token's 256 bits and their hash.
func (s *Service) random() (bits, sum []byte, err error) {
	bits = make([]byte, randomBytes)
	if _, err := io.ReadFull(s.o.Random, bits); err != nil {
		return nil, nil, err
	}
	hash := sha256.Sum256(bits)
	return bits, hash[:], nil
}

// Refresh exchanges a refresh token for a new session answer; the token dies.
// One that died before ends the session: it was used by two, and nobody can
// tell which of them is the person.
func (s *Service) Refresh(ctx context.Context, token string) (Session, error) {
	o, sum, ok := s.signer.openRandom(refreshPrefix, token)
	if !ok {
		return Session{}, ErrToken
	}
	user, device := chat.UserID(o.user), chat.DeviceID(o.device)
	next, nextSum, err := s.random()
	if err != nil {
		return Session{}, err
	}
	for range maxRaces {
		record, a, revision, err := s.standing(ctx, user, device)
		if err != nil {
			return Session{}, err
		}
		if !sameHash(record.Refresh, sum) {
			s.o.Log.Warn("a refresh token was used twice; its session is ended", "user", user, "device", device)
			if err := s.end(ctx, record.User, record.Device); err != nil {
				return Session{}, err
			}
			return Session{}, ErrRevoked
		}
		now := s.o.Now()
		if record.RefreshUntil <= chat.MillisOf(now) {
			return Session{}, ErrExpired
		}
		record.Refresh, record.RefreshUntil = nextSum, chat.MillisOf(now.Add(s.o.RefreshTTL))
		record.LastSeenAt, record.Generation = chat.MillisOf(now), a.Generation
		_, err = s.o.Records.Put(ctx, sessionKey(record.User, record.Device), encode(record), revision)
		if chat.KindOf(err) == chat.KindConflict {
			continue
		}
		if err != nil {
			return Session{}, err
		}
		return s.grant(a, record, next, now), nil
	}
	return Session{}, errRaces
}

// standing reads a session that may go on, and its account; ErrRevoked for one
// that was ended.
func (s *Service) standing(ctx context.Context, u chat.UserID, d chat.DeviceID) (*session, *account, uint64, error) {
	if s.revoked.has(d) {
		return nil, nil, 0, ErrRevoked
	}
	var record session
	revision, err := get(ctx, s.o.Records, sessionKey(u, d), &record)
	if chat.KindOf(err) == chat.KindNotFound {
		return nil, nil, 0, ErrRevoked
	}
	if err != nil {
		return nil, nil, 0, err
	}
	a, _, err := s.account(ctx, u)
	if chat.KindOf(err) == chat.KindNotFound || err == nil && !a.holds(&record) {
		return nil, nil, 0, ErrRevoked
	}
	return &record, a, revision, err
}

// Verify checks an access token: signature, expiry, and that its session wasn't
// ended. It asks nobody and takes about a microsecond. ErrToken, ErrExpired,
// ErrRevoked.
func (s *Service) Verify(token string) (Identity, error) {
	o, expires, ok := s.signer.openAccess(token)
	if !ok {
		return Identity{}, ErrToken
	}
	if expires <= s.millis() {
		return Identity{}, ErrExpired
	}
	if s.revoked.has(chat.DeviceID(o.device)) {
		return Identity{}, ErrRevoked
	}
	return o.identity(expires), nil
}

// identity copies: a server may reuse the memory a token came in.
func (o *opened) identity(expires chat.Millis) Identity {
	ids := string(append([]byte(o.user), o.device...))
	return Identity{chat.UserID(ids[:len(o.user)]), chat.DeviceID(ids[len(o.user):]), expires.Time()}
}

// VerifyCookie checks the value of natter_session. Within a few minutes of the
// last check it asks nobody; beyond, it asks the store and moves the cookie's
// end and the device's LastSeen on. Expires is when the cookie ends, should
// nothing use it again.
func (s *Service) VerifyCookie(ctx context.Context, cookie string) (Identity, error) {
	o, sum, ok := s.signer.openRandom(cookiePrefix, cookie)
	if !ok {
		return Identity{}, ErrToken
	}
	if s.revoked.has(chat.DeviceID(o.device)) {
		return Identity{}, ErrRevoked
	}
	now := s.o.Now()
	if who, ok := s.cookies.get(sum, now); ok {
		return who, nil
	}
	who := o.identity(0)
	for range maxRaces {
		record, _, revision, err := s.standing(ctx, who.User, who.Device)
		if err != nil {
			return Identity{}, err
		}
		if !sameHash(record.Cookie, sum) {
			return Identity{}, ErrToken
		}
		if record.CookieUntil <= chat.MillisOf(now) {
			return Identity{}, ErrExpired
		}
		if now.Sub(record.LastSeenAt.Time()) >= seenEach {
			record.LastSeenAt, record.CookieUntil = chat.MillisOf(now), chat.MillisOf(now.Add(s.o.CookieTTL))
			_, err := s.o.Records.Put(ctx, sessionKey(who.User, who.Device), encode(record), revision)
			if chat.KindOf(err) == chat.KindConflict {
				continue
			}
			if err != nil {
				return Identity{}, err
			}
		}
		who.Expires = record.CookieUntil.Time()
		s.cookies.put(sum, who, now)
		return who, nil
	}
	return Identity{}, errRaces
}

// maxCookies bounds the cache, about 15 MB. At the bound an arbitrary one goes,
// which costs its browser a look into the store.
const maxCookies = 1 << 16

// cookies are those verified within seenEach, by hash.
type cookies struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]knownCookie
}

type knownCookie struct {
	who   Identity
	until time.Time
}

func (c *cookies) get(sum [sha256.Size]byte, now time.Time) (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[sum]
	if !ok || !now.Before(k.until) || !now.Before(k.who.Expires) {
		delete(c.known, sum)
		return Identity{}, false
	}
	return k.who, true
}

func (c *cookies) put(sum [sha256.Size]byte, who Identity, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[[sha256.Size]byte]knownCookie{}
	}
	for one := range c.known {
		if len(c.known) < maxCookies {
			break
		}
		delete(c.known, one)
	}
	c.known[sum] = knownCookie{who, now.Add(seenEach)}
}

// Devices lists where a person is signed in, seen last first.
func (s *Service) Devices(ctx context.Context, u chat.UserID) ([]Device, error) {
	sessions, err := collect[session](ctx, s.o.Records, sessionPrefix+"."+string(u))
	if err != nil {
		return nil, err
	}
	a, _, err := s.account(ctx, u)
	if err != nil {
		return nil, err
	}
	devices := []Device{}
	now := s.millis()
	for _, one := range sessions {
		r := &one.value
		if !r.ended(now) && a.holds(r) && !s.revoked.has(r.Device) {
			devices = append(devices, Device{r.Device, r.DeviceName, r.CreatedAt, r.LastSeenAt})
		}
	}
	slices.SortFunc(devices, func(a, b Device) int {
		return cmp.Or(cmp.Compare(b.LastSeenAt, a.LastSeenAt), cmp.Compare(b.ID, a.ID))
	})
	return devices, nil
}

// Revoke ends a session of u: on this node when it returns, on the others
// within the watch's delay. KindNotFound if u has no such session.
func (s *Service) Revoke(ctx context.Context, u chat.UserID, d chat.DeviceID) error {
	_, _, err := s.o.Records.Get(ctx, sessionKey(u, d))
	if chat.KindOf(err) == chat.KindNotFound {
		return chat.NotFound("session")
	}
	if err != nil {
		return err
	}
	return s.end(ctx, u, d)
}
