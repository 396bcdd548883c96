package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"natter/chat"
)

// The keys in chat.Records.
const (
	secretKey     = "secret.tokens"
	accountPrefix = "account"
	sessionPrefix = "session"
	revokedPrefix = "revoked"
)

func accountKey(u chat.UserID) string { return accountPrefix + "." + string(u) }

func sessionKey(u chat.UserID, d chat.DeviceID) string {
	return sessionPrefix + "." + string(u) + "." + string(d)
}

func revokedKey(d chat.DeviceID) string { return revokedPrefix + "." + string(d) }

// nameKey hashes the skeleton, which may be any text, to a key's alphabet.
func nameKey(skeleton string) string {
	sum := sha256.Sum256([]byte(skeleton))
	return "name." + keyEncoding.EncodeToString(sum[:])
}

var keyEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// recordVersion is the version of all records here. A reader takes its own and
// older ones; the first is frozen in testdata/ and read for ever.
const recordVersion = 1

// versioned is embedded first in each record.
type versioned struct {
	Version uint8 `cbor:"0,keyasint"`
}

func (v versioned) check() error {
	if v.Version == 0 || v.Version > recordVersion {
		return fmt.Errorf("auth: a stored record is of version %d, this natter reads up to %d", v.Version, recordVersion)
	}
	return nil
}

// account is a person: what they sign in with and what they say of themselves.
type account struct {
	versioned
	User       chat.UserID       `cbor:"1,keyasint"`
	Username   string            `cbor:"2,keyasint"` // folded
	Password   string            `cbor:"3,keyasint"` // argon2id, PHC string
	CreatedAt  chat.Millis       `cbor:"4,keyasint"`
	Name       string            `cbor:"5,keyasint,omitempty"`
	About      string            `cbor:"6,keyasint,omitempty"`
	Avatar     chat.AvatarID     `cbor:"7,keyasint,omitempty"`
	Locale     string            `cbor:"8,keyasint,omitempty"`
	TimeZone   string            `cbor:"9,keyasint,omitempty"`
	Visibility string            `cbor:"10,keyasint,omitempty"`
	Settings   map[string]string `cbor:"11,keyasint,omitempty"`
	// Generation counts changes of the password. A session of an older one is
	// over, unless it is Kept: the one the password was changed from.
	Generation uint64        `cbor:"12,keyasint,omitempty"`
	Kept       chat.DeviceID `cbor:"13,keyasint,omitempty"`
	// Familiar are marks of addresses that signed in before (see addressMark),
	// newest last.
	Familiar [][]byte `cbor:"14,keyasint,omitempty"`
	// Void: this id's sign-up was cut short and its name went to another. The
	// record stands so that a straggler of that sign-up can't make it after all.
	Void bool `cbor:"15,keyasint,omitempty"`
}

func (a *account) user() User {
	return User{ID: a.User, Username: a.Username, Name: a.Name, About: a.About, Avatar: a.Avatar}
}

// holds tells whether a session still stands after the password's changes.
func (a *account) holds(s *session) bool {
	return !a.Void && (s.Generation == a.Generation || s.Device == a.Kept)
}

// claim says whose a name is; the key is made of its skeleton.
type claim struct {
	versioned
	User chat.UserID `cbor:"1,keyasint"`
	At   chat.Millis `cbor:"2,keyasint"`
}

// session is one device's standing permission.
type session struct {
	versioned
	User         chat.UserID   `cbor:"1,keyasint"`
	Device       chat.DeviceID `cbor:"2,keyasint"`
	DeviceName   string        `cbor:"3,keyasint,omitempty"`
	CreatedAt    chat.Millis   `cbor:"4,keyasint"`
	LastSeenAt   chat.Millis   `cbor:"5,keyasint"`
	Refresh      []byte        `cbor:"6,keyasint"` // SHA-256 of the current refresh token
	RefreshUntil chat.Millis   `cbor:"7,keyasint"`
	Cookie       []byte        `cbor:"8,keyasint"` // SHA-256 of the cookie
	CookieUntil  chat.Millis   `cbor:"9,keyasint"`
	Generation   uint64        `cbor:"10,keyasint,omitempty"`
}

// ended tells whether nothing can continue s any more.
func (s *session) ended(now chat.Millis) bool { return s.RefreshUntil <= now && s.CookieUntil <= now }

// tombstone keeps a revoked device's access tokens out until they expire.
type tombstone struct {
	versioned
	User chat.UserID `cbor:"1,keyasint"`
	At   chat.Millis `cbor:"2,keyasint"`
}

// secret is the key that signs tokens, one for the cluster.
type secret struct {
	versioned
	Key []byte `cbor:"1,keyasint"`
}

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("auth: cbor options: " + err.Error())
	}
	return v
}

// encode can't fail: the records hold plain data only.
func encode(v any) []byte { return must(encoding.Marshal(v)) }

func decode(key string, b []byte, v interface{ check() error }) error {
	if err := decoding.Unmarshal(b, v); err != nil {
		return fmt.Errorf("auth: record %s: %w", key, err)
	}
	return v.check()
}

// get reads a record into v; KindNotFound.
func get(ctx context.Context, r chat.Records, key string, v interface{ check() error }) (revision uint64, err error) {
	b, revision, err := r.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	return revision, decode(key, b, v)
}

// scan calls each for the keys under prefix as they are, in no promised order,
// and not after it has returned.
func scan(ctx context.Context, r chat.Records, prefix string, each func(key string, value []byte, revision uint64)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	over := false
	ready := make(chan struct{})
	seen := func(key string, value []byte, revision uint64) {
		mu.Lock()
		defer mu.Unlock()
		if !over && value != nil {
			each(key, value, revision)
		}
	}
	if err := r.Watch(ctx, prefix, seen, func() { close(ready) }); err != nil {
		return err
	}
	var err error
	select {
	case <-ready:
	case <-ctx.Done():
		err = chat.Unavailable("the store did not answer in time", 0)
	}
	mu.Lock()
	over = true
	mu.Unlock()
	return err
}

// found is a record that collect read.
type found[T any] struct {
	value    T
	revision uint64
}

// collect reads all records under prefix that can be read, by key.
func collect[T any, P interface {
	*T
	check() error
}](ctx context.Context, r chat.Records, prefix string) (map[string]found[T], error) {
	all := map[string]found[T]{}
	err := scan(ctx, r, prefix, func(key string, b []byte, revision uint64) {
		var v T
		if decode(key, b, P(&v)) == nil {
			all[key] = found[T]{v, revision}
		}
	})
	return all, err
}
