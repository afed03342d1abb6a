//go:build linux && (amd64 || arm64)

package storage_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/storage"
)

// thorough reports whether every call is tried, and not some of them.
func thorough() bool { return os.Getenv("LATCHKEY_FAULTS") == "all" }

// stride is the distance between the calls, or whatever else a test walks
// through one by one, that are tried: each where all is, far ones in a short
// run, which is for the race detector. It finds nothing in such a walk.
func stride(usual int) int {
	switch {
	case thorough():
		return 1
	case testing.Short():
		return 8 * usual
	}
	return usual
}

// inFaultyChild runs work in a process of its own, and shows what it printed.
func inFaultyChild(t *testing.T, work func(), prepare ...func(*exec.Cmd)) {
	t.Helper()
	patience := 5 * time.Minute
	if thorough() {
		patience = 30 * time.Minute
	}
	told := func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()))
	}
	if faults.Apart(t, patience, append(prepare, told)...) {
		return
	}
	defer func() { faults.GiveUp(faults.Inject("", nil)) }() // before the folders of the test are removed
	work()
}

// template prepares the folder of a scenario, and returns it with the world it leaves.
func (s *scenario) template(t *testing.T, dir string) (*frozen, *world) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(dir, t.Errorf)
	w.options, w.limit = s.options, s.limit
	if err := s.prepare(w); err != nil {
		t.Fatalf("%s: preparing: %v", s.name, err)
	}
	w.first = is(w.model)
	if len(s.first) > 0 {
		w.first = outcome{refused: s.first}
	} else if s.learns {
		w.first = outcome{}
	}
	f, err := freeze(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f, w
}

// begin makes a copy of a template, for one run.
func (s *scenario) begin(t *testing.T, f *frozen, from *world, dir string) *world {
	t.Helper()
	if err := f.write(dir); err != nil {
		t.Fatal(err)
	}
	w := newWorld(dir, t.Errorf)
	w.options, w.limit, w.again, w.midway = s.options, s.limit, s.again, s.midway
	w.now, w.model, w.first, w.after = from.now, from.model, from.first, from.after
	return w
}

// undisturbed does all steps once, on a good disk, and tells what it found to from.
func (s *scenario) undisturbed(t *testing.T, w *world) {
	t.Helper()
	if s.traps {
		s.watch(w.base, &trouble{w: w})
		defer s.watch("", nil)
	}
	for i, step := range s.steps {
		// Putting into quarantine is an error.
		if err := step(w); err != nil && !errors.Is(err, storage.ErrDamaged) {
			t.Fatalf("%s, step %d, on a good disk: %v", s.name, i, err)
		}
	}
	if s.check != nil {
		s.reopen(t, w)
		s.check(w)
		s.shut(t, w)
	}
}

// watch begins or ends the trouble.
func (s *scenario) watch(dir string, r *trouble) {
	if r == nil {
		faults.GiveUp(faults.Inject("", nil))
		return
	}
	faults.GiveUp(faults.Inject(dir, r.decide))
}

// trouble decides which calls fail.
type trouble struct {
	w       *world
	n       int // the first call to fail; 0: none
	ever    bool
	fault   faults.Fault
	mu      sync.Mutex
	calls   int
	lifted  bool
	reached bool
	hit     string // the call that failed first
}

func (r *trouble) decide(c faults.Call) faults.Fault {
	if r.w.trap.hits(c) {
		return faults.Fault{Errno: syscall.EIO}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.n == 0 || r.calls < r.n || r.lifted || r.reached && !r.ever {
		return faults.Fault{}
	}
	if !r.reached {
		r.hit = c.Name + " of " + filepath.Base(c.Path)
	}
	r.reached = true
	return r.fault
}

func (r *trouble) lift() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lifted = true
}

func (r *trouble) state() (calls int, reached bool, hit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls, r.reached, r.hit
}

// kind is a kind of trouble.
type kind struct {
	name   string
	ever   bool // from one call on, and not this one alone
	fault  faults.Fault
	always bool // whether it is tried even if not all is
}

var kinds = []kind{
	{"one EIO", false, faults.Fault{Errno: syscall.EIO}, true},
	{"ENOSPC from then on", true, faults.Fault{Errno: syscall.ENOSPC}, true},
	{"one torn write, EIO", false, faults.Fault{Errno: syscall.EIO, Half: true}, false},
	{"one ENOSPC", false, faults.Fault{Errno: syscall.ENOSPC}, false},
	{"EIO from then on", true, faults.Fault{Errno: syscall.EIO}, false},
	{"torn writes from then on, ENOSPC", true, faults.Fault{Errno: syscall.ENOSPC, Half: true}, false},
	{"EROFS from then on", true, faults.Fault{Errno: syscall.EROFS}, false},
}

// Each call of each scenario fails in turn. What was acknowledged is there, at
// once and after a restart; what was refused isn't; and once the disk is good
// again everything can be done, without a restart.
func TestEveryCallFails(t *testing.T) {
	inFaultyChild(t, func() {
		stride, total := stride(3), 0
		for i, s := range scenarios() {
			dir := quickDir(t)
			template, from := s.template(t, filepath.Join(dir, "template"))
			reference := s.begin(t, template, from, filepath.Join(dir, "reference"))
			s.undisturbed(t, reference)
			from.after = reference.after
			files := openFiles(t)
			for j, k := range kinds {
				if !k.always && !thorough() {
					continue
				}
				tally, runs, n := map[string]int{}, 0, 1+(i+j)%stride
				for ; ; n += stride {
					run := filepath.Join(dir, "run")
					w := s.begin(t, template, from, run)
					w.commits = n/stride%2 == 0
					r := &trouble{w: w, n: n, ever: k.ever, fault: k.fault}
					w.complain = func(format string, args ...any) {
						_, _, hit := r.state()
						t.Errorf("%s, %s, call %d (%s): %s", s.name, k.name, n, hit, fmt.Sprintf(format, args...))
					}
					more := s.run(t, w, r, reference)
					for what, times := range w.tally {
						tally[what] += times
					}
					if err := os.RemoveAll(run); err != nil {
						t.Fatal(err)
					}
					if !more {
						break
					}
					runs++
					if t.Failed() && runs > 300 {
						break
					}
				}
				calls := n - 1
				t.Logf("%-52s %-34s %4d calls %4d runs %s", s.name, k.name, calls, runs, counts(tally))
				total += runs
			}
			if after := openFiles(t); after > files+2 {
				t.Errorf("%s: %d files are open, %d were before", s.name, after, files)
			}
		}
		t.Logf("%d runs with a failed call", total)
	})
}

// run does the steps while the disk fails, and looks at what is left. It
// returns whether a call failed.
func (s *scenario) run(t *testing.T, w *world, r *trouble, reference *world) bool {
	s.watch(w.base, r)
	healed := false
	for i, step := range s.steps {
		for attempt := 0; ; attempt++ {
			err := step(w)
			if err == nil {
				break
			}
			_, reached, _ := r.state()
			// To put a file into quarantine is an error too.
			if !errors.Is(err, storage.ErrDamaged) && (healed || !reached) || attempt == 5 {
				w.complain("step %d, on a good disk: %v", i, err)
				break
			}
			if !reached || healed {
				continue
			}
			if r.ever {
				if err := step(w); err == nil {
					break
				}
			}
			r.lift()
			healed = true
		}
		if w.db != nil {
			w.see("after a step")
		}
	}
	s.watch("", nil)
	_, reached, _ := r.state()
	s.reopened(t, w, reference)
	return reached
}

// reopened compares what is left with what should be.
func (s *scenario) reopened(t *testing.T, w *world, reference *world) {
	if w.db != nil {
		w.complain("the store is still open")
		_ = w.close()
	}
	if w.written["quarantine"] {
		return
	}
	s.reopen(t, w)
	if w.db == nil {
		return
	}
	if diff := objectsDiffer(reference.model, dump(w.db)); diff != "" && !w.again {
		w.complain("at the end, %s differ from an undisturbed run", diff)
	}
	if s.check != nil {
		s.check(w)
	}
	if err := s.goesOn(w); err != nil {
		w.complain("a last write: %v", err)
	}
	s.shut(t, w)
}

func (s *scenario) reopen(t *testing.T, w *world) {
	if err := w.open(); err != nil {
		w.complain("opened again: %v", err)
	}
}

func (s *scenario) shut(t *testing.T, w *world) {
	if err := w.db.Check(); err != nil {
		w.complain("check: %v", err)
	}
	if err := w.close(); err != nil {
		w.complain("close: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func counts(m map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[name], name))
	}
	return strings.Join(parts, ", ")
}
