package authz

import (
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// Keys finds keys of one revision.
type Keys interface {
	// Lookup fills in the facts of the key with this digest among its
	// secrets, live or ended, and reports whether there is one. It neither
	// blocks nor allocates. What the facts point to never changes.
	Lookup(key.Digest, *key.Facts) bool
}

// View is all that a check may know: policies, keys and directory of one
// revision, and how current they are.
type View struct {
	Policies  *policy.Policies
	Keys      Keys
	Directory directory.Reader
	Revision  uint64    // 0: nothing is known yet
	Latest    time.Time // when the revision was written: no clock may be behind it
	Lease     *Lease    // nil: the store is the process's own, and always current
}

// Source returns the present View, which never changes.
type Source func() View
