package storage_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
)

const flipsClass = "random bits"

// pageClasses change pages of the file and leave its length.
var pageClasses = []damageClass{
	{"meta pages, each used bit", metaBits},
	{"meta pages, each byte", metaBytes},
	{flipsClass, randomBits},
	{"the format, each bit", formatBits},
	{"random garbage", garbage},
	{"pages zeroed", everyPage(func(page, _ []byte, _ int) { clear(page) })},
	{"pages of noise", noisePages},
	{"pages replaced by others", otherPages(false)},
	{"pages misplaced", otherPages(true)},
	{"pages of an older time", olderPages},
	{"two pages of an older time", olderPairs},
}

// metaUsed is how many bytes of a meta page say something.
const metaUsed = 16 + 64

func metaBits(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return each(2*metaUsed*8, 4*most, random, func(i int) trial {
		return flip(i/8/metaUsed*g.page+i/8%metaUsed, 1<<(i%8))
	})
}

func metaBytes(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return each(2*g.page, most, random, func(at int) trial { return flip(at, byte(1+random.IntN(255))) })
}

func randomBits(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	size := len(g.newest().file)
	return times(most, func() trial { return flip(random.IntN(size), 1<<random.IntN(8)) })
}

func flip(at int, mask byte) trial {
	return trial{what: fmt.Sprintf("byte %d ^ %#02x", at, mask), damage: func(s *state) { s.file[at] ^= mask }}
}

// formatBits flips what says which format the file has: the one value without a
// checksum, its name, and that of its bucket.
func formatBits(g *golden, _ *rand.Rand, _ int) iter.Seq[trial] {
	return func(yield func(trial) bool) {
		file := g.newest().file
		for id := range g.pages() {
			page := file[id*g.page:][:g.page]
			for _, name := range []string{"meta", "format\x00\x00\x00\x00\x00\x00\x00\x02"} {
				at := bytes.Index(page, []byte(name))
				if at < 0 || !g.used[id] {
					continue
				}
				for i := range 8 * len(name) {
					if !yield(flip(id*g.page+at+i/8, 1<<(i%8))) {
						return
					}
				}
			}
		}
	}
}

func garbage(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return times(most, func() trial {
		b := noise(random, 1+random.IntN(64))
		at := random.IntN(len(g.newest().file) - len(b))
		return trial{what: fmt.Sprintf("%x at byte %d", b, at), damage: func(s *state) { copy(s.file[at:], b) }}
	})
}

func noise(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// everyPage changes one page at a time, and is given the whole file too.
func everyPage(change func(page, file []byte, id int)) func(*golden, *rand.Rand, int) iter.Seq[trial] {
	return func(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
		return each(g.pages(), g.pages(), random, func(id int) trial {
			return trial{what: fmt.Sprint("page ", id), damage: func(s *state) { change(s.file[id*g.page:][:g.page], s.file, id) }}
		})
	}
}

func noisePages(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	return everyPage(func(page, _ []byte, _ int) { copy(page, noise(random, len(page))) })(g, random, most)
}

// otherPages writes over each page in use with another one, as a disk does that
// writes to the wrong place; corrected gives it the number of its new place.
func otherPages(corrected bool) func(*golden, *rand.Rand, int) iter.Seq[trial] {
	return func(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
		n := g.pages()
		return each(n*n, most, random, func(i int) trial {
			from, to := i/n, i%n
			return trial{what: fmt.Sprintf("page %d over page %d", from, to), damage: func(s *state) {
				page := s.file[to*g.page:][:g.page]
				copy(page, s.file[from*g.page:][:g.page])
				if corrected {
					binary.NativeEndian.PutUint64(page, uint64(to))
				}
			}}
		})
	}
}

// olderPages puts former contents of pages back, as a disk does that loses a
// write: every one that differs, of every page.
func olderPages(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	former := g.former()
	return each(len(former), most, random, func(i int) trial {
		return trial{what: former[i].String(), damage: func(s *state) { former[i].put(s, g) }}
	})
}

// olderPairs puts two pages back to one and the same moment.
func olderPairs(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	former := g.former()
	return times(most, func() trial {
		a := former[random.IntN(len(former))]
		b := a
		for b.page == a.page {
			b = former[random.IntN(len(former))]
		}
		b.bytes = g.moments[a.moment].page(b.page, g)
		return trial{what: fmt.Sprintf("%s, and page %d", a, b.page), damage: func(s *state) {
			a.put(s, g)
			b.put(s, g)
		}}
	})
}

// formerPage is what a page in use was once.
type formerPage struct {
	page, moment int
	bytes        []byte
}

func (p formerPage) String() string { return fmt.Sprintf("page %d of moment %d", p.page, p.moment) }

func (p formerPage) put(s *state, g *golden) {
	if p.bytes != nil {
		copy(s.file[p.page*g.page:], p.bytes)
	}
}

// former returns what the pages in use were once, each different one.
func (g *golden) former() []formerPage {
	var all []formerPage
	for id := range g.pages() {
		if !g.used[id] {
			continue
		}
		seen := map[string]bool{string(g.newest().page(id, g)): true}
		for i, m := range g.moments {
			if page := m.page(id, g); page != nil && !seen[string(page)] {
				seen[string(page)] = true
				all = append(all, formerPage{id, i, page})
			}
		}
	}
	return all
}

// page returns the bytes of a page, nil if the file had none with that number.
func (m *snapshot) page(id int, g *golden) []byte {
	if (id+1)*g.page > len(m.file) {
		return nil
	}
	return bytes.Clone(m.file[id*g.page:][:g.page])
}

// each makes a trial of each of so many, or of as many as wanted, evenly spread.
func each(total, most int, random *rand.Rand, f func(int) trial) iter.Seq[trial] {
	return func(yield func(trial) bool) {
		for i := range indexes(total, most, random) {
			if !yield(f(i)) {
				return
			}
		}
	}
}

// indexes are all below total, or as many as wanted, evenly spread.
func indexes(total, most int, random *rand.Rand) iter.Seq[int] {
	return func(yield func(int) bool) {
		n := min(total, most)
		for i := range n {
			from, to := i*total/n, (i+1)*total/n
			if !yield(from + random.IntN(to-from)) {
				return
			}
		}
	}
}

func times(n int, f func() trial) iter.Seq[trial] {
	return func(yield func(trial) bool) {
		for range n {
			if !yield(f()) {
				return
			}
		}
	}
}
