package storage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// Conditions of a store. They are wrapped with the place; test them with errors.Is.
//
// Returned by Open:
var (
	// ErrLocked is returned when another process has the folder.
	ErrLocked = errors.New("another process has the store open: stop it first, or ask it through its admin address")
	// ErrFormat is returned for a file that isn't a store, or that a newer
	// version wrote.
	ErrFormat = errors.New("not a store that this version of Latchkey can read")
	// ErrExposed is returned for a folder that other users may enter.
	ErrExposed = errors.New("other users may enter the data folder")
	// ErrDamaged is returned for a file that contradicts itself. It was
	// moved into quarantine. See DamageError.
	ErrDamaged = errors.New("the store is damaged")
	// ErrMissing is returned where a store was, and its file isn't any more.
	ErrMissing = errors.New("the store's file is missing")
	// ErrRollback is returned for a file that is whole and older than the
	// watermark. See RollbackError.
	ErrRollback = errors.New("the store's file is older than what was acknowledged")
	// ErrRole is returned by the process that takes writes for the store of a
	// replica, and by a replica for one that takes writes.
	ErrRole = errors.New("the store belongs to another kind of process")
	// ErrUnproven is returned for a file that is whole, and the watermark
	// doesn't tell whether it is the newest. See RollbackError.
	ErrUnproven = errors.New("nothing proves that the store's file is the newest")
)

// Returned by reads and writes:
var (
	// ErrClosed is returned by what needs the file after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrFailed is returned by a write of which it isn't known whether it is
	// on disk, and by all that follow until that is known. The next write,
	// and Mend, find out.
	ErrFailed = errors.New("a write to the store failed half-way")
	// ErrMoved is returned by writes while the store's files aren't in their
	// place: moved, removed or replaced under a running process.
	ErrMoved = errors.New("the store's files were moved, removed or replaced")
	// ErrTrimmed is returned by Log and Since for entries that aren't kept any
	// more.
	ErrTrimmed = errors.New("the log doesn't go back that far")
	// ErrPolicies is returned for policies that Options.Compile refuses.
	ErrPolicies = errors.New("compiling the policies")
	// ErrDisk is returned by a write that the disk refused. Nothing has changed.
	ErrDisk = errors.New("the disk refused the write")
)

// Of hubs and replicas:
var (
	// ErrReplica is returned by writes to a replica's store that don't come
	// from the hub.
	ErrReplica = errors.New("the store is a replica's, which the hub alone writes to: make the change at the hub")
	// ErrGap is returned by Apply for entries that don't follow the store's
	// position. Nothing has changed.
	ErrGap = errors.New("the entries don't follow the store's position")
	// ErrDiverged is returned where two stores aren't of one history: what
	// follows a position of one can't be applied to the other. Nothing has
	// changed.
	ErrDiverged = errors.New("not of the same history")
)

// TroubleText says for people what an error of [DB.Trouble] or [DB.Mend] means.
func TroubleText(err error) string {
	what := "the store takes no writes"
	if errors.Is(err, ErrDamaged) {
		what = "the store's file is damaged, and writes may fail"
	}
	return fmt.Sprintf("%s: %v", what, err)
}

// DamageError is what is wrong with a file. It is an ErrDamaged.
type DamageError struct {
	Reason   string  // one word, as it stands in the quarantined file's name
	Problems []error // all that could be told apart, each with its place
}

// Is makes it an ErrDamaged.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// Error tells all problems, one a line where there are several.
func (e *DamageError) Error() string {
	if len(e.Problems) == 1 {
		return fmt.Sprintf("%v: %v", ErrDamaged, e.Problems[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v:", ErrDamaged)
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %v", p)
	}
	return b.String()
}

// damaged makes a DamageError of what the reader of pages found. Errors of the
// disk stay what they are.
func damaged(err error) error {
	var d *boltfile.Damage
	if errors.As(err, &d) {
		return &DamageError{Reason: string(d.Kind), Problems: []error{err}}
	}
	return err
}
