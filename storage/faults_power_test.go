//go:build linux && (amd64 || arm64)

package storage_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"

	"github.com/latchkey/latchkey/internal/faults"
)

var ioError = faults.Fault{Errno: syscall.EIO}

// sector is what a disk writes as a whole.
const sector = 512

// power knows what would be left of a folder if the power were cut: of each
// file what was synced, and of later writes any of their sectors; of names all
// up to the last sync of their folder, and those changed since up to any moment.
// What a failed sync was to write is lost for good, although the system goes on
// showing it, unless it is written again.
type power struct {
	kills  bool // whether a sync that failed is one that never was
	shown  *frozen
	names  names                     // that are on disk
	later  []names                   // each state of the names since
	disk   map[uint64]*diskFile      // by inode
	doomed map[uint64]map[int64]bool // sectors that a failed sync was to write
}

// names is who is called what.
type names struct {
	folders, files map[string]uint64
}

func namesOf(f *frozen) names {
	n := names{maps.Clone(f.folders), map[string]uint64{}}
	for name, file := range f.files {
		n.files[name] = file.inode
	}
	return n
}

func newPower(f *frozen) *power {
	p := &power{shown: f, names: namesOf(f), disk: map[uint64]*diskFile{}, doomed: map[uint64]map[int64]bool{}}
	for _, file := range f.files {
		p.disk[file.inode] = file
	}
	return p
}

// happened takes in a call, and what the folder was after it.
func (p *power) happened(m instant, after *frozen) {
	before := p.shown
	p.shown = after
	for name, file := range after.files {
		old := before.files[name]
		if p.disk[file.inode] == nil || old != nil && old.inode != file.inode && !has(before, file.inode) {
			p.disk[file.inode] = &diskFile{inode: file.inode, pages: map[int64][]byte{}}
			delete(p.doomed, file.inode)
		}
		if old == nil || old.inode != file.inode {
			continue
		}
		changed := file.differing(old)
		if len(changed) == 0 && m.call.Name == "pwrite64" && strings.HasSuffix(m.call.Path, "/"+name) {
			delete(p.doomed, file.inode) // what is there was written again, all of it
		}
		for _, at := range changed {
			delete(p.doomed[file.inode], at)
		}
	}
	if now := namesOf(after); !now.equal(p.last()) {
		p.later = append(p.later, now)
	}
	if m.call.Name != "fsync" && m.call.Name != "fdatasync" {
		return
	}
	for name, file := range after.files {
		if strings.HasSuffix(m.call.Path, "/"+name) {
			p.sync(file, m.failed)
			return
		}
	}
	if !m.failed { // a folder, all of whose names are kept
		p.names, p.later = p.last(), nil
	}
}

func has(f *frozen, inode uint64) bool {
	for _, file := range f.files {
		if file.inode == inode {
			return true
		}
	}
	return false
}

func (n names) equal(o names) bool {
	return maps.Equal(n.folders, o.folders) && maps.Equal(n.files, o.files)
}

func (p *power) last() names {
	if len(p.later) > 0 {
		return p.later[len(p.later)-1]
	}
	return p.names
}

// sync brings a file to the disk, but for what is lost.
func (p *power) sync(file *diskFile, failed bool) {
	if failed && p.kills {
		return
	}
	if failed {
		if p.doomed[file.inode] == nil {
			p.doomed[file.inode] = map[int64]bool{}
		}
		for _, at := range file.differing(p.disk[file.inode]) {
			p.doomed[file.inode][at] = true
		}
		return
	}
	p.disk[file.inode] = p.some(file, func(int64) bool { return true })
	p.disk[file.inode].size = file.size
}

// some is what is on disk of a file with those of the other sectors that are wanted.
func (p *power) some(file *diskFile, want func(int64) bool) *diskFile {
	old := p.disk[file.inode]
	f := &diskFile{inode: file.inode, size: old.size, pages: maps.Clone(old.pages)}
	for _, at := range file.differing(old) {
		if !p.doomed[file.inode][at] && want(at) {
			f.set(at, file.sector(at))
			f.size = max(f.size, min(file.size, (at+1)*sector))
		}
	}
	return f
}

// cut returns what a power cut may leave, and what kind of it.
func (p *power) cut(random *rand.Rand) (*frozen, string) {
	all := append([]names{p.names}, p.later...)
	which := random.IntN(len(all))
	chance := []float64{0, 0.5, 1}[random.IntN(3)]
	left := &frozen{folders: maps.Clone(all[which].folders), files: map[string]*diskFile{}}
	for name, inode := range all[which].files {
		if file := p.inode(inode); file != nil {
			sizes := random.IntN(2) == 0
			f := p.some(file, func(int64) bool { return random.Float64() < chance })
			if sizes && chance > 0 {
				f.size = max(f.size, file.size)
			}
			left.files[name] = f
		} else {
			left.files[name] = p.disk[inode] // it has no name any more
		}
	}
	return left, fmt.Sprintf("names of %d of %d changes, %.0f %% of the sectors", which, len(all)-1, 100*chance)
}

// inode finds a file by what the system shows.
func (p *power) inode(n uint64) *diskFile {
	for _, file := range p.shown.files {
		if file.inode == n {
			return file
		}
	}
	return nil
}

const perPage = 4096 / sector

// sector returns a sector's content, nil for zeros.
func (f *diskFile) sector(at int64) []byte {
	page := f.pages[at/perPage]
	if page == nil {
		return emptyPage[:sector]
	}
	return page[at%perPage*sector:][:sector]
}

func (f *diskFile) set(at int64, b []byte) {
	page := make([]byte, len(emptyPage))
	copy(page, f.pages[at/perPage])
	copy(page[at%perPage*sector:], b)
	f.pages[at/perPage] = page
}

// differing returns the sectors that aren't as they are in another file.
func (f *diskFile) differing(o *diskFile) (sectors []int64) {
	numbers := maps.Clone(f.pages)
	maps.Copy(numbers, o.pages)
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		if bytes.Equal(f.pages[n], o.pages[n]) {
			continue
		}
		for at := n * perPage; at < (n+1)*perPage; at++ {
			if !bytes.Equal(f.sector(at), o.sector(at)) {
				sectors = append(sectors, at)
			}
		}
	}
	return sectors
}
