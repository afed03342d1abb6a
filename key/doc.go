// Package key is the vocabulary of Latchkey: what a key is and what may
// happen to it. It has no I/O, no clock, no Envoy and no database.
//
// A Token is the whole string that a client presents. It is minted from a
// Format, shown once, and never stored: a Record keeps the SHA-256 Digest of
// each of its tokens. A plain hash is enough, because a token is at least 160
// random bits and not a password that could be guessed.
//
// The life of a key:
//
//	            ┌── Disable ──► disabled ── Enable ──┐
//	            │                                    ▼
//	Issue ──► active ◄───────────────────────────────┘
//	            │  ├── Rotate(grace) ──► retiring ── time ──► active
//	            │  └── time ──► expired ── SetExpiry ──► active
//	            └── Revoke ──► revoked, for ever
//
// Expiry and the end of a grace are no writes: a status is a function of the
// record and the time.
//
// Records are values to read: whoever holds a *Record from a store must not
// change it. Each transition returns a new one.
package key
