package replica

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// depthMost is how deep an exploration may go: a trace has room for it.
const depthMost = 20

// branch is a world and how it came to be. Replicas are sorted, so an act names one by its place in the world before.
type branch struct {
	globe
	trace [depthMost]act
}

// search explores breadth first: every act in every order, each world once.
type search struct {
	*universe
	acts     []act
	visited  visited
	deadline time.Time // zero for none
}

func newSearch(p protections, replicas int) *search {
	s := &search{universe: newUniverse(p, replicas), acts: actsOf(replicas)}
	s.visited.init()
	return s
}

// actsOf returns all acts of a hub and so many replicas.
func actsOf(replicas int) (all []act) {
	for kind := range syncs {
		all = append(all, act{kind: kind})
	}
	for i := range replicas {
		for kind := syncs; kind < actKinds; kind++ {
			all = append(all, act{kind, uint8(i)})
		}
	}
	return all
}

// visited is a set of worlds, each by 128 bits of hash.
type visited struct {
	seeds  [2]maphash.Seed
	shards [64]struct {
		sync.Mutex
		seen map[[2]uint64]struct{}
	}
}

func (v *visited) init() {
	v.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	for i := range v.shards {
		v.shards[i].seen = map[[2]uint64]struct{}{}
	}
}

// first reports whether a world is new.
func (v *visited) first(g *globe) bool {
	hash := [2]uint64{maphash.Comparable(v.seeds[0], *g), maphash.Comparable(v.seeds[1], *g)}
	shard := &v.shards[hash[0]%uint64(len(v.shards))]
	shard.Lock()
	defer shard.Unlock()
	if _, seen := shard.seen[hash]; seen {
		return false
	}
	shard.seen[hash] = struct{}{}
	return true
}

// run goes depth by depth, to a depth, until there are no more worlds, or until the deadline.
func (s *search) run(depth int) (o outcome) {
	began := time.Now()
	start := branch{globe: s.start()}
	worlds := []branch{start}
	o.worlds = []int{1}
	for o.broken == nil && len(worlds) > 0 && o.depth < depth {
		var next []branch
		late := o.depth == depth-1
		if !late {
			next, o.broken, late = s.level(o.depth, worlds)
		}
		if late && o.broken == nil {
			o.broken, o.pairs = s.last(o.depth, worlds)
			o.depth++
			break
		}
		worlds = next
		o.worlds = append(o.worlds, len(next))
		o.depth++
	}
	o.took = time.Since(began)
	return o
}

// level does every act to every world of a depth. late is whether there was no time for that.
func (s *search) level(depth int, worlds []branch) (next []branch, broken *branch, late bool) {
	type part struct {
		next   []branch
		broken *branch
		late   bool
	}
	parts := make([]part, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for n := range parts {
		wait.Go(func() {
			part := &parts[n]
			for i := n; i < len(worlds) && part.broken == nil && !part.late; i += len(parts) {
				part.late = !s.deadline.IsZero() && time.Now().After(s.deadline)
				for _, a := range s.acts {
					b := worlds[i]
					can, kept := s.happens(&b.globe, a)
					if !can {
						continue
					}
					b.trace[depth] = a
					if !kept {
						part.broken = &b
						break
					}
					s.reduce(&b.globe)
					slices.SortFunc(b.cells[:s.replicas], compareCells)
					if s.visited.first(&b.globe) {
						part.next = append(part.next, b)
					}
				}
			}
		})
	}
	wait.Wait()
	size := 0
	for _, part := range parts {
		size += len(part.next)
	}
	next = make([]branch, 0, size)
	for i := range parts {
		next = append(next, parts[i].next...)
		parts[i].next = nil
		late = late || parts[i].late
		if parts[i].broken != nil {
			broken = parts[i].broken
		}
	}
	return next, broken, late
}

// last checks every act on every world of a depth, without keeping the worlds that come of it. What becomes of a
// replica depends on it and the hub alone (see TestReplicasMeetNowhere), so each pair of them is looked at once.
func (s *search) last(depth int, worlds []branch) (broken *branch, pairs int) {
	alone, acts := newSearch(s.protections, 1), actsOf(1)
	for n := range worlds {
		for i := range s.replicas {
			pair := worlds[n].globe
			pair.cells = [exploreReplicas]cell{worlds[n].cells[i]}
			if !alone.visited.first(&pair) {
				continue
			}
			pairs++
			for _, a := range acts {
				after := pair
				if _, kept := alone.happens(&after, a); !kept {
					b := worlds[n]
					b.trace[depth] = act{a.kind, uint8(i)}
					return &b, pairs
				}
			}
		}
	}
	return nil, pairs
}

// story tells how a promise came to be broken.
func (s *search) story(o outcome) string {
	var text strings.Builder
	g, names := s.start(), []int{0, 1, 2}
	for d, a := range o.broken.trace[:o.depth] {
		who := "hub"
		switch {
		case a.kind >= syncs:
			who = fmt.Sprintf("replica %d", names[a.replica])
		case a.kind == timePasses:
			who = "time"
		}
		fmt.Fprintf(&text, "%2d %-10s %s\n", d+1, who, actNames[a.kind])
		s.happens(&g, a)
		s.reduce(&g)
		order := []int{0, 1, 2}[:s.replicas]
		slices.SortStableFunc(order, func(x, y int) int { return compareCells(g.cells[x], g.cells[y]) })
		after := slices.Clone(names)
		for i, n := range order {
			after[i] = names[n]
		}
		names = after
		slices.SortStableFunc(g.cells[:s.replicas], compareCells)
	}
	return text.String()
}

// walk is a world at random.
type walk struct {
	*universe
	globe
	*rand.Rand
}

func newWalk(seed uint64, replicas int) *walk {
	u := newUniverse(protections{}, replicas)
	return &walk{u, u.start(), rand.New(rand.NewPCG(seed, 7))}
}

func (w *walk) pick() act {
	acts := actsOf(w.replicas)
	for {
		// More epochs and revisions than a mark has room for come of no exploration.
		a := acts[w.IntN(len(acts))]
		if a.kind == restores && w.epoch == 7 || a.kind == writes && w.now().revision() > 28 {
			continue
		}
		return a
	}
}
