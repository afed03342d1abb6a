package usage

import (
	"encoding/binary"
	"sync"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

const (
	// shards is how many checks may count at the same moment without one having to look for another shard.
	shards = 32
	// shardEntries is how many different secrets, by reason and hour, a shard has room for, a power of two. All have
	// room for 32,768, which take 1.8 MB.
	shardEntries = 1024
	// shardFull is how many of them are used at most: beyond it looking for one takes ever longer.
	shardFull = shardEntries * 7 / 8
	// shardSoon is from how many on a flush is asked for.
	shardSoon = shardEntries / 2
	// tries is how many shards are looked at before a check isn't counted. What is in them is as good as random, so
	// where so many are full or taken others are too.
	tries = 8
)

// what is counted apart.
type what struct {
	digest   key.Digest
	hour     uint32
	reason   policy.Reason
	replaced bool
}

// entry is how often, and when last; n is 0 where it is free.
type entry struct {
	what
	minute uint32
	n      uint64
}

type entries [shardEntries]entry

// shard is a part of the counts. Whoever finds it taken goes on to the next one, so the same may be counted in several.
type shard struct {
	mu   sync.Mutex
	all  *entries
	used int
	_    [40]byte // shards that stand in one cache line would slow each other down
}

// table counts, in memory that never grows. It takes no lock that it would have to wait for.
type table struct{ shards [shards]shard }

func newTable() *table {
	t := &table{}
	for i := range t.shards {
		t.shards[i].all = &entries{}
	}
	return t
}

// add counts one, and reports whether there was room, and whether there soon won't be.
func (t *table) add(w *what, minute uint32) (counted, soon bool) {
	place := binary.LittleEndian.Uint64(w.digest[:]) + uint64(w.reason)*0x9e3779b97f4a7c15 + uint64(w.hour)
	first := int(uint32(place>>32) % shards)
	for i := range tries {
		s := &t.shards[(first+i)%shards]
		if !s.mu.TryLock() {
			continue
		}
		counted, soon = s.add(w, minute, int(place))
		s.mu.Unlock()
		if counted {
			return counted, soon
		}
	}
	return false, true
}

// add counts one. The mutex must be held.
func (s *shard) add(w *what, minute uint32, place int) (counted, soon bool) {
	for {
		e := &s.all[place&(shardEntries-1)]
		if e.n == 0 {
			if s.used == shardFull {
				return false, true
			}
			s.used++
			*e = entry{*w, minute, 1}
			return true, s.used >= shardSoon
		}
		if e.what == *w {
			e.n++
			e.minute = max(e.minute, minute)
			return true, s.used >= shardSoon
		}
		place++
	}
}

// drain takes all counts out. do is called with each entry, while checks go on; each is valid within the call. spare is
// entries without counts, and what drain returns is.
func (t *table) drain(spare *entries, do func(*entry)) *entries {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		full := s.all
		used := s.used
		if used > 0 {
			s.all, s.used = spare, 0
		}
		s.mu.Unlock()
		if used == 0 {
			continue
		}
		for i := range full {
			if full[i].n > 0 {
				do(&full[i])
			}
		}
		clear(full[:])
		spare = full
	}
	return spare
}
