package storage_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"
)

// mishap is what happens to the files of a running store.
type mishap struct {
	What   string // one of the cases of do
	Name   string // of the file it happens to
	At     int64  // byte
	Noise  []byte // what is written there
	Before bool   // whether there is a write before
	Repair bool   // whether it is undone, and the store asked again
	Known  bool   // whether bbolt can't but stumble over it: no write may be acknowledged and lost
}

func (m mishap) String() string {
	return fmt.Sprintf("%s %s at byte %d (%.16x), after a write: %v, put back: %v", m.Name, m.What, m.At, m.Noise, m.Before, m.Repair)
}

// report is what a process tells that had a mishap.
type report struct {
	Acknowledged, Refused, Unknown []string // ids of keys
	Refusals                       map[string]int
	Lies                           []string
	Forgotten                      int  // tokens that weren't told as kept
	Checked                        bool // the last that Check said was that all is well
	Mended                         bool // the last write was acknowledged
}

// runningClasses are mishaps under a store that is open, in a process of its own.
var runningClasses = []struct {
	name    string
	mishaps func(g *golden, random *rand.Rand, most int) []mishap
}{
	{"running, file cut off", runningCuts},
	{"running, pages of noise", runningNoise},
	{"running, flipped bits", runningBits},
	{"running, a meta page", runningMeta},
	{"running, file moved", func(*golden, *rand.Rand, int) []mishap { return moves(storage.FileName) }},
	{"running, watermark moved", func(*golden, *rand.Rand, int) []mishap { return moves(watermark.Name) }},
	{"running, watermark damaged", runningMarks},
}

func runningCuts(g *golden, random *rand.Rand, most int) (all []mishap) {
	for i, page := range slices.Collect(indexes(g.pages(), most, random)) {
		all = append(all, mishap{What: "truncated", Name: storage.FileName, At: int64(page * g.page), Before: i%2 == 0, Repair: i%4 < 2})
	}
	return all
}

func runningNoise(g *golden, random *rand.Rand, most int) (all []mishap) {
	for i, page := range slices.Collect(indexes(g.pages(), most, random)) {
		all = append(all, mishap{What: "overwritten", Name: storage.FileName, At: int64(page * g.page), Noise: noise(random, g.page), Before: i%2 == 0})
	}
	return all
}

func runningBits(g *golden, random *rand.Rand, most int) (all []mishap) {
	file := g.newest().file
	for range most {
		at := random.IntN(len(file))
		all = append(all, mishap{What: "overwritten", Name: storage.FileName, At: int64(at), Noise: []byte{file[at] ^ 1<<random.IntN(8)}})
	}
	return all
}

// runningMeta damages what each meta page says: the newest, and the other one,
// which the next write replaces.
func runningMeta(g *golden, random *rand.Rand, most int) (all []mishap) {
	for i, at := range slices.Collect(indexes(2*64, most/2, random)) {
		at := int64(at/64*g.page + 16 + at%64) // behind the page's header, where the checksum is over it
		b := []byte{g.newest().file[at] ^ byte(1+random.IntN(255))}
		for _, before := range []bool{false, true} {
			all = append(all, mishap{What: "overwritten", Name: storage.FileName, At: at, Noise: b, Before: before, Known: true, Repair: i%2 == 0})
		}
	}
	for _, before := range []bool{false, true} { // and both at once: bbolt has none left to go by
		all = append(all, mishap{What: "overwritten", Name: storage.FileName, Noise: noise(random, 2*g.page), Before: before, Known: true, Repair: before})
	}
	return all
}

func moves(name string) (all []mishap) {
	for i := range 8 {
		m := mishap{Name: name, Before: i%2 == 0, Repair: i%4 < 2}
		m.What = []string{"moved", "replaced"}[i/4]
		all = append(all, m)
	}
	return append(all, mishap{What: "removed", Name: name}, mishap{What: "removed", Name: name, Before: true})
}

func runningMarks(g *golden, random *rand.Rand, most int) (all []mishap) {
	for i, at := range slices.Collect(indexes(g.marksUsed(), most, random)) {
		what, b := "truncated", []byte(nil)
		if i%2 == 0 {
			what, b = "overwritten", noise(random, 1+random.IntN(100))
		}
		all = append(all, mishap{What: what, Name: watermark.Name, At: int64(at), Noise: b, Before: i%4 < 2, Repair: i%8 < 4})
	}
	return all
}

// TestDamageUnderARunningStore damages the files of a store that is open. Views
// must go on, a write be there after a new start or be refused, and the process
// live on.
func TestDamageUnderARunningStore(t *testing.T) {
	flips := damageFlips(t)
	most := max(flips/100, 8)
	if testing.Short() {
		most = 2
	}
	seed := knob(t, seedKnob, uint64(time.Now().UnixNano()))
	t.Logf("%s=%d %s=%d", flipsKnob, flips, seedKnob, seed)
	folder := memoryFolder(t)
	g := buildGolden(t, filepath.Join(folder, "golden"), seed)
	r := &rig{golden: g, dir: filepath.Join(folder, "data"), options: goldenOptions(start.Add(24 * time.Hour))}
	for _, class := range runningClasses {
		t.Run(class.name, func(t *testing.T) {
			random := classRandom(seed, class.name)
			counts := map[string]int{}
			begin, tried := time.Now(), 0
			for _, m := range class.mishaps(g, random, most) {
				tried++
				if err := r.suffer(m, counts); err != nil {
					counts["wrong"]++
					t.Errorf("%s: %v", m, err)
				}
			}
			t.Logf("%-28s tried %4d  %v  %.1fs", class.name, tried, counts, time.Since(begin).Seconds())
		})
	}
}

// suffer runs a process that has a mishap, and opens the store after it.
func (r *rig) suffer(m mishap, counts map[string]int) error {
	newest := r.golden.newest()
	if err := r.lay(&state{file: newest.file, size: newest.size, marks: newest.marks}); err != nil {
		return err
	}
	told, err := runMishap(r.dir, m)
	if err != nil {
		return err
	}
	for word, n := range told.Refusals {
		counts["refused: "+word] += n
	}
	counts["acknowledged"] += len(told.Acknowledged)
	if told.Forgotten > 0 {
		counts["token forgotten"]++
	}
	if len(told.Lies) > 0 {
		return fmt.Errorf("%q", told.Lies)
	}
	if m.Repair && told.Mended {
		counts["mended"]++
	}
	if cut := m.What == "truncated" && m.Name == storage.FileName; cut && !m.Repair && told.Mended {
		return errors.New("a write to a file that was cut off was acknowledged")
	}
	if m.Repair && (m.What != "overwritten" || m.Known) && !told.Mended {
		return errors.New("the file was put back, and writes are still refused")
	}
	db, err := storage.Open(r.dir, r.options)
	if err != nil {
		counts["then "+refusal(err)]++
		if m.Known && told.Mended {
			return fmt.Errorf("a write was acknowledged, and then: %w", err)
		}
		if told.Checked || m.Repair {
			return fmt.Errorf("the store was said to be whole (%v), or put back: %w", told.Checked, err)
		}
		return r.clear(err)
	}
	counts["then opened"]++
	defer func() { _ = db.Close() }() // nothing was written
	return told.compare(newest.truth, dump(db))
}

// compare says what a store lost or made up.
func (p *report) compare(before truth, after contents) error {
	for _, id := range p.Acknowledged {
		if after.keys[id] == nil {
			return fmt.Errorf("the acknowledged key %s is lost", id)
		}
	}
	for _, id := range p.Refused {
		if after.keys[id] != nil {
			return fmt.Errorf("the refused key %s is there", id)
		}
	}
	if diff := before.diffWithout(after, append(p.Acknowledged, p.Unknown...)); diff != "" {
		return fmt.Errorf("after all, %s differ", diff)
	}
	return nil
}

// diffWithout says what differs beside some new keys and the position.
func (t truth) diffWithout(after contents, ids []string) string {
	keys := map[string]*key.Record{}
	for id, k := range after.keys {
		keys[id] = k
	}
	for _, id := range ids {
		delete(keys, id)
	}
	after.keys, after.position = keys, t.position
	return t.contents.diff(after)
}

// mishapKnob, in the environment, makes the test binary a process that opens
// the store in a folder and has a mishap.
const mishapKnob = "LATCHKEY_STORAGE_TEST_MISHAP"

// mishapLimit is how long the process may take before it counts as hung.
const mishapLimit = 2 * time.Minute

func runMishap(dir string, m mishap) (*report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), mishapKnob+"="+string(spec), childFolder+"="+dir)
	var out, complaints bytes.Buffer
	child.Stdout, child.Stderr = &out, &complaints
	if err := child.Start(); err != nil {
		return nil, err
	}
	limit := time.AfterFunc(mishapLimit, func() { _ = child.Process.Kill() })
	err = child.Wait()
	if !limit.Stop() {
		return nil, errors.New("the process hung")
	}
	if err != nil {
		return nil, fmt.Errorf("the process died: %w: %.8000s", err, complaints.String())
	}
	var told report
	if err := json.Unmarshal(out.Bytes(), &told); err != nil {
		return nil, fmt.Errorf("the process said %q: %w", out.String(), err)
	}
	return &told, nil
}
