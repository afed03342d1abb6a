package storage_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// lengthClasses change how long the file is.
var lengthClasses = []damageClass{
	{"cut off at a page", cutAtPages},
	{"cut off anywhere", cutAnywhere},
	{"garbage behind the pages", garbageBehind},
}

func cut(size int) trial {
	return trial{what: fmt.Sprintf("cut off at byte %d", size), damage: func(s *state) {
		s.size = int64(size)
		s.file = s.file[:min(size, len(s.file))]
	}}
}

// cutAtPages cuts at each page, the first ones in the room behind all pages too.
func cutAtPages(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
	n := g.pages() + 4
	return each(n, n, random, func(page int) trial { return cut(page * g.page) })
}

func cutAnywhere(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	odd := []int{1, 15, 16, 79, 80, 4095, 4097, 4096 + 80, 8191, len(g.newest().file) - 1, len(g.newest().file) + 1}
	return each(max(most, len(odd)), most, random, func(i int) trial {
		if i < len(odd) {
			return cut(odd[i])
		}
		return cut(random.IntN(len(g.newest().file)))
	})
}

// garbageBehind puts garbage into the room behind the pages, and behind that.
func garbageBehind(g *golden, random *rand.Rand, most int) iter.Seq[trial] {
	sizes := []int{1, 7, 100, g.page - 1, g.page, g.page + 1, 100_000}
	return times(min(most, 100), func() trial {
		b := noise(random, sizes[random.IntN(len(sizes))])
		if random.IntN(2) == 0 {
			return trial{what: fmt.Sprintf("%d bytes in the room", len(b)), damage: func(s *state) { s.file = append(s.file, b...) }}
		}
		return trial{what: fmt.Sprintf("%d bytes at the end of a file without room", len(b)), damage: func(s *state) {
			s.file = append(s.file, b...)
			s.size = int64(len(s.file))
		}}
	})
}
