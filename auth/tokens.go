package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"
	"sync"

	"natter/chat"
)

// The prefixes tell the tokens apart, for the server and for scanners that look
// for leaked secrets. They are signed too: one kind can't pass for another.
const (
	accessPrefix  = "na_"
	refreshPrefix = "nr_"
	cookiePrefix  = "nc_"
)

const (
	macBytes    = sha256.Size
	randomBytes = 32          // of a refresh token and a cookie: 256 bits
	maxBody     = randomBytes // an access token's body is its 8-byte expiry
	maxToken    = 3 + 64 + 1 + 64 + 1 + (maxBody+macBytes)*4/3 + 2
)

// signer seals and opens tokens with one key. Safe for concurrent use.
type signer struct{ macs sync.Pool }

func newSigner(key []byte) *signer {
	s := &signer{}
	s.macs.New = func() any { return hmac.New(sha256.New, key) }
	return s
}

// sign appends the MAC of head and body to b.
func (s *signer) sign(b []byte, head string, body []byte) []byte {
	mac := s.macs.Get().(hash.Hash)
	mac.Reset()
	var buffer [maxToken]byte
	mac.Write(append(append(buffer[:0], head...), body...))
	b = mac.Sum(b)
	s.macs.Put(mac)
	return b
}

// seal makes a token. user and device hold valid ids, so there is no dot in
// them, and body is at most maxBody bytes.
func (s *signer) seal(prefix string, user chat.UserID, device chat.DeviceID, body []byte) string {
	head := prefix + string(user) + "." + string(device) + "."
	raw := s.sign(append(make([]byte, 0, maxBody+macBytes), body...), head, body)
	return head + base64.RawURLEncoding.EncodeToString(raw)
}

// opened is what a token of ours says. user and device alias the token.
type opened struct {
	user   string
	device string
	body   [maxBody]byte
	size   int
}

// open reads a token; false if it isn't of this kind or not sealed by this key.
// Only the one spelling seal makes is taken.
func (s *signer) open(prefix, token string) (o opened, ok bool) {
	if len(token) > maxToken || !strings.HasPrefix(token, prefix) {
		return o, false
	}
	user, rest, ok1 := strings.Cut(token[len(prefix):], ".")
	device, text, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || !chat.ValidID(user) || !chat.ValidID(device) {
		return o, false
	}
	var source [maxToken]byte
	var raw [maxToken]byte
	n, err := strictBase64.Decode(raw[:], source[:copy(source[:], text)])
	if err != nil || n <= macBytes || n > maxBody+macBytes || strings.ContainsAny(text, "\r\n") {
		return o, false
	}
	body := raw[:n-macBytes]
	var sum [macBytes]byte
	if !hmac.Equal(s.sign(sum[:0], token[:len(token)-len(text)], body), raw[n-macBytes:n]) {
		return o, false
	}
	o.user, o.device = user, device
	o.size = copy(o.body[:], body)
	return o, true
}

var strictBase64 = base64.RawURLEncoding.Strict()

func (s *signer) sealAccess(user chat.UserID, device chat.DeviceID, expires chat.Millis) string {
	var body [8]byte
	binary.BigEndian.PutUint64(body[:], uint64(expires))
	return s.seal(accessPrefix, user, device, body[:])
}

func (s *signer) openAccess(token string) (o opened, expires chat.Millis, ok bool) {
	o, ok = s.open(accessPrefix, token)
	if !ok || o.size != 8 {
		return o, 0, false
	}
	return o, chat.Millis(binary.BigEndian.Uint64(o.body[:8])), true
}

// openRandom opens a refresh token or a cookie; sum is what its record holds.
func (s *signer) openRandom(prefix, token string) (o opened, sum [sha256.Size]byte, ok bool) {
	o, ok = s.open(prefix, token)
	if !ok || o.size != randomBytes {
		return o, sum, false
	}
	return o, sha256.Sum256(o.body[:]), true
}
