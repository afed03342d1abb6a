package tally

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/storage/boltguard"
)

// update runs a transaction that writes; once it has returned nil, it is on the disk.
func (f *File) update(do func(*bbolt.Tx) error) error { return f.run(commit, do) }

// errUnsynced is returned for a transaction that is in the file, and of which the disk doesn't say that it has it.
var errUnsynced = errors.New("it is written, and can't be synced")

// written reports whether a transaction that ended with an error, or none, is in the file.
func written(err error) bool { return err == nil || errors.Is(err, errUnsynced) }

// commit runs a transaction that writes. Where the last sync fails, bbolt says that it failed, and shows it all the same: it
// is synced by another one, since to do it again would count twice. Nobody else may write meanwhile.
func commit(bolt *bbolt.DB, do func(*bbolt.Tx) error) error {
	number := 0 // of the transaction, once all that is left is to commit it
	err := boltguard.Update(bolt, func(tx *bbolt.Tx) error {
		err := do(tx)
		if err == nil {
			number = tx.ID()
		}
		return err
	})
	if err == nil || number == 0 || damage(err) {
		return err
	}
	newest := 0
	if boltguard.View(bolt, func(tx *bbolt.Tx) error { newest = tx.ID(); return nil }) != nil || newest < number {
		return err
	}
	again := boltguard.Update(bolt, func(*bbolt.Tx) error { return nil })
	if again == nil || damage(again) {
		return again
	}
	return fmt.Errorf("%w: %w", errUnsynced, again)
}

// view runs a transaction that reads.
func (f *File) view(do func(*bbolt.Tx) error) error { return f.run(boltguard.View, do) }

// run runs one transaction at a time. Who waits for another waits here, and not for bbolt's locks: what panics or faults within
// bbolt leaves them held for ever, and the file couldn't be replaced while somebody waits in it.
func (f *File) run(how func(*bbolt.DB, func(*bbolt.Tx) error) error, do func(*bbolt.Tx) error) error {
	f.turn.Lock()
	defer f.turn.Unlock()
	bolt, err := f.hold()
	if err != nil {
		return err
	}
	err = how(bolt, do)
	f.mu.RUnlock()
	if !damage(err) {
		return err
	}
	return f.replace(bolt, err)
}

// hold returns the file, with the mutex held shared. Where there is none it tries once to have one.
func (f *File) hold() (*bbolt.DB, error) {
	f.mu.RLock()
	if f.bolt != nil {
		return f.bolt, nil
	}
	f.mu.RUnlock()
	f.mu.Lock()
	if f.bolt == nil && !f.closed {
		if err := f.open(); err != nil {
			f.mu.Unlock()
			return nil, fmt.Errorf("%w: %w", ErrClosed, err)
		}
	}
	f.mu.Unlock()
	f.mu.RLock()
	if f.bolt == nil {
		f.mu.RUnlock()
		return nil, ErrClosed
	}
	return f.bolt, nil
}

// replace begins a new file in place of one that turned out to be damaged while it was in use.
func (f *File) replace(bolt *bbolt.DB, why error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bolt != bolt {
		return fmt.Errorf("%w: %w", ErrDamaged, why) // another has done it
	}
	f.bolt = nil
	// Its locks may be held for ever by what panicked.
	go func() { _ = boltguard.Contain(bolt.Close) }()
	if err := f.putAside(why); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := f.begin(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, why)
}

// put seals a value.
func put(tx *bbolt.Tx, bucket, name, value []byte) error {
	return tx.Bucket(bucket).Put(name, boltguard.Seal(bucket, name, value))
}

// get returns a value, and nil for none. It is valid within the transaction.
func get(tx *bbolt.Tx, bucket, name []byte) ([]byte, error) {
	sealed := tx.Bucket(bucket).Get(name)
	if sealed == nil {
		return nil, nil
	}
	value, err := boltguard.Unseal(bucket, name, sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bucket, err)
	}
	return value, nil
}
