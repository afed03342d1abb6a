package watermark

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
)

const sector = 512

var errFault = errors.New("the disk refuses")

// power is a disk whose steps fail when told to, and that knows what would be left of its file if the power were cut: what was
// synced, and of all other writes any of their sectors. A file's content is lost for good once a sync of it has failed, unless
// it is written again, although the system goes on showing it.
type power struct {
	random *rand.Rand
	// fail is asked before each step: "write", "sync", "rename", "folder".
	fail func(step string) bool

	inodes map[*os.File]*inode
	named  *inode // what the name stands for on disk
	next   *inode // what it stands for once the folder is synced
}

// inode is a file's content, as it is on disk and as the system shows it.
type inode struct {
	durable, shown []byte
	pending        []span // written and not synced
}

type span struct{ from, to int }

func newPower(random *rand.Rand) *power {
	return &power{random: random, fail: func(string) bool { return false }, inodes: map[*os.File]*inode{}}
}

func (p *power) disk() disk {
	return disk{write: p.write, sync: p.sync, rename: p.rename, syncFolder: p.syncFolder}
}

// inode finds a file's inode: that of the name, if it was opened anew.
func (p *power) inode(f *os.File) *inode {
	if p.inodes[f] == nil {
		p.inodes[f] = p.next
		if strings.HasSuffix(f.Name(), suffix) {
			p.inodes[f] = &inode{}
		}
	}
	return p.inodes[f]
}

func grown(b []byte, size int) []byte {
	return append(b, make([]byte, max(0, size-len(b)))...)
}

func (p *power) write(f *os.File, b []byte, at int64) error {
	in := p.inode(f)
	failed := p.fail("write")
	if failed {
		b = b[:p.random.IntN(len(b)+1)]
	}
	in.shown = grown(in.shown, int(at)+len(b))
	copy(in.shown[at:], b)
	in.pending = append(in.pending, span{int(at), int(at) + len(b)})
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	if failed {
		return errFault
	}
	return nil
}

// settle brings some of the sectors that were not synced to the disk.
func (p *power) settle(in *inode, all bool) {
	for _, s := range in.pending {
		for from := s.from; from < s.to; {
			to := min(s.to, (from/sector+1)*sector)
			if all || p.random.IntN(2) == 0 {
				in.durable = grown(in.durable, to)
				copy(in.durable[from:to], in.shown[from:to])
			}
			from = to
		}
	}
	in.pending = nil
}

func (p *power) sync(f *os.File) error {
	failed := p.fail("sync")
	p.settle(p.inode(f), !failed)
	if failed {
		return errFault
	}
	return nil
}

func (p *power) rename(from, to string) error {
	if p.fail("rename") {
		return errFault
	}
	for f, in := range p.inodes {
		if fileIs(f, from) {
			p.next = in
		}
	}
	return os.Rename(from, to)
}

func fileIs(f *os.File, name string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false // closed
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(mine, there)
}

func (p *power) syncFolder(string) error {
	if p.fail("folder") {
		return errFault
	}
	p.named = p.next
	return nil
}

// cut cuts the power, and returns what the file is when it comes back.
func (p *power) cut() []byte {
	in := p.named
	if in == nil || p.random.IntN(2) == 0 {
		in = p.next
	}
	p.settle(in, false)
	left := bytes.Clone(in.durable)
	again := &inode{durable: left, shown: bytes.Clone(left)}
	p.inodes, p.named, p.next = map[*os.File]*inode{}, again, again
	return left
}
