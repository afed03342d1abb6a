package replica

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// exploreTime is how long LATCHKEY_EXPLORE says that an exploration may take; zero goes to a depth.
func exploreTime(t *testing.T) time.Duration {
	text := cmp.Or(os.Getenv("LATCHKEY_EXPLORE"), "0s")
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("LATCHKEY_EXPLORE: %v", err)
	}
	return d
}

// Whatever happens, in whatever order: no replica answers for a key of which the hub has said that it is dead there.
// Replicas meet nowhere but at the hub, so one alone with its hub shows what many would, and goes deeper.
func TestExploration(t *testing.T) {
	for _, row := range []struct{ replicas, depth, short int }{{3, 9, 7}, {1, 11, 9}} {
		t.Run(fmt.Sprintf("replicas=%d", row.replicas), func(t *testing.T) {
			s := newSearch(protections{}, row.replicas)
			depth := row.depth
			if testing.Short() {
				depth = row.short
			}
			if d := exploreTime(t); d > 0 {
				s.deadline, depth = time.Now().Add(d/2), depthMost
			}
			found := s.run(depth)
			t.Log(found)
			if found.broken != nil {
				t.Error(s.story(found))
			}
		})
	}
}

// Each protection is needed: without it a short story ends with a dead key allowed.
func TestExplorationFindsWhatIsMissing(t *testing.T) {
	for name, p := range map[string]protections{
		"epoch":     {noEpoch: true},
		"lease":     {noLease: true},
		"watermark": {noWatermark: true},
		"tombstone": {noTombstones: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSearch(p, exploreReplicas)
			found := s.run(8)
			if found.broken == nil {
				t.Fatalf("no story shows that it is needed: %v", found)
			}
			t.Logf("%v:\n%s", found, s.story(found))
		})
	}
}

// What a replica comes to depends on its own acts and the hub's alone: each of three that act in any order is where
// it would be if it were the hub's only one. Explorations lean on it where they check the last step.
func TestReplicasMeetNowhere(t *testing.T) {
	for seed := range uint64(2000) {
		many, one := newWalk(seed, exploreReplicas), [exploreReplicas]*walk{}
		for i := range one {
			one[i] = newWalk(seed, 1)
		}
		for range 60 {
			a := many.pick()
			many.happens(&many.globe, a)
			for i, w := range one {
				if a.kind < syncs {
					w.happens(&w.globe, a)
				} else if int(a.replica) == i {
					w.happens(&w.globe, act{kind: a.kind})
				}
				if w.cells[0] != many.cells[i] {
					t.Fatalf("seed %d: after %s, replica %d is %+v among three, and %+v alone", seed, actNames[a.kind], i, many.cells[i], w.cells[0])
				}
			}
		}
	}
}

// A world and what reduce makes of it go on alike: replicas are told the same, hold the same and answer alike.
func TestReducedWorldsGoOnAlike(t *testing.T) {
	for seed := range uint64(4000) {
		plain, reduced := newWalk(seed, exploreReplicas), newWalk(seed, exploreReplicas)
		for range 60 {
			a := plain.pick()
			plain.happens(&plain.globe, a)
			reduced.happens(&reduced.globe, a)
			reduced.reduce(&reduced.globe)
			for i := range exploreReplicas {
				x, y := &plain.cells[i], &reduced.cells[i]
				if x.promised != y.promised || x.at.revoked() != y.at.revoked() || plain.answers(x) != reduced.answers(y) {
					t.Fatalf("seed %d: after %s, replica %d is %+v, and reduced %+v", seed, actNames[a.kind], i, *x, *y)
				}
			}
		}
	}
}

// outcome is what an exploration came to.
type outcome struct {
	worlds []int // by depth
	pairs  int   // of hub and replica at the last depth, whose every act was checked
	took   time.Duration
	broken *branch
	depth  int // that all was explored to, or that the broken promise is at
}

func (o outcome) String() string {
	violations := 0
	if o.broken != nil {
		violations = 1
	}
	worlds := 0
	var depths []string
	for d, n := range o.worlds {
		worlds += n
		depths = append(depths, fmt.Sprintf("%d: %d", d, n))
	}
	return fmt.Sprintf("depth %d, %d worlds (%s), %d pairs at the last step, %v, violations: %d",
		o.depth, worlds, strings.Join(depths, ", "), o.pairs, o.took.Round(time.Millisecond), violations)
}
