//go:build linux && (amd64 || arm64)

package storage_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/storage"
)

// instant is the folder as it is when a call begins: what is left of it by a kill
// just then.
type instant struct {
	call   faults.Call
	failed bool // the call, by a trap
	folder *frozen
	may    outcome // what may be in it
}

// recorder keeps each instant of an undisturbed run.
type recorder struct {
	w       *world
	mu      sync.Mutex
	may     outcome
	moments []instant
	err     error
}

func (r *recorder) expect(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.may = o
}

func (r *recorder) decide(c faults.Call) (f faults.Fault) {
	if r.w.trap.hits(c) {
		f = ioError
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(c, f != faults.Fault{})
	return f
}

// add adds a instant. The lock is held.
func (r *recorder) add(c faults.Call, failed bool) {
	var before *frozen
	if n := len(r.moments); n > 0 {
		before = r.moments[n-1].folder
	}
	folder, err := freeze(r.w.base, before)
	r.err = errors.Join(r.err, err)
	r.moments = append(r.moments, instant{c, failed, folder, r.may})
}

// record does the steps of a scenario once and returns all moments of it, the end included.
func (s *scenario) record(t *testing.T, w *world) []instant {
	t.Helper()
	r := &recorder{w: w, may: w.first}
	w.expected = r.expect
	faults.GiveUp(faults.Inject(w.base, r.decide))
	for i, step := range s.steps {
		// To put a file into quarantine is an error, at first.
		if err := step(w); err != nil && !errors.Is(err, storage.ErrDamaged) {
			t.Fatalf("%s, step %d, on a good disk: %v", s.name, i, err)
		}
	}
	faults.GiveUp(faults.Inject("", nil))
	r.add(faults.Call{Name: "end"}, false)
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.moments
}

// The process is killed at each call of each scenario, and the power is cut
// there. What was acknowledged is there afterwards, nothing is there by half,
// and nobody is told of damage or of a rollback that there wasn't.
func TestCrashAtEveryCall(t *testing.T) {
	inFaultyChild(t, func() {
		each, stride, cuts := stride(1), 4, 3
		if thorough() {
			stride, cuts = 1, 24
		}
		random := rand.New(rand.NewPCG(4, 4))
		killed, cut := 0, 0
		for _, s := range scenarios() {
			dir := quickDir(t)
			template, from := s.template(t, filepath.Join(dir, "template"))
			first := s.begin(t, template, from, filepath.Join(dir, "first"))
			s.undisturbed(t, first)
			from.after = first.after
			moments := s.record(t, s.begin(t, template, from, filepath.Join(dir, "recorded")))
			answers := map[string]int{}
			p := newPower(moments[0].folder)
			p.kills = s.kills
			for n, m := range moments {
				if n > 0 {
					p.happened(moments[n-1], m.folder)
				}
				if n%each > 0 {
					continue
				}
				s.survives(t, m, from, m.folder, filepath.Join(dir, "left"), fmt.Sprintf("killed at call %d", n+1), answers)
				killed++
				if killed%stride > 0 {
					continue
				}
				for range cuts {
					left, how := p.cut(random)
					s.survives(t, m, from, left, filepath.Join(dir, "left"), fmt.Sprintf("power cut at call %d: %s", n+1, how), answers)
					cut++
				}
			}
			t.Logf("%-52s %4d calls; opened: %s", s.name, len(moments)-1, counts(answers))
		}
		t.Logf("%d kills, %d power cuts", killed, cut)
	})
}

// survives opens what a crash left, looks, writes once more, and looks again.
func (s *scenario) survives(t *testing.T, m instant, from *world, left *frozen, dir, how string, answers map[string]int) {
	t.Helper()
	complain := func(format string, args ...any) {
		t.Errorf("%s, %s (%s of %s): %s", s.name, how, m.call.Name, filepath.Base(m.call.Path), fmt.Sprintf(format, args...))
	}
	if err := left.write(dir); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	w := newWorld(dir, complain)
	w.options, w.limit, w.again, w.after = s.options, s.limit, s.again, from.after
	w.now = from.now.Add(1e12)
	db, err := storage.Open(w.data(), w.plain())
	if wrong := m.may.allows(db, err); wrong != nil {
		complain("%v", wrong)
		if db != nil {
			_ = db.Close()
		}
		return
	}
	for _, name := range m.may.kept {
		if report, err := storage.Verify(filepath.Join(dir, name)); err != nil || len(report.Problems) > 0 {
			complain("the backup %s: %+v, %v", name, report, err)
		}
	}
	if err == nil {
		answers["as it may be"]++
		w.model = dump(db)
		w.opened(db)
		if err := s.goesOn(w); err != nil {
			complain("a write: %v", err)
		}
		s.shut(t, w)
		return
	}
	answers["not taken over yet"]++
	// What was cut off is done again.
	for attempt := 0; ; attempt++ {
		if err := s.steps[0](w); err == nil {
			break
		} else if !errors.Is(err, storage.ErrDamaged) || attempt == 2 {
			complain("taking over: %v", err)
			return
		}
	}
	if w.db != nil {
		s.shut(t, w)
	}
}
