// Package auth knows who is who: accounts, passwords, sessions, tokens, and the
// throttles in front of them. Its only I/O is chat.Records.
//
//	                 ┌────────────── chat.Records ───────────────┐
//	sign up ───────▶ │ name.<hash of skeleton>   who has a name  │
//	sign in ───────▶ │ account.<user>            hash, profile   │ ──watch──▶ directory (every node)
//	refresh ───────▶ │ session.<user>.<device>   token hashes    │
//	revoke ────────▶ │ revoked.<device>          tombstones      │ ──watch──▶ revocations (every node)
//	                 │ secret.tokens             signing key     │
//	                 └───────────────────────────────────────────┘
//
// # The three tokens
//
// All are prefix + user + "." + device + "." + base64url(body ‖ HMAC-SHA256),
// so that a forged one is refused without asking the store.
//
//   - na_ access, 15 minutes: verified in memory (signature, expiry, the set of
//     revoked devices). It can't be looked up, so ending a session leaves a
//     tombstone that every node holds for as long as the token could live.
//   - nr_ refresh, 60 days: 256 random bits, one use. The record holds the hash
//     of the current one only; any other with our signature was current once,
//     so somebody has a copy: the session ends.
//   - nc_ cookie, 30 days sliding: 256 random bits, the record holds the hash.
//
// # Many nodes
//
// What one node writes another reads: uniqueness of names, the rotation of
// refresh tokens and every other change are compare-and-set on records, read
// from the store. In memory on each node are the directory, the revocations and
// the cookies verified lately, which a revocation overrules; the two watches
// keep them current, a moment behind the other nodes' writes. Where that moment
// shows, Lookup and Current ask the store. The throttles count for each node by
// itself.
//
// # Goroutines
//
// Open starts one that prunes each hour; Close waits for it. The two watches
// run on the store's goroutines and call the On… handlers from there.
//
// # Locks
//
// Each of directory, revocations, cookies, visible and throttle has its own; none is
// held while the store or a handler is called, and no two at once.
package auth
