package storage

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/watermark"
)

// A replica's store can always be had again, and so its Open refuses less than a
// hub's: what it finds out it tells by Floor and Recovered instead. What speaks
// for it, a watermark that is further, damaged or gone, is left as it is until
// the first write: a process that ends before it has acted on what it was told
// is told again.

// Floor returns the furthest position that a replica's store is known to have
// been at, by its file and its watermark: its own Position, unless the file was
// lost, damaged or put back. A store before its floor must not be answered from.
// It waits for nothing.
func (db *DB) Floor() Position { return further(db.Position(), *db.known.Load()) }

func further(a, b Position) Position {
	if a.Before(b) {
		return b
	}
	return a
}

// Recovered returns why a replica's store wasn't, when it was opened, what it had
// been left as: it began anew, is older than its watermark, or isn't proven to be
// the newest. It is nil if it was, and for a new store. Whatever is remembered
// elsewhere of how fresh the store was doesn't count with an error; it must be
// given up before the first write, after which a further Open may return nil.
func (db *DB) Recovered() error { return db.recovered }

// loadReplica is load for a replica.
func (db *DB) loadReplica(marks *watermark.Contents) error {
	img, err := db.readReplica(marks)
	if err != nil {
		return err
	}
	if !img.replica {
		return fmt.Errorf("%s: %w: it takes writes, and following a hub would give them up: name another data folder", db.folder.file(), ErrRole)
	}
	last := positionFromProto(lastMark(marks))
	v := judge(img, marks)
	if at := img.view.position; marks == nil && at.Revision > 0 {
		v = verdict{err: fmt.Errorf("%w: its watermark (%s) is missing", ErrUnproven, watermark.Name)}
	} else if v.err != nil && at.Epoch == last.Epoch && at.Revision == last.Revision && at != last {
		// One of the two is wrong, and which one only the hub can tell.
		if img, err = db.beginAnew(v.err, "diverged"); err != nil {
			return err
		}
		v = judge(img, marks)
	}
	if err := db.openFile(img); err != nil {
		return err
	}
	if v.err != nil {
		floor := further(img.view.position, last)
		db.known.Store(&floor)
		if db.recovered == nil {
			db.recovered = fmt.Errorf("%s: %w", db.folder.file(), v.err)
		}
	}
	if !v.caughtUp {
		// What can be read may not be on the disk yet.
		if err := db.writeAgain(); err != nil {
			return fmt.Errorf("making revision %d durable: %w", img.view.position.Revision, err)
		}
	}
	return db.openReplicaMarks(img, marks, v)
}

// readReplica returns the image of what is in the folder, and of a new store
// where that can't be used.
func (db *DB) readReplica(marks *watermark.Contents) (*image, error) {
	img, err := readStore(db.folder.file())
	switch {
	case err == nil:
		return img, nil
	case errors.Is(err, os.ErrNotExist):
		names, err := db.folder.quarantined()
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			db.recovered = fmt.Errorf("%w: it was damaged and is kept in quarantine as %s", ErrMissing, strings.Join(names, ", "))
		} else if marks != nil {
			db.recovered = fmt.Errorf("%w: %s, and its watermark is still there", ErrMissing, db.folder.file())
		}
		return db.beginAnew(db.recovered, "")
	}
	var d *DamageError
	if errors.As(err, &d) {
		return db.beginAnew(err, d.Reason)
	}
	return nil, fmt.Errorf("%s: %w", db.folder.file(), err)
}

// beginAnew makes a new store where there is none, or one that goes into
// quarantine for a reason.
func (db *DB) beginAnew(why error, reason string) (*image, error) {
	if reason != "" {
		path, err := db.folder.setAside(damagedInfix, reason, db.options.Now())
		if err != nil {
			// It is the disk that is in the way, and not the damage.
			return nil, fmt.Errorf("putting %s aside (%v): %w", db.folder.file(), why, err)
		}
		why = fmt.Errorf("%s: %w\n  it is kept in quarantine as %s", db.folder.file(), why, path)
		if err := db.folder.keepOne(path); err != nil {
			return nil, fmt.Errorf("removing what was put aside before: %w", err)
		}
	}
	if db.recovered == nil {
		db.recovered = why
	}
	if err := db.create(); err != nil {
		return nil, fmt.Errorf("making the store in %s: %w", db.folder.dir, err)
	}
	return readStore(db.folder.file())
}

// openReplicaMarks opens the watermark, unless it is to be kept as it is until
// the first write.
func (db *DB) openReplicaMarks(img *image, marks *watermark.Contents, v verdict) (err error) {
	at, last := img.view.position, positionFromProto(lastMark(marks))
	if marks != nil {
		db.gap = marks.Damage
	}
	switch {
	case v.err != nil && (marks == nil || marks.Damage != nil || marks.Torn):
		return nil
	case v.err == nil && (marks == nil || marks.Damage != nil || !v.caughtUp && !last.Before(at)):
		// Missing by right, damaged in an older part, or of what was given up for
		// an older snapshot.
		return db.beginReplicaMarks(at)
	}
	if db.marks, err = watermark.Open(db.folder.watermark(), marks); err != nil {
		return err
	}
	db.marked = last
	if v.err != nil || v.caughtUp {
		return nil
	}
	// The crash came between the file and the watermark.
	m := &logv1.Mark{Position: at.toProto(), Action: actionSnapshot}
	if img.newest != nil {
		m = newMark(img.newest)
	}
	if err := addMark(db.marks, m); err != nil {
		return err
	}
	db.marked = at
	return nil
}

// beginReplicaMarks makes a watermark that begins with a position.
func (db *DB) beginReplicaMarks(at Position) error {
	base := &logv1.Mark{Position: at.toProto(), Action: "begin"}
	if v := db.state.Load(); v.position == at && !v.latest.IsZero() {
		base.At = timestamppb.New(v.latest)
	}
	marks, err := watermark.Create(db.folder.watermark(), base)
	if err != nil {
		return err
	}
	if db.marks != nil {
		_ = db.marks.Close() // has no name any more
	}
	db.marks, db.marked = marks, at
	return nil
}

// reserve makes room in the watermark for the mark of a write. A replica that is
// before its watermark appends none until it is past it.
func (db *DB) reserve(w *write) error {
	if db.options.Replica {
		if db.marks == nil {
			if err := db.beginReplicaMarks(db.Floor()); err != nil {
				return err
			}
		}
		if w.unmarked = !db.marked.Before(w.position()); w.unmarked {
			return nil
		}
	}
	return db.marks.Reserve(db.markOf(w))
}

// appendMark writes the mark of a write.
func (db *DB) appendMark(w *write) error {
	if w.unmarked {
		return nil
	}
	if err := db.marks.Append(w.mark); err != nil {
		return err
	}
	db.marked = w.position()
	return nil
}
