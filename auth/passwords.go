package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"natter/chat"
)

// The cost of a password, OWASP's second choice for argon2id: 25 to 40 ms of
// one core. A hash carries its own costs, so these may be raised later.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32 // bytes
	argonSalt    = 16 // bytes
)

// password is one that passed parsePassword or foldPassword.
type password string

// foldPassword brings a typed password to the form that is hashed, RFC 8265's
// OpaqueString: Unicode spaces become U+0020, then NFC, so that the same keys
// on another keyboard or system are the same password. Case and width stay.
// false for what can't be anybody's password.
func foldPassword(s string) (password, bool) {
	if len(s) > 4*chat.MaxPasswordBytes || !utf8.ValidString(s) {
		return "", false
	}
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, s)
	s = norm.NFC.String(s)
	return password(s), len(s) <= chat.MaxPasswordBytes && !strings.ContainsFunc(s, unicode.IsControl)
}

// parsePassword checks a new password. username is folded.
func parsePassword(field, s, username string) (password, error) {
	p, ok := foldPassword(s)
	switch {
	case len(s) > chat.MaxPasswordBytes || len(p) > chat.MaxPasswordBytes:
		return "", chat.TooLarge(field, fmt.Sprintf("must be at most %d bytes", chat.MaxPasswordBytes), chat.MaxPasswordBytes)
	case !ok:
		return "", chat.Invalid(field, "must be valid UTF-8 without control characters")
	case len(p) < chat.MinPasswordBytes:
		return "", &chat.Problem{Kind: chat.KindInvalid, Field: field, Limit: chat.MinPasswordBytes,
			Detail: fmt.Sprintf("must be at least %d characters", chat.MinPasswordBytes)}
	}
	folded := fold(string(p))
	if folded == username {
		return "", chat.Invalid(field, "must not be the username")
	}
	if strings.Count(folded, folded[:1]) == len(folded) || commonPasswords[folded] {
		return "", chat.Invalid(field, "is among the first that anyone would guess; take another")
	}
	return p, nil
}

// commonPasswords are the first guesses, of at least MinPasswordBytes, folded.
var commonPasswords = func() map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(commonText) {
		all[word] = true
	}
	return all
}()

//go:embed common_passwords.txt
var commonText string

// phc is an argon2id hash with its costs.
type phc struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	key     []byte
}

// String is the PHC form, as in $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func (h phc) String() string {
	e := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, e.EncodeToString(h.salt), e.EncodeToString(h.key))
}

var errPHC = errors.New("auth: a stored password is not an argon2id hash this natter can check")

// parsePHC reads String's form and no other. The bounds keep a spoiled record
// from taking the node's memory.
func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errPHC
	}
	var h phc
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return phc{}, errPHC
	}
	var n [3]uint64
	for i, bound := range []struct {
		name string
		most uint64
	}{{"m=", 256 << 10}, {"t=", 16}, {"p=", 16}} {
		digits, ok := strings.CutPrefix(costs[i], bound.name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || v == 0 || v > bound.most || digits[0] == '0' || digits[0] == '+' {
			return phc{}, errPHC
		}
		n[i] = v
	}
	h.memory, h.time, h.threads = uint32(n[0]), uint32(n[1]), uint8(n[2])
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 || h.String() != s {
		return phc{}, errPHC
	}
	return h, nil
}

// hasher does the expensive sums: few at once, and a bounded crowd waiting.
type hasher struct {
	random  io.Reader
	memory  uint32        // KiB a new hash costs
	free    chan struct{} // a token for each sum under way
	waiting atomic.Int64
	most    int64 // who wait beyond it are refused; 0 for no bound
	dummy   phc   // nobody's; costs the same
}

// queuePerHash bounds the wait to about 2 s: 64 sums of 25 to 40 ms before one.
const queuePerHash = 64

func newHasher(atOnce int, bounded bool, random io.Reader) *hasher {
	h := &hasher{random: random, memory: argonMemory, free: make(chan struct{}, atOnce)}
	if bounded {
		h.most = int64(queuePerHash * atOnce)
	}
	h.dummy = phc{argonMemory, argonTime, argonThreads, make([]byte, argonSalt), make([]byte, argonKey)}
	_, _ = rand.Read(h.dummy.salt) // never fails
	_, _ = rand.Read(h.dummy.key)
	return h
}

// enter waits for a place among the sums. At the bound the newcomer is refused
// with too_many.
func (h *hasher) enter(ctx context.Context) error {
	waiting := h.waiting.Add(1)
	defer h.waiting.Add(-1)
	if h.most > 0 && waiting > h.most {
		return chat.TooMany("too many people are signing in at this moment", h.most, 2*time.Second)
	}
	select {
	case h.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return chat.Unavailable("signing in took too long", time.Second)
	}
}

func (h *hasher) leave() { <-h.free }

// hash makes a password's PHC string.
func (h *hasher) hash(ctx context.Context, p password) (string, error) {
	made := phc{memory: h.memory, time: argonTime, threads: argonThreads, salt: make([]byte, argonSalt)}
	if _, err := io.ReadFull(h.random, made.salt); err != nil {
		return "", err
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	made.key = argon2.IDKey([]byte(p), made.salt, made.time, made.memory, made.threads, argonKey)
	return made.String(), nil
}

// verify tells whether p is the password of stored. An empty stored is nobody's:
// it takes as long, and is false.
func (h *hasher) verify(ctx context.Context, stored string, p password) (bool, error) {
	sum := h.dummy
	if stored != "" {
		var err error
		if sum, err = parsePHC(stored); err != nil {
			return false, err
		}
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	key := argon2.IDKey([]byte(p), sum.salt, sum.time, sum.memory, sum.threads, uint32(len(sum.key)))
	return subtle.ConstantTimeCompare(key, sum.key) == 1 && stored != "", nil
}
