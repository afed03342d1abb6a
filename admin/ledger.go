package admin

import (
	"context"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
)

// Ledger is what this package needs of a store: *storage.DB, or a store that
// writes to some shared truth and reads its own replica of it.
//
// Package ledgertest is the suite that each passes.
//
// All methods are safe for concurrent use. What they return belongs to the
// ledger and is not to be changed; a change replaces an object by a new one.
type Ledger interface {
	// Commit makes a change, all of it or none. Once it has returned nil the
	// change is durable and every View that begins later, through this
	// Ledger, sees it. It waits for other writers until the context ends.
	//
	// It returns key.ErrConflict, having changed nothing, unless each object
	// still has the revision that it carries and the store is at
	// Change.Based, where that is given; key.ErrDuplicate for a digest that
	// another key has, live or not, or that comes twice; and the error of
	// the compiler for policies that can't be put in use together. It never
	// retries a conflict itself.
	Commit(context.Context, storage.Change) (storage.Position, error)

	// View calls f with one revision of everything: policies, keys and
	// directory. It doesn't wait for a network or a writer's disk, and f must
	// be short. Records of keys are read within it.
	View(f func(*storage.View))

	// Missing returns an error where a View had no key of that id, and should
	// have had one. It may take its time.
	Missing(id string) error

	// Facts calls f with the facts of each key of one revision, in no order,
	// until f returns false. They are valid until f returns.
	Facts(f func(*key.Facts) bool)

	// Keys calls f with each key whose id follows, in order of id, until f
	// returns false. Writes go on meanwhile: everything up to the position
	// that it returns was seen. Errors are those of reads.
	Keys(after string, f func(*key.Record) bool) (storage.Position, error)

	// Directory returns all tenants and principals of one revision, by name.
	Directory() ([]*directory.Tenant, []*directory.Principal, storage.Position)

	// History calls f with the log entries before a revision, the newest
	// first, until f returns false; 0 begins with the newest. It returns how
	// far back the log goes. Writes go on meanwhile and f may take its time.
	// Errors are those of reads.
	History(before uint64, f func(*logv1.Entry) bool) (storage.Oldest, error)

	// RevealedToken returns the token that was kept for a key by
	// Change.Reveal, and whether one was.
	RevealedToken(id string) (key.Token, bool, error)
}

var _ Ledger = (*storage.DB)(nil)
