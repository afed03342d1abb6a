package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A Restore ends at each of its steps. The store is the former one or the
// restored one then, or Open says what to do, and to restore again always helps.
func TestRestoreCutOff(t *testing.T) {
	const temp = storage.FileName + ".new"
	for name, begin := range map[string]func(s *scene) files{
		"over a whole store":   func(s *scene) files { return s.now.files },
		"over no store":        func(s *scene) files { return s.now.files.with(storage.FileName, nil) },
		"without a watermark":  func(s *scene) files { return s.now.files.with(markName, nil) },
		"a damaged watermark":  func(s *scene) files { return s.now.files.with(markName, []byte("else")) },
		"over an older store":  func(s *scene) files { return s.now.files.with(storage.FileName, s.old.files[storage.FileName]) },
		"over a damaged store": func(s *scene) files { return s.now.files.with(storage.FileName, make([]byte, 9000)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			before := begin(s)
			before.into(t, s.dir)
			backup, err := os.ReadFile(s.backup)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := storage.Restore(s.dir, s.backup, s.options); err != nil {
				t.Fatal(err)
			}
			after := readFiles(t, s.dir)
			restored := after[storage.FileName]
			replaced := after.names(storage.FileName + ".replaced-")
			linked := before
			for _, name := range replaced {
				linked = linked.with(name, after[name])
			}
			renamed := linked.with(storage.FileName, restored)
			steps := []files{
				before.with(temp, []byte{}),
				before.with(temp, backup[:len(backup)/2]),
				before.with(temp, backup),
				before.with(temp, restored),
				linked.with(temp, restored),
				renamed,
				renamed.with(markName+".new", after[markName][:100]),
				after,
			}
			for i, step := range steps {
				for _, first := range []string{"open", "restore"} {
					t.Run(fmt.Sprint(i, " ", first), func(t *testing.T) {
						step.into(t, s.dir)
						if first == "open" {
							s.openAfterCrash(t, i >= 5, before)
						}
						_, db := restore(t, s.dir, s.backup, s.options)
						s.check(t, db, len(before[markName]) > 10)
					})
				}
			}
		})
	}
}

// openAfterCrash opens a folder that a Restore left half-way.
func (s *scene) openAfterCrash(t *testing.T, renamed bool, before files) {
	t.Helper()
	db, err := storage.Open(s.dir, s.options)
	if err != nil {
		if !strings.Contains(err.Error(), "latchkey db restore") {
			t.Fatalf("it doesn't say what to do: %v", err)
		}
		proven := len(before[markName]) > 10
		if renamed && proven || bytes.Equal(before[storage.FileName], s.now.files[storage.FileName]) && proven {
			t.Fatalf("nothing was wrong: %v", err)
		}
		return
	}
	got := dump(db)
	if revoked := got.keys[s.revoked]; revoked.Revoked.IsZero() {
		t.Fatal("the revoked key came back to life")
	}
	if renamed != (got.position.Epoch > s.now.position.Epoch) {
		t.Fatalf("it is at %v", got.position)
	}
	mustClose(t, reopen(t, db, s.dir, s.options))
}

// On a new machine there is nothing before, and so nothing that could tell of
// a Restore that ended early: what Open makes is new and empty, and denies all.
func TestRestoreCutOffOnANewMachine(t *testing.T) {
	s := newScene(t)
	backup, err := os.ReadFile(s.backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, len(backup) / 2, len(backup)} {
		s.dir = storagetest.Dir(t)
		files{storage.FileName + ".new": backup[:size]}.into(t, s.dir)
		db := mustOpen(t, s.dir, s.options)
		if got := dump(db); got.position.Revision != 0 || len(got.keys) > 0 {
			t.Errorf("it is at %v", got.position)
		}
		mustClose(t, db)
		_, db = restore(t, s.dir, s.backup, s.options)
		checkWithdrawn(t, db, s.old.contents, s.old.contents)
		mustClose(t, db)
	}
	// The file has its name, and the watermark isn't there yet.
	s.dir = storagetest.Dir(t)
	_, db := restore(t, s.dir, s.backup, s.options)
	mustClose(t, db)
	readFiles(t, s.dir).with(markName, nil).into(t, s.dir)
	if _, err := storage.Open(s.dir, s.options); !errors.Is(err, storage.ErrUnproven) || !strings.Contains(err.Error(), "latchkey db restore") {
		t.Errorf("error %v", err)
	}
	_, db = restore(t, s.dir, s.backup, s.options)
	checkWithdrawn(t, db, s.old.contents, s.old.contents)
	mustClose(t, reopen(t, db, s.dir, s.options))
}
