package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"natter/chat"
)

// Options are what a Service needs. Records and NewID must be set.
type Options struct {
	Records chat.Records
	// NewID makes a Snowflake, unique in the cluster; users and devices are
	// named after one.
	NewID func() (chat.MessageID, error)
	Now   func() time.Time // default time.Now
	// Random gives keys, salts and tokens; default crypto/rand.
	Random     io.Reader
	Log        *slog.Logger  // default slog.Default
	AccessTTL  time.Duration // default 15 minutes
	RefreshTTL time.Duration // default 60 days, from the last refresh
	CookieTTL  time.Duration // default 30 days, from the last use
	RateLimits bool          // false: no throttle and no bound of the waiting queue
	Hashes     int           // argon2 sums at once, default GOMAXPROCS
}

// seenEach is how old LastSeen may be: a use within it writes nothing. It is
// also how long a cookie is believed without asking the store.
const seenEach = 5 * time.Minute

// pruneEach is how often expired tombstones and sessions are removed.
const pruneEach = time.Hour

// Service is accounts and sessions. All methods are safe for concurrent use;
// those with a context wait for the store, the others don't.
type Service struct {
	o       Options
	signer  *signer
	hasher  *hasher
	people  directory
	revoked revocations
	cookies cookies
	visible visible

	pairs, addresses, strangers, signUps, sessions, changes *throttle

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open loads or makes the signing key, follows accounts and revocations, and
// returns when it knows all that were there. ctx bounds the opening only.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Records == nil || o.NewID == nil {
		panic("auth: Options.Records and Options.NewID must be set")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	o.AccessTTL = cmp.Or(o.AccessTTL, 15*time.Minute)
	o.RefreshTTL = cmp.Or(o.RefreshTTL, 60*24*time.Hour)
	o.CookieTTL = cmp.Or(o.CookieTTL, 30*24*time.Hour)
	o.Hashes = cmp.Or(o.Hashes, runtime.GOMAXPROCS(0))

	s := &Service{o: o, hasher: newHasher(o.Hashes, o.RateLimits, o.Random)}
	if o.RateLimits {
		s.pairs, s.addresses, s.strangers = newThrottle(pairRate), newThrottle(addressRate), newThrottle(strangerRate)
		s.signUps, s.sessions, s.changes = newThrottle(signUpRate), newThrottle(sessionRate), newThrottle(changeRate)
	}
	key, err := s.signingKey(ctx)
	if err != nil {
		return nil, err
	}
	s.signer = newSigner(key)

	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.follow(ctx, life); err != nil {
		stop()
		return nil, err
	}
	s.done.Go(func() { s.pruneEachHour(life) })
	return s, nil
}

// Close stops following and pruning and waits for the latter.
func (s *Service) Close() {
	s.stop()
	s.done.Wait()
}

// signingKey reads the cluster's key, or makes it: of nodes that start at once
// one makes it and the others read it.
func (s *Service) signingKey(ctx context.Context) ([]byte, error) {
	var found secret
	_, err := get(ctx, s.o.Records, secretKey, &found)
	if chat.KindOf(err) == chat.KindNotFound {
		made := secret{versioned{recordVersion}, make([]byte, 32)}
		if _, err := io.ReadFull(s.o.Random, made.Key); err != nil {
			return nil, err
		}
		if _, err = s.o.Records.Put(ctx, secretKey, encode(made), 0); err == nil {
			return made.Key, nil
		} else if chat.KindOf(err) != chat.KindConflict {
			return nil, err
		}
		_, err = get(ctx, s.o.Records, secretKey, &found)
	}
	if err == nil && len(found.Key) != 32 {
		err = errors.New("auth: the stored signing key is not 32 bytes long")
	}
	return found.Key, err
}

// follow starts the watches of the directory and of the revocations under life
// and waits, within ctx, until both have told what is.
func (s *Service) follow(ctx, life context.Context) error {
	accounts, tombstones := make(chan struct{}), make(chan struct{})
	err := s.o.Records.Watch(life, accountPrefix, s.sawAccount, func() {
		s.people.ready()
		close(accounts)
	})
	if err != nil {
		return err
	}
	if err := s.o.Records.Watch(life, revokedPrefix, s.sawTombstone, func() { close(tombstones) }); err != nil {
		return err
	}
	for _, ready := range []chan struct{}{accounts, tombstones} {
		select {
		case <-ready:
		case <-ctx.Done():
			return chat.Unavailable("the accounts could not be read in time", time.Second)
		}
	}
	return nil
}

func (s *Service) sawAccount(key string, value []byte, revision uint64) {
	if value == nil {
		id := chat.UserID(strings.TrimPrefix(key, accountPrefix+"."))
		before, after := s.people.remove(id, revision)
		s.visible.changed(id, before, after)
		return
	}
	var a account
	if err := decode(key, value, &a); err != nil {
		s.o.Log.Error("an account can't be read", "key", key, "err", err)
		return
	}
	if !a.Void {
		s.know(&a, revision)
	}
}

// know takes an account as of revision into the directory, and tells if who may
// see its person has changed.
func (s *Service) know(a *account, revision uint64) {
	before, after := s.people.put(a.user(), a.Visibility, revision)
	s.visible.changed(a.User, before, after)
}

// visible tells of who may see whom.
type visible struct {
	mu       sync.Mutex
	handlers []func(u chat.UserID, before, after string)
}

func (v *visible) changed(u chat.UserID, before, after string) {
	if before == after || before == "" {
		return
	}
	v.mu.Lock()
	handlers := v.handlers
	v.mu.Unlock()
	for _, handle := range handlers {
		handle(u, before, after)
	}
}

// OnVisibility has handle called when who may see a person's presence has
// changed: at once when this node changed it, within the watch's delay when
// another did. handle must not block. Add handlers before there is traffic.
func (s *Service) OnVisibility(handle func(u chat.UserID, before, after string)) {
	s.visible.mu.Lock()
	defer s.visible.mu.Unlock()
	s.visible.handlers = append(s.visible.handlers[:len(s.visible.handlers):len(s.visible.handlers)], handle)
}

// Visibility is who may see a person's presence, from memory; nobody for who
// isn't known.
func (s *Service) Visibility(id chat.UserID) string { return s.people.visibility(id) }

func (s *Service) millis() chat.Millis { return chat.MillisOf(s.o.Now()) }

// User looks up a person in memory: everyone whose account this node has seen,
// and at once what it has changed itself.
func (s *Service) User(id chat.UserID) (User, bool) { return s.people.user(id) }

// lagging is how far this node's memory may be behind the other nodes' writes.
// It is seconds at the most while the store answers; the rest is for clocks.
const lagging = 10 * time.Minute

// Lookup is User for who may wait: a person this node hasn't seen, whose id is
// new, may have signed up on another node a moment ago, so the store is asked.
// An older id that isn't in memory isn't anybody's.
func (s *Service) Lookup(ctx context.Context, id chat.UserID) (User, bool, error) {
	if u, ok := s.people.user(id); ok {
		return u, true, nil
	}
	made, ok := chat.MadeAt(id)
	if age := s.millis() - made; !ok || age > chat.Millis(lagging.Milliseconds()) {
		return User{}, false, nil
	}
	return s.Current(ctx, id)
}

// Current is a person as the store has them now: what another node has just
// changed may not be in this one's memory yet.
func (s *Service) Current(ctx context.Context, id chat.UserID) (User, bool, error) {
	a, revision, err := s.account(ctx, id)
	if chat.KindOf(err) == chat.KindNotFound {
		return User{}, false, nil
	}
	if err != nil {
		return User{}, false, err
	}
	s.know(a, revision)
	return a.user(), true, nil
}

// Search finds people by username or name, at most limit: first who has that
// username, then whose username, name, or a further word of the name begins
// with it, then who has it inside; among equals by username. Case, width and
// accents don't matter, and a Hangul syllable still being typed finds those it
// may become. An empty query finds nobody.
func (s *Service) Search(query string, limit int) []User { return s.people.search(query, limit) }
