package storage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/boltfile"
	"github.com/latchkey/latchkey/storage/watermark"
)

// verdict says whether a file is what was acknowledged last.
type verdict struct {
	caughtUp bool  // the watermark has the newest revision
	err      error // ErrRollback or ErrUnproven, with what speaks for it
}

// judge holds a file that is whole against its watermark. A crash can leave
// the file one transaction ahead of the watermark, since the file is written first,
// and never behind or further ahead.
func judge(img *image, marks *watermark.Contents) verdict {
	at := img.view.position
	// A store that never had a write, or was just taken over from a format
	// without watermark, has none if the crash came then.
	young := at.Revision == 0 || img.newest.GetAction() == actionUpgrade
	if marks == nil {
		if young {
			return verdict{caughtUp: true}
		}
		return verdict{err: fmt.Errorf("%w: its watermark (%s) is missing", ErrUnproven, watermark.Name)}
	}
	if len(marks.Marks) == 0 {
		return verdict{err: fmt.Errorf("%w: its watermark is damaged: %w", ErrUnproven, marks.Damage)}
	}
	last := positionFromProto(marks.Last())
	switch {
	case at == last && !marks.Torn:
		return verdict{caughtUp: true}
	case at == last:
		// What follows the mark of this revision was the mark of a later one,
		// and a mark is begun when the file already has its revision.
		return verdict{err: fmt.Errorf("%w: the watermark's end is damaged, and was further than this file's revision %d", ErrUnproven, at.Revision)}
	case (img.newest != nil || img.told) && img.before == last:
		return verdict{}
	case img.newest.GetSupersedes() != nil && positionFromProto(img.newest.GetSupersedes()) == last:
		return verdict{}
	case at.Before(last):
		return verdict{err: fmt.Errorf("%w: it is at %s, the watermark at %s", ErrRollback, at, last)}
	case at.Epoch == last.Epoch && at.Revision == last.Revision:
		return verdict{err: fmt.Errorf("%w: at revision %d it has other objects than the watermark says", ErrUnproven, at.Revision)}
	}
	return verdict{err: fmt.Errorf("%w: the watermark is of %s, and the file of %s", ErrUnproven, last, at)}
}

// baseMark is the first mark of a watermark that begins with this store. It has
// what another watermark, unless that is nil, still knows to be revoked.
func baseMark(v *View, marks *watermark.Contents) *logv1.Mark {
	m := &logv1.Mark{Position: v.position.toProto(), Action: "begin"}
	if !v.latest.IsZero() {
		m.At = timestamppb.New(v.latest)
	}
	var f key.Facts
	v.keys.rows.Each(func(row []byte) bool {
		if v.keys.facts(row, &f); f.Revoked {
			m.Revoked = append(m.Revoked, f.ID.String())
		}
		return true
	})
	if marks != nil {
		m.Revoked = slices.AppendSeq(m.Revoked, maps.Keys(marks.After(-1).Revoked))
	}
	slices.Sort(m.Revoked)
	m.Revoked = slices.Compact(m.Revoked)
	return m
}

// markOf is what the watermark remembers of an entry. Of a key that the entry
// made nothing can come back to life; a tenant or a principal may have been
// removed before.
func markOf(e *logv1.Entry, existed func(id string) bool) *logv1.Mark {
	m := newMark(e)
	for _, p := range e.GetPuts() {
		switch p.GetKind() {
		case logv1.Kind_KIND_POLICY:
		case logv1.Kind_KIND_KEY:
			if existed(p.GetName()) {
				m.Puts = append(m.Puts, p)
			}
		default:
			m.Puts = append(m.Puts, p)
		}
	}
	return m
}

// newMark is the mark of an entry, without the objects.
func newMark(e *logv1.Entry) *logv1.Mark {
	return &logv1.Mark{
		Position: &logv1.Position{Epoch: e.GetEpoch(), Revision: e.GetRevision(), Digest: e.GetDigest()},
		At:       e.GetAt(), Action: e.GetAction(),
	}
}

// RollbackError is a file that is whole and isn't, or can't be proven to be,
// the newest. It is an ErrRollback or an ErrUnproven.
type RollbackError struct {
	Path  string
	Cause error
	// Alive are the objects that the file would bring back to life, as far as
	// the watermark knows.
	Alive []Withdrawn
	// Unknown is whether there may be more: the watermark is missing, damaged,
	// or not of this file's history.
	Unknown bool
}

// Unwrap returns what the file is told from.
func (e *RollbackError) Unwrap() error { return e.Cause }

// maxAlive bounds how many objects an error names.
const maxAlive = 20

// Error tells what the file would bring back to life, and what to do.
func (e *RollbackError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Path, e.Cause)
	switch {
	case len(e.Alive) > 0:
		b.WriteString("\n  what would come back to life:")
	case !e.Unknown:
		b.WriteString("\n  the watermark knows of nothing that would come back to life")
	}
	for i, w := range e.Alive {
		if i == maxAlive {
			fmt.Fprintf(&b, "\n    and %d more", len(e.Alive)-i)
			break
		}
		fmt.Fprintf(&b, "\n    %s", w)
	}
	if e.Unknown {
		b.WriteString("\n  what else would come back to life isn't known")
	}
	b.WriteString("\n  put the newest file back, restore a backup (latchkey db restore), or start once with --accept-rollback:" +
		" what is named here then stays withdrawn, and every other write since is lost")
	return b.String()
}

func rollbackError(path string, marks *watermark.Contents, cause error) error {
	var lost *withdrawals
	whole, err := readWhole(path)
	if err == nil {
		lost, err = withdraw(whole, marks, nil)
	}
	e := &RollbackError{Path: path, Cause: cause, Unknown: true}
	if lost != nil {
		e.Alive, e.Unknown = lost.list, !lost.sure
	}
	return errors.Join(e, err)
}

// quarantine puts a damaged file aside and returns what is wrong and what to do.
func (f *folder) quarantine(cause error, marks *watermark.Contents, now time.Time) error {
	var d *DamageError
	if !errors.As(cause, &d) {
		return cause
	}
	// Without a watermark a file with no sign of a store may be anybody's.
	if marks == nil && (d.Reason == string(boltfile.BadMeta) || d.Reason == string(boltfile.Truncated)) {
		return fmt.Errorf("%s: %w: %w\n  it is left where it is: put it aside if it isn't a store; if it is one, restore a backup: latchkey db restore BACKUP --data %s", f.file(), ErrFormat, cause, f.dir)
	}
	path, err := f.setAside(damagedInfix, d.Reason, now)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", f.file(), cause), fmt.Errorf("putting it into quarantine: %w", err))
	}
	return fmt.Errorf("%s: %w\n  it is kept in quarantine as %s\n  restore a backup: latchkey db restore BACKUP --data %s", f.file(), cause, path, f.dir)
}
