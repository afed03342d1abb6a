package boltfile

const (
	chunkBits = 16 // pages in a chunk, as a power of two
	chunkSize = 1 << chunkBits
)

// pageSet is a set of pages. Its memory grows with those in it, not with the
// highest, which is whatever a file says.
type pageSet struct {
	chunks map[uint64]*[chunkSize / 64]uint64
	count  uint64
}

// add puts a page into the set, and reports whether it is new there.
func (s *pageSet) add(id uint64) bool {
	chunk := s.chunks[id>>chunkBits]
	if chunk == nil {
		if s.chunks == nil {
			s.chunks = map[uint64]*[chunkSize / 64]uint64{}
		}
		chunk = new([chunkSize / 64]uint64)
		s.chunks[id>>chunkBits] = chunk
	}
	word, bit := &chunk[id%chunkSize/64], uint64(1)<<(id%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	s.count++
	return true
}
