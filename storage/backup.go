package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/internal/disk"
	"github.com/latchkey/latchkey/storage/boltguard"
)

// Backup copies the store to a new file as it is at one position, sees that
// the copy is whole, and returns that position. Writes and Views go on. The
// file must be on a disk that keeps up: as long as the copy takes, pages that
// writes set free can't be used again and the store grows, so the context
// should have a time limit. What failed leaves no file.
//
// A backup holds what the store holds, tokens that may be shown again included:
// it is made for the owner's eyes (0600).
func (db *DB) Backup(ctx context.Context, path string) (Position, error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return Position{}, taken(path, err)
	}
	temp := path + newSuffix
	view := func(f func(*bbolt.Tx) error) error {
		return db.readKnown(func(tx *bbolt.Tx, at Position) error {
			if err := notBefore(tx, at); err != nil {
				return err
			}
			return f(tx)
		})
	}
	if err := copyTransaction(ctx, view, temp); err != nil {
		return Position{}, fmt.Errorf("copying the store: %w", err)
	}
	img, err := readStore(temp)
	if err != nil {
		return Position{}, errors.Join(fmt.Errorf("the copy isn't whole: %w", err), os.Remove(temp))
	}
	if err := installCopy(temp, path); err != nil {
		return Position{}, err
	}
	return img.view.position, nil
}

// installCopy gives a copy of the store the name that it is to have, unless somebody else took it meanwhile.
func installCopy(temp, path string) error {
	switch err := disk.InstallNew(temp, path); {
	case errors.Is(err, os.ErrExist):
		return taken(path, err)
	case err != nil:
		return fmt.Errorf("copying the store: %w", err)
	}
	return nil
}

func taken(path string, err error) error {
	return fmt.Errorf("%s is there already: name a new file (%w)", path, errors.Join(err, os.ErrExist))
}

// copyTransaction writes what a transaction sees to a file, for good. The
// sync, which no context ends, comes after the transaction, so that the store
// doesn't grow meanwhile.
func copyTransaction(ctx context.Context, view func(func(*bbolt.Tx) error) error, path string) error {
	f, err := boltguard.OpenPrivate(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	err = view(func(tx *bbolt.Tx) error {
		w := &limited{ctx: ctx, to: f}
		_, err := tx.WriteTo(w)
		return cmp.Or(w.err, err) // of the first bbolt passes on the text alone
	})
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// limited is a writer that ends with a context, and keeps the first error.
type limited struct {
	ctx context.Context
	to  io.Writer
	err error
}

func (w *limited) Write(b []byte) (n int, err error) {
	if err = w.ctx.Err(); err == nil {
		n, err = w.to.Write(b)
	}
	if w.err == nil {
		w.err = err
	}
	return n, err
}
