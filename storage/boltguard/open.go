// Package boltguard opens bbolt files, and keeps what bbolt makes of a damaged one from ending the process.
//
// bbolt maps its file and believes it. So a file is walked before it is opened (Walk), whatever touches it afterwards is
// contained (Contain), and each value carries a checksum (Seal). What is in the file is its owner's business.
package boltguard

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// FileMode is that of every file of a data folder.
const FileMode = 0o600

const others = 0o077 // the rights of everybody but the owner

// Open hands a file to bbolt. It must be known to be whole: bbolt maps it into memory and believes its pages. Another
// process that has it is waited for. Of the address space as much is reserved as is said, in bytes, so that the file
// needs no new map, which would wait for readers, before it is as large; it costs no memory.
func Open(path string, wait time.Duration, addressSpace int) (*bbolt.DB, error) {
	var file *os.File
	logger := &guard{}
	bolt, err := bbolt.Open(path, FileMode, &bbolt.Options{
		Timeout: wait, // zero would be for ever
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			file, err = OpenPrivate(path, flag, mode)
			return file, err
		},
		Logger:          logger,
		InitialMmapSize: addressSpace,
		// The list of free pages is found again by a scan at Open instead of
		// being written with each commit. Where many pages are free that makes a
		// commit 1.6 to 1.9 times as fast, and a start longer by less than the
		// store's own reading takes (storage.BenchmarkOptions).
		NoFreelistSync: true,
		// Never slower than the array in that measure, and its time doesn't grow
		// with the number of free pages.
		FreelistType: bbolt.FreelistMapType,
		// AllocSize is left at 16 MiB: the file grows by a truncate and a sync,
		// once in thousands of commits, and is sparse until pages are written.
		// Statistics would take one more lock in each transaction.
		NoStatistics: true,
	})
	if err != nil {
		return nil, err
	}
	logger.file = file
	return bolt, nil
}

// OpenPrivate opens a regular file, not through a link, and takes the rights
// of other users from it: the mode given at creation is no help to an older file.
func OpenPrivate(path string, flag int, mode os.FileMode) (*os.File, error) {
	const notRegular = "%s is not a regular file: put it aside, and the store's own file in its place"
	f, err := os.OpenFile(path, flag|noFollow, mode)
	if err != nil {
		if there, gone := os.Lstat(path); gone == nil && !there.Mode().IsRegular() {
			return nil, fmt.Errorf(notRegular+" (%w)", path, err)
		}
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf(notRegular, path)
	case HasModes && info.Mode().Perm()&others != 0:
		err = f.Chmod(FileMode)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Walk calls do as boltfile's Walk does, and sees that bbolt can be trusted with the file. What is wrong with the file
// is a *boltfile.Damage.
func Walk(f *os.File, do func(bucket string, name, value []byte) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pages, err := boltfile.New(f, info.Size())
	if err != nil {
		return err
	}
	_, err = pages.Walk(do)
	return err
}

// Contain calls f and turns a panic, and a fault of the mapped file (which is
// what the kernel makes of a page that can't be read), into a *Panic.
func Contain(f func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			err = &Panic{p}
		}
	}()
	return f()
}

// Panic is a panic that was contained. bbolt's locks may still be held.
type Panic struct{ value any }

func (e *Panic) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// View runs a transaction that reads, contained.
func View(bolt *bbolt.DB, do func(*bbolt.Tx) error) error {
	return Contain(func() error { return bolt.View(do) })
}

// Update runs a transaction that writes, contained. bbolt's own, where do fails or panics, scans all pages for the free
// ones in a goroutine of its own, in which damage ends the process; to give up what isn't written yet needs no scan.
func Update(bolt *bbolt.DB, do func(*bbolt.Tx) error) error {
	return Contain(func() error {
		tx, err := bolt.Begin(true)
		if err != nil {
			return err
		}
		if err := Contain(func() error { return do(tx) }); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
}
