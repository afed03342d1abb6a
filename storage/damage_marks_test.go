package storage_test

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/latchkey/latchkey/storage/watermark"
)

// markClasses damage the watermark and leave the file.
var markClasses = []damageClass{
	{"watermark removed", one("removed", func(s *state) { s.marks = nil })},
	{"watermark emptied", one("emptied", func(s *state) { s.marks = s.marks[:0] })},
	{"watermark, each byte", markBytes},
	{"watermark, its room", markRoom},
	{"watermark, garbage", markGarbage},
	{"watermark cut off", markCuts},
	{"watermark, zeros to the end", markZeros},
	{"watermark and a flipped bit", bothDamaged},
	{"watermark is something else", markStrangers},
}

func one(what string, damage func(*state)) func(*golden, *rand.Rand, int) iter.Seq[trial] {
	return func(*golden, *rand.Rand, int) iter.Seq[trial] {
		return times(1, func() trial { return trial{what: what, damage: damage} })
	}
}

// marksUsed is how many bytes of the watermark say something.
func (g *golden) marksUsed() int { return len(bytes.TrimRight(g.newest().marks, "\x00")) }

func flipMark(at int, mask byte) trial {
	return trial{what: fmt.Sprintf("byte %d of the watermark ^ %#02x", at, mask), damage: func(s *state) { s.marks[at] ^= mask }}
}

func markBytes(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return each(g.marksUsed(), most, random, func(at int) trial { return flipMark(at, byte(1+random.IntN(255))) })
}

func markRoom(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	from := g.marksUsed()
	return each(len(g.newest().marks)-from, min(most, 1000), random, func(i int) trial { return flipMark(from+i, byte(1+random.IntN(255))) })
}

func markGarbage(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return times(min(most, 2000), func() trial {
		b := noise(random, 1+random.IntN(600))
		at := random.IntN(g.marksUsed())
		return trial{what: fmt.Sprintf("%x at byte %d of the watermark", b, at), damage: func(s *state) { copy(s.marks[at:], b) }}
	})
}

// markCuts cuts at every byte that says something, and some behind.
func markCuts(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return each(g.marksUsed()+100, most, random, func(n int) trial {
		return trial{what: fmt.Sprintf("watermark cut off at byte %d", n), damage: func(s *state) { s.marks = s.marks[:n] }}
	})
}

// markZeros makes zeros of all from a byte on, as a disk does that lost the last
// blocks. Where a mark ends there, the watermark is an older one, to the bit.
func markZeros(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return each(g.marksUsed(), min(most, 1000), random, func(n int) trial {
		return trial{what: fmt.Sprintf("watermark zero from byte %d on", n), damage: func(s *state) { clear(s.marks[n:]) }}
	})
}

func bothDamaged(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return times(min(most, 2000), func() trial {
		file, marks := flip(random.IntN(len(g.newest().file)), 1<<random.IntN(8)), flipMark(random.IntN(g.marksUsed()), 1<<random.IntN(8))
		return trial{what: file.what + ", " + marks.what, damage: func(s *state) {
			file.damage(s)
			marks.damage(s)
		}}
	})
}

// markStrangers put something that isn't a watermark, or isn't this store's, in
// its place.
func markStrangers(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
	trials := []trial{{what: "text", damage: func(s *state) {
		s.marks = append(s.marks[:0], bytes.Repeat([]byte("some text\n"), 1000)...)
	}}, {what: "the store's file", damage: func(s *state) {
		s.marks = append(s.marks[:0], s.file...)
	}}}
	for _, other := range others(g, random) {
		trials = append(trials, trial{what: "watermark of another store, " + other.what, damage: func(s *state) {
			s.marks = append(s.marks[:0], other.marks...)
		}})
	}
	for _, s := range strangers {
		trials = append(trials, s.trial(watermark.Name))
	}
	return all(trials)
}

func all(trials []trial) iter.Seq[trial] {
	return func(yield func(trial) bool) {
		for _, t := range trials {
			if !yield(t) {
				return
			}
		}
	}
}

// stranger is something that isn't a regular file.
type stranger struct {
	what string
	make func(path string) error
}

var strangers = []stranger{
	{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
	{"a folder with something in it", func(path string) error { return os.MkdirAll(filepath.Join(path, "something"), 0o700) }},
	{"a link to the file itself", func(path string) error {
		if err := os.Rename(path, path+".elsewhere"); err != nil {
			return err
		}
		return os.Symlink(path+".elsewhere", path)
	}},
	{"a link to nothing", func(path string) error { return os.Symlink(path+".nothing", path) }},
}

// trial puts the stranger in the place of a file of the folder.
func (x stranger) trial(name string) trial {
	return trial{what: x.what, damage: func(s *state) {
		s.place = func(dir string) error {
			path := filepath.Join(dir, name)
			if x.what != "a link to the file itself" {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
			return x.make(path)
		}
	}}
}
