package boltfile_test

import "math/rand/v2"

// damage does to a file what disks, and people, do. older is the file as it
// was some commits before.
func damage(random *rand.Rand, m, older image) (how string, damaged image) {
	pages := int(m.pages())
	any := func() uint64 { return uint64(random.IntN(pages)) }
	// Most of a page is keys and values, of which Walk can't say much.
	flip := func(id uint64, within int) {
		m.page(id)[random.IntN(within)] ^= 1 << random.IntN(8)
	}
	switch random.IntN(12) {
	case 0:
		flip(any(), imagePage)
		return "bit", m
	case 1:
		for range 1 + random.IntN(20) {
			flip(any(), imagePage)
		}
		return "bits", m
	case 2:
		flip(any(), 16)
		return "bit of a header", m
	case 3:
		flip(any(), 200)
		return "bit of an element", m
	case 4:
		id := any()
		clear(m.page(id)[random.IntN(2)*512:])
		return "zeroed page", m
	case 5:
		return "end cut off", m[:len(m)-random.IntN(len(m))]
	case 6:
		// Every page says where it belongs, so a misplaced one is only of
		// interest once it says the right thing.
		a, b := any(), any()
		for i := range imagePage {
			m.page(a)[i], m.page(b)[i] = m.page(b)[i], m.page(a)[i]
		}
		if random.IntN(3) > 0 {
			m.number(a)
			m.number(b)
		}
		return "pages swapped", m
	case 7:
		a, b := any(), any()
		copy(m.page(a), m.page(b))
		if random.IntN(3) > 0 {
			m.number(a)
		}
		return "page doubled", m
	case 8, 9:
		// Writes that were lost: the page is as it was before.
		for range 1 + random.IntN(3) {
			if id := any(); len(older) >= int(id+1)*imagePage {
				copy(m.page(id), older.page(id))
			}
		}
		return "write lost", m
	case 10:
		// A meta page with any content, and a right checksum.
		slot := random.Uint64N(2)
		at := 16 + 8 + random.IntN(48)
		m.page(slot)[at] = byte(random.IntN(256)) & byte(1<<(1+random.IntN(8))-1)
		m.seal(slot)
		return "meta page", m
	}
	// A small change of a number that is plausible.
	id := any()
	if n := m.count(id); n > 0 && n <= 63 {
		e := m.element(id, random.IntN(n))
		at := random.IntN(4) * 4
		order.PutUint32(e[at:], order.Uint32(e[at:])+uint32(random.IntN(5))-2)
	}
	return "number of an element", m
}

// number makes a page say where it is.
func (m image) number(id uint64) { order.PutUint64(m.page(id), id) }
