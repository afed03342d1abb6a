package authz

import (
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// Keys finds keys of one revision. A key that isn't there is answered with
// nil. Implementations don't block and don't change what they return.
type Keys interface {
	Lookup(key.Digest) *key.Record
	Key(id string) *key.Record
}

// View is all that a check may know: policies, keys and directory of one
// revision.
type View struct {
	Policies  *policy.Policies
	Keys      Keys
	Directory directory.Reader
	Revision  uint64    // 0: nothing is known yet
	Latest    time.Time // when the revision was written: no clock may be behind it
}

// Source calls f once with the present View. f keeps nothing of it beyond
// the call, but for records, which never change.
type Source func(f func(View))
