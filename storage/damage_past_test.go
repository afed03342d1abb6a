package storage_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// pastClasses put back what the folder once was, or parts of it.
var pastClasses = []damageClass{
	{"older files", olderFiles},
	{"older files, newer meta page", newerMeta},
	{"older watermarks", olderMarks},
	{"both, of different times", olderBoth},
	{"both, of one time", olderFolders},
}

// at makes a trial of what the folder was at an earlier moment: of its file, or
// its watermark, or both.
func (g *golden) at(file, marks int) trial {
	last := len(g.moments) - 1
	t := trial{what: fmt.Sprintf("file of moment %d, watermark of moment %d, of %d", file, marks, last), damage: func(s *state) {
		g.moments[file].lay(s)
		s.marks = append(s.marks[:0], g.moments[marks].marks...)
	}}
	// A file that is one ahead of its watermark is what a crash leaves, and both
	// of one moment are what was there then.
	if file != last && (marks == file || marks == file-1) {
		t.truth = &g.moments[file].truth
	}
	return t
}

func (m *snapshot) lay(s *state) {
	s.file = append(s.file[:0], m.file...)
	s.size = m.size
}

func olderFiles(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
	last := len(g.moments) - 1
	return each(last, last, random, func(i int) trial { return g.at(i, last) })
}

func olderMarks(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
	last := len(g.moments) - 1
	return each(last, last, random, func(i int) trial { return g.at(last, i) })
}

// olderFolders are what nobody can notice who has nothing else to go by.
func olderFolders(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
	last := len(g.moments) - 1
	return each(last, last, random, func(i int) trial { return g.at(i, i) })
}

func olderBoth(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	last := len(g.moments) - 1
	return each(last*last, most, random, func(i int) trial {
		file, marks := i/last, i%last
		if marks >= file {
			marks++ // of another time than the file
		}
		return g.at(file, marks)
	})
}

// newerMeta puts one or both meta pages of one moment into the file of another.
func newerMeta(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	n := len(g.moments)
	return each(3*n*n, most, random, func(i int) trial {
		file, meta, which := i/3/n, i/3%n, 1+i%3
		return trial{what: fmt.Sprintf("file of moment %d, meta pages %b of moment %d", file, which, meta), damage: func(s *state) {
			g.moments[file].lay(s)
			for page := range 2 {
				if which&(1<<page) != 0 {
					copy(s.file[page*g.page:][:g.page], g.moments[meta].file[page*g.page:])
				}
			}
		}}
	})
}
