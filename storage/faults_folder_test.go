//go:build linux && (amd64 || arm64)

package storage_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

var emptyPage = make([]byte, 4096)

// writeSparse writes a file, and a hole for each page of zeros.
func writeSparse(path string, b []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(int64(len(b))); err != nil {
		return err
	}
	for at := 0; at < len(b); at += len(emptyPage) {
		page := b[at:min(at+len(emptyPage), len(b))]
		if bytes.Equal(page, emptyPage[:len(page)]) {
			continue
		}
		if _, err := f.WriteAt(page, int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// diskFile is a file's content: pages that hold something, by their number.
type diskFile struct {
	inode uint64
	size  int64
	pages map[int64][]byte
}

// readDisk reads a file. It uses package unix, not os, since it is also called
// by what decides about calls: see package faults.
func readDisk(path string) (*diskFile, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, err
	}
	f := &diskFile{inode: stat.Ino, size: stat.Size, pages: map[int64][]byte{}}
	for at := int64(0); ; {
		from, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if err != nil {
			if errors.Is(err, unix.ENXIO) { // no more data
				return f, nil
			}
			return nil, err
		}
		if at, err = unix.Seek(fd, from, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		b := make([]byte, at-from)
		n, err := unix.Pread(fd, b, from)
		if err != nil {
			return nil, err
		}
		f.add(from, b[:n])
	}
}

// add adds what begins at the beginning of a page.
func (f *diskFile) add(at int64, b []byte) {
	for len(b) > 0 {
		page := make([]byte, len(emptyPage))
		b = b[copy(page, b):]
		if !bytes.Equal(page, emptyPage) {
			f.pages[at/int64(len(page))] = page
		}
		at += int64(len(page))
	}
}

// write makes a file of it.
func (f *diskFile) write(path string) (err error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for n, page := range f.pages {
		at := n * int64(len(page))
		if at < f.size {
			if _, err := to.WriteAt(page[:min(int64(len(page)), f.size-at)], at); err != nil {
				return err
			}
		}
	}
	return to.Truncate(f.size)
}

// frozen is all that is in a folder, by name relative to it.
type frozen struct {
	folders map[string]uint64
	files   map[string]*diskFile
}

// freeze reads a folder. Pages that are as they were share their memory with those of before.
func freeze(dir string, before *frozen) (*frozen, error) {
	f := &frozen{folders: map[string]uint64{}, files: map[string]*diskFile{}}
	if err := f.read(dir, ""); err != nil {
		return nil, err
	}
	if before == nil {
		return f, nil
	}
	for name, file := range f.files {
		for n, page := range file.pages {
			if old := before.files[name]; old != nil && bytes.Equal(old.pages[n], page) {
				file.pages[n] = old.pages[n]
			}
		}
	}
	return f, nil
}

func (f *frozen) read(dir, within string) error {
	fd, err := unix.Open(filepath.Join(dir, within), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var names []string
	for b := make([]byte, 1<<16); ; {
		n, err := unix.ReadDirent(fd, b)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(b[:n], -1, names)
	}
	for _, name := range names {
		name = filepath.Join(within, name)
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &stat); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			f.folders[name] = stat.Ino
			if err := f.read(dir, name); err != nil {
				return err
			}
			continue
		}
		if f.files[name], err = readDisk(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// write makes a folder of it.
func (f *frozen) write(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(f.folders)) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	for name, file := range f.files {
		if err := file.write(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
