package storage

import (
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/watermark"
)

// Actions of entries that the store writes by itself.
const (
	actionUpgrade = "db.upgrade"
	actionAccept  = "db.accept-rollback"
	actionRestore = "db.restore"
	// Of the one entry that a replica has of a snapshot.
	actionSnapshot = "replica.snapshot"
)

// Actions returns the actions of the entries that a store that takes writes writes by itself.
func Actions() []string { return []string{actionAccept, actionRestore, actionUpgrade} }

// takeOver makes an older store the newest by a write of its own: the first of
// a new epoch, which supersedes what the watermark knew, and withdraws again
// what had been withdrawn. Until the watermark has it, what it supersedes tells
// Open that no acknowledged write is missing but those that were given up.
// keys are those of the older store.
func (db *DB) takeOver(c Change, keys map[string]*key.Record, marks *watermark.Contents) (*write, error) {
	state := db.state.Load()
	at := state.position
	w := &write{delta: &delta{}, before: map[string]*key.Record{}, policies: state.policies}
	for _, r := range c.Keys {
		w.before[r.ID] = keys[r.ID]
	}
	puts, err := c.puts(state, w.before, at.Revision+1)
	if err != nil {
		return nil, err
	}
	for _, p := range puts {
		if err := w.delta.add(p); err != nil {
			return nil, err
		}
	}
	if err := state.admit(w.delta, w.before); err != nil {
		return nil, err
	}
	w.only(newEntry(&c, at, db.now(), puts))
	w.entry.Epoch = max(at.Epoch+1, uint64(max(db.options.Now().UnixMicro(), 1)))
	if last := lastMark(marks); last != nil {
		w.entry.Supersedes = last
		w.entry.Epoch = max(w.entry.Epoch, last.GetEpoch()+1)
	}
	return w, nil
}

func lastMark(marks *watermark.Contents) *logv1.Position {
	if marks == nil {
		return nil
	}
	return marks.Last()
}

// acceptRollback goes on from a file that isn't proven to be the newest.
func (db *DB) acceptRollback(marks *watermark.Contents) error {
	img, err := readWhole(db.folder.file())
	if err != nil {
		return err
	}
	lost, err := withdraw(img, marks, nil)
	if err != nil {
		return err
	}
	change := lost.change
	change.Action, change.Note = actionAccept, fmt.Sprintf("%d objects withdrawn again", len(lost.list))
	w, err := db.takeOver(change, img.objects.keys, marks)
	if err != nil {
		return err
	}
	// The file is written first, as by any write.
	if err := contain(func() error { return db.writeFile(w) }); err != nil {
		return fmt.Errorf("%w: accepting the rollback: %w", ErrDisk, err)
	}
	db.publish(w)
	db.withdrawn = lost.list
	db.marks, err = beginMarks(db.folder, w.mark, marks, db.state.Load())
	return err
}

// beginMarks continues a watermark with the first mark of a new epoch, or makes
// another where it can't be continued: with what was readable of the old one.
func beginMarks(f *folder, m *logv1.Mark, marks *watermark.Contents, v *View) (*watermark.File, error) {
	if marks != nil && marks.Damage == nil && !marks.Torn {
		file, err := watermark.Open(f.watermark(), marks)
		if err != nil {
			return nil, err
		}
		if err := addMark(file, m); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return file, nil
	}
	return watermark.Create(f.watermark(), baseMark(v, marks))
}

// addMark appends a mark to a watermark whose store is durable already.
func addMark(file *watermark.File, m *logv1.Mark) error {
	if err := file.Reserve(m); err != nil {
		return err
	}
	return file.Append(m)
}

// Withdrawn returns what Options.AcceptRollback withdrew again when the store
// was opened.
func (db *DB) Withdrawn() []Withdrawn { return db.withdrawn }

// Gap returns what was found damaged in an older part of the watermark when the
// store was opened, and nil for a whole one. The watermark began anew then: it
// knows the revocations, and no other losses of before.
func (db *DB) Gap() error { return db.gap }
