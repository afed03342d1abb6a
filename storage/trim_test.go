package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// logFloor returns the oldest revision in the log, and checks that all that are
// older are refused and all newer ones are there.
func logFloor(t failer, db *storage.DB, dir string) uint64 {
	t.Helper()
	newest := db.Position().Revision
	floor := uint64(0)
	for after := range newest + 1 {
		entries, err := db.Log(after, int(newest)+1)
		if errors.Is(err, storage.ErrTrimmed) && floor == 0 {
			continue
		}
		if err != nil || uint64(len(entries)) != newest-after {
			t.Fatalf("log after %d: %d entries of %d; %v", after, len(entries), newest, err)
		}
		for i, e := range entries {
			if e.GetRevision() != after+uint64(i)+1 {
				t.Fatalf("log after %d: entry %d is %d", after, i, e.GetRevision())
			}
		}
		if floor == 0 {
			floor = after + 1
		}
	}
	return floor
}

func TestLogIsTrimmed(t *testing.T) {
	next := folders(quickDir(t))
	rapid.Check(t, func(t *rapid.T) {
		dir := next()
		o := storage.Options{
			LogEntries: rapid.Uint64Range(0, 12).Draw(t, "entries"),
			LogBytes:   rapid.Int64Range(0, 3000).Draw(t, "bytes"),
		}
		db := mustOpen(t, dir, o)
		defer func() { _ = os.RemoveAll(dir) }()
		floor := uint64(1)
		for range rapid.IntRange(1, 40).Draw(t, "revisions") {
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				db = reopen(t, db, dir, o)
				if now := logFloor(t, db, dir); now != floor {
					t.Fatalf("a restart moved the floor from %d to %d", floor, now)
				}
			}
			document := make([]byte, rapid.IntRange(0, 1500).Draw(t, "size"))
			at := commit(t, db, storage.Change{Policies: map[string][]byte{"a": document}})
			now := logFloor(t, db, dir)
			if now < floor {
				t.Fatalf("the floor went from %d to %d", floor, now)
			}
			floor = now
			kept := at.Revision + 1 - floor
			if kept < min(2, at.Revision) {
				t.Fatalf("at revision %d %d entries are kept", at.Revision, kept)
			}
			if o.LogEntries > 0 && kept > max(o.LogEntries, 2) {
				t.Fatalf("%d entries are kept, want %d", kept, o.LogEntries)
			}
		}
		if err := db.Check(); err != nil {
			t.Fatalf("check: %v", err)
		}
		mustClose(t, db)
	})
}

func TestLogKeepsTwo(t *testing.T) {
	dir := storagetest.Dir(t)
	o := storage.Options{LogEntries: 1, LogBytes: 1}
	db := storagetest.Open(t, dir, o)
	for i := range 10 {
		at := commit(t, db, storage.Change{Policies: map[string][]byte{"a": make([]byte, 1000*i)}})
		if floor := logFloor(t, db, dir); floor != max(at.Revision, 2)-1 {
			t.Errorf("at revision %d the log begins with %d", at.Revision, floor)
		}
	}
	// What a crash between file and watermark leaves is judged by the two.
	before := readFiles(t, dir)
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	storagetest.Close(t, db)
	readFiles(t, dir).with(markName, before[markName]).into(t, dir)
	db = storagetest.Open(t, dir, o)
	if at := db.Position(); at.Revision != 11 {
		t.Errorf("it is at %v", at)
	}
}

// A log that was kept longer is cut little by little, so that no write waits
// for all of it.
func TestLogIsTrimmedLittleByLittle(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	for i := range 300 {
		commit(t, db, storage.Change{Policies: map[string][]byte{"a": fmt.Append(nil, i)}})
	}
	storagetest.Close(t, db)
	db = storagetest.Open(t, dir, storage.Options{LogEntries: 5})
	floor := logFloor(t, db, dir)
	for range 6 {
		at := commit(t, db, storage.Change{Policies: map[string][]byte{"a": []byte("b")}})
		now := logFloor(t, db, dir)
		if now > floor+100 {
			t.Errorf("one write took %d entries away", now-floor)
		}
		if floor = now; at.Revision == 306 && floor != 302 {
			t.Errorf("at revision 306 the log begins with %d", floor)
		}
	}
}

func TestFileStaysBounded(t *testing.T) {
	commits := 4000
	if testing.Short() {
		commits = 1000
	}
	dir := filepath.Join(quickDir(t), "data")
	db := storagetest.Open(t, dir, storage.Options{LogEntries: 100})
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, storage.FileName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	var early int64
	for i := range commits {
		c := storage.Change{Policies: map[string][]byte{fmt.Sprint(i % 10): make([]byte, 100+(i*37)%900)}}
		if _, err := db.Commit(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if i == 300 {
			early = size()
		}
	}
	if now := size(); now > 2*early {
		t.Errorf("%d bytes after %d commits, %d after 300", now, commits, early)
	}
	report, err := storage.Verify(filepath.Join(dir, storage.FileName))
	if err != nil || len(report.Problems) > 0 || report.LogFloor != uint64(commits-99) {
		t.Fatalf("%+v, %v", report, err)
	}
	// What the log and ten policies need, and not one page for each commit.
	if report.Pages > 200 {
		t.Errorf("%d pages are in use", report.Pages)
	}
}
