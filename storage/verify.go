package storage

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Report is what a file was found to be.
type Report struct {
	Path     string
	Bytes    int64
	Pages    uint64 // in use by the tree
	Free     uint64
	Format   uint64
	Position Position
	LogFloor uint64 // oldest revision in the log
	Keys     int    // revoked ones included
	Tenants  int
	Policies int

	Principals int

	// Problems is all that is wrong, each with its place; none if the file is
	// whole and, where its folder was asked for, the newest.
	Problems []error
}

// Verify reads a store's file, wherever it lies, and compares all in it with
// each other. It changes nothing and needs no lock, but the file must not be in
// use by a process: Backup makes a copy for that. An error is one of reading.
func Verify(path string) (*Report, error) {
	r := &Report{Path: path}
	_, err := r.read()
	return r, err
}

// VerifyFolder verifies the store in a data folder that no process has open,
// with its watermark. It changes nothing but the rights of files that others
// could read.
func VerifyFolder(dir string, lockTimeout time.Duration) (_ *Report, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	o := Options{LockTimeout: lockTimeout}
	o.setDefaults()
	f, err := enterFolder(dir, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.leave()) }()
	r := &Report{Path: f.file()}
	marks, err := readMarks(f.watermark())
	if err != nil {
		return nil, err
	}
	img, err := r.read()
	if errors.Is(err, os.ErrNotExist) {
		if gone := f.mayBegin(marks); gone != nil {
			return nil, gone
		}
	}
	if err != nil || img == nil {
		return r, err
	}
	switch v := judge(img, marks); {
	case v.err != nil:
		r.Problems = append(r.Problems, rollbackError(r.Path, marks, v.err))
	case marks != nil && marks.Damage != nil:
		r.Problems = append(r.Problems, fmt.Errorf("the watermark: %w: its newest mark is whole, and an older one is lost: a restore may miss what it told", marks.Damage))
	}
	return r, nil
}

// read fills the report, and returns the image of a file that is whole and of
// this format.
func (r *Report) read() (*image, error) {
	info, err := os.Stat(r.Path)
	if err != nil {
		return nil, err
	}
	r.Bytes, r.Format = info.Size(), formatVersion
	img, err := readFileDeep(r.Path)
	var d *DamageError
	var old *formatError
	switch {
	case errors.As(err, &d):
		r.Problems = d.Problems
		return nil, nil
	case errors.As(err, &old) && old.format < formatVersion:
		r.Format = old.format
		if err := walkPath(r.Path, lookAway); errors.As(err, &d) {
			r.Problems = d.Problems
		} else if err != nil {
			return nil, err
		}
		return nil, nil
	case err != nil:
		return nil, err
	}
	v := img.view
	r.Pages, r.Free = img.stats.Reachable, img.stats.Pages-img.stats.Reachable
	r.Position, r.LogFloor = v.position, img.floor
	r.Keys, r.Tenants, r.Principals, r.Policies = v.all, v.tenants.Len(), v.principals.Len(), len(v.documents)
	return img, nil
}

// readFileDeep reads a file and compares all in it with each other.
func readFileDeep(path string) (*image, error) {
	// Not a pipe, which may never end.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: put it aside", path)
	}
	return readFile(path, reading{deep: true})
}

// readFile reads a file that is left as it is, rights included.
func readFile(path string, how reading) (*image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readImage(readAhead(f, info.Size()), info.Size(), how)
}
