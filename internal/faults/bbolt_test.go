//go:build linux && (amd64 || arm64)

package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/internal/faults"
)

// A real database, each of whose calls fails in turn, in one child: what bbolt acknowledged is there afterwards, and of what
// it refused at most the last commit.
func TestBboltMeetsEveryFault(t *testing.T) {
	for name, test := range map[string]struct {
		decide func(int, faults.Fault) func(faults.Call) faults.Fault
		fault  faults.Fault
	}{
		"one call has an I/O error":         {faults.Nth, faults.Fault{Errno: syscall.EIO}},
		"the disk is full from one call on": {faults.From, faults.Fault{Errno: syscall.ENOSPC}},
		"one write is torn":                 {faults.Nth, faults.Fault{Errno: syscall.EIO, Half: true}},
		"one write is short":                {faults.Nth, faults.Fault{Half: true}},
	} {
		t.Run(name, func(t *testing.T) {
			inChild(t, func() {
				dir := t.TempDir()
				whole := names(runBbolt(t, filepath.Join(dir, "undisturbed"), nil).events)
				if again := names(runBbolt(t, filepath.Join(dir, "again"), nil).events); !slices.Equal(whole, again) {
					t.Fatalf("two runs alike made %d and %d calls: counting is not deterministic", len(whole), len(again))
				}
				for _, want := range []string{"openat", "pwrite64", "fdatasync", "ftruncate", "fsync"} {
					if !slices.Contains(whole, want) {
						t.Errorf("bbolt made no %s: %v", want, whole)
					}
				}
				failures := map[string]int{}
				n := 1
				for ; ; n++ {
					run := runBbolt(t, filepath.Join(dir, fmt.Sprint(n)), test.decide(n, test.fault))
					if len(run.events) < n {
						break
					}
					hit := run.events[n-1]
					if hit.Fault != test.fault || !slices.Equal(names(run.events[:n]), whole[:n]) {
						t.Fatalf("call %d: %+v, after %v", n, hit, names(run.events[:n-1]))
					}
					failures[hit.Name]++
					if test.fault.Errno == 0 {
						if run.err != nil {
							t.Errorf("call %d, %s, was short: bbolt failed: %v", n, hit.Name, run.err)
						}
						continue
					}
					// By its text: of errors in growing the file, bbolt 1.5 keeps no more.
					if run.err == nil || !strings.Contains(run.err.Error(), test.fault.Errno.Error()) {
						t.Errorf("call %d, %s of %s, failed: bbolt answered %v", n, hit.Name, filepath.Base(hit.Path), run.err)
					}
				}
				if test.fault.Errno != 0 && n != len(whole)+1 {
					t.Errorf("the last call to fail was %d, want %d", n-1, len(whole))
				}
				t.Logf("%d calls failed, one run each: %v", n-1, failures)
			})
		})
	}
}

type bboltRun struct {
	events []faults.Event
	err    error // of the first thing that bbolt refused
}

// runBbolt makes a database, commits to it until something fails, and looks at what is left when nothing fails any more.
func runBbolt(t *testing.T, dir string, decide func(faults.Call) faults.Fault) (run bboltRun) {
	t.Helper()
	const commits = 20
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if decide == nil {
		decide = faults.Nth(0, faults.Fault{})
	}
	file := filepath.Join(dir, "some.db")
	inject(t, dir, decide)
	acknowledged := 0
	db, err := bbolt.Open(file, 0o600, nil)
	run.err = err
	if err == nil {
		for ; acknowledged < commits && run.err == nil; acknowledged++ {
			run.err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("bucket"))
				if err != nil {
					return err
				}
				return b.Put([]byte{byte(acknowledged)}, []byte(strings.Repeat("v", 2000)))
			})
		}
		if run.err != nil {
			acknowledged--
		}
		if err := db.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	inject(t, "", nil)
	run.events = faults.Seen()

	if acknowledged == 0 {
		return run
	}
	db, err = bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatalf("after %v, with %d commits acknowledged: %v", run.err, acknowledged, err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("bucket"))
		for err := range tx.Check() {
			t.Errorf("after %v: %v", run.err, err)
		}
		if have := b.Stats().KeyN; have < acknowledged || have > acknowledged+1 {
			t.Errorf("after %v: %d commits are there, %d were acknowledged", run.err, have, acknowledged)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	return run
}
