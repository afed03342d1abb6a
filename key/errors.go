package key

import "errors"

// Conditions of keys. They are wrapped with the place and the remedy; test
// them with errors.Is.
var (
	// ErrRevoked is returned when a revoked key is to be changed. Revoking is final.
	ErrRevoked = errors.New("the key is revoked, which is final: make a new key")
	// ErrExpired is returned when an expired key is to be rotated.
	ErrExpired = errors.New("the key has expired: set a later expiry first, or make a new key")
	// ErrStillRetiring is returned when a third secret would become live.
	ErrStillRetiring = errors.New("an older secret of this key is still valid")
	// ErrDuplicate is returned when a token is already known to the store.
	ErrDuplicate = errors.New("a key with this token exists already")
	// ErrConflict is returned when an object changed since it was read: read it again and retry.
	ErrConflict = errors.New("changed meanwhile: try again")
)
