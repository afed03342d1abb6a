package storage_test

import (
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Knobs, in the environment: how many single bits are flipped (of the other
// classes each makes a tenth as many trials, if it has so many), and the seed of
// all that is drawn. Under one seed stores hold the same in other pages.
const (
	flipsKnob = "LATCHKEY_FLIPS"
	seedKnob  = "LATCHKEY_SEED"

	defaultFlips = 300
	shortFlips   = 20
)

// damageClass is a way to damage a data folder. It yields each of its trials,
// or about so many of them, spread evenly.
type damageClass struct {
	name   string
	trials func(g *golden, random *rand.Rand, most int) iter.Seq[trial]
}

// damageClasses are filled by the files that have them.
func damageClasses() []damageClass {
	return slices.Concat(pageClasses, lengthClasses, pastClasses, markClasses, strangerClasses)
}

// TestDamage damages a store in every way we could think of, and opens it. It
// must be refused, by an error that says what to do, or tell the truth.
func TestDamage(t *testing.T) {
	flips := damageFlips(t)
	seed := knob(t, seedKnob, uint64(time.Now().UnixNano()))
	t.Logf("%s=%d %s=%d", flipsKnob, flips, seedKnob, seed)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // each trial reads some files into memory
	folder := memoryFolder(t)
	g := buildGolden(t, filepath.Join(folder, "golden"), seed)
	r := &rig{golden: g, dir: filepath.Join(folder, "data"), options: goldenOptions(start.Add(24 * time.Hour))}
	var table []string
	for _, class := range damageClasses() {
		t.Run(class.name, func(t *testing.T) {
			most := flips / 10
			if class.name == flipsClass {
				most = flips
			}
			begin := time.Now()
			line := r.run(t, class.trials(g, classRandom(seed, class.name), most))
			line = fmt.Sprintf("%-28s %s  %.1fs", class.name, line, time.Since(begin).Seconds())
			t.Log(line)
			table = append(table, line)
		})
	}
	t.Logf("class, tried, noticed, by which error, harmless, not noticeable, token forgotten, wrong\n%s", strings.Join(table, "\n"))
}

// run makes the trials of a class and returns their counts.
func (r *rig) run(t *testing.T, trials iter.Seq[trial]) string {
	t.Helper()
	tried, noticed, wrong := 0, 0, 0
	outcomes := map[string]int{}
	for trial := range trials {
		outcome, err := r.try(trial)
		tried++
		if err != nil {
			if wrong++; wrong <= 10 {
				t.Errorf("trial %d, %s: %v", tried, trial.what, err)
			}
			if wrong == 1 {
				t.Logf("its folder, with -artifacts: %s; %v", t.ArtifactDir(), r.keep(t.ArtifactDir()))
			}
			continue
		}
		outcomes[outcome]++
		if !opened(outcome) {
			noticed++
		}
	}
	if tried == 0 {
		t.Error("nothing was tried")
	}
	var by []string
	for _, word := range slices.Sorted(maps.Keys(outcomes)) {
		if !opened(word) {
			by = append(by, fmt.Sprintf("%s %d", word, outcomes[word]))
		}
	}
	return fmt.Sprintf("tried %6d  noticed %6d (%s)  harmless %6d  not noticeable %3d  token forgotten %2d  wrong %d",
		tried, noticed, strings.Join(by, ", "), outcomes[harmless], outcomes[unseen], outcomes[forgotten], wrong)
}

func opened(outcome string) bool {
	return outcome == harmless || outcome == unseen || outcome == forgotten
}

func damageFlips(t *testing.T) int {
	t.Helper()
	flips := int(knob(t, flipsKnob, defaultFlips))
	if testing.Short() {
		flips = min(flips, shortFlips)
	}
	return flips
}

// classRandom makes a class the same whatever others there are.
func classRandom(seed uint64, name string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, hash.Sum64()))
}

func knob(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// memoryFolder returns a folder in memory where the system has one: a trial
// writes some files, and syncs them.
func memoryFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "latchkey-damage-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
