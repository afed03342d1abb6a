package storage_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// restore tries to restore a backup that must be accepted, restores it, and opens
// the store.
func restore(t failer, dir, backup string, o storage.Options) (*storage.Restored, *storage.DB) {
	t.Helper()
	tried, err := try(t, dir, backup, o)
	if err != nil {
		t.Fatalf("trying to restore: %v", err)
	}
	done, err := storage.Restore(dir, backup, o)
	if err != nil {
		t.Fatalf("restoring: %v", err)
	}
	if (tried.Replaced != "") != (done.Replaced != "") || tried.At != (storage.Position{}) {
		t.Fatalf("tried, it tells %+v, and done %+v", tried, done)
	}
	tried.Replaced, tried.At = done.Replaced, done.At
	if !reflect.DeepEqual(tried, done) {
		t.Fatalf("tried, it tells %+v, and done %+v", tried, done)
	}
	db := mustOpen(t, dir, o)
	if at := db.Position(); at != done.At {
		t.Fatalf("it is at %v, told was %v", at, done.At)
	}
	return done, db
}

// try tries to restore a backup, which must change nothing.
func try(t failer, dir, backup string, o storage.Options) (*storage.Restored, error) {
	t.Helper()
	state := func() (files, files) { return namesAndModes(t, dir), namesAndModes(t, filepath.Dir(backup)) }
	there, beside := state()
	tried, err := storage.TryRestore(dir, backup, o)
	if now, then := state(); !there.same(now) || !beside.same(then) {
		t.Fatalf("trying to restore changed something: %q, and was %q; %q, and was %q", now.names(""), there.names(""), then.names(""), beside.names(""))
	}
	return tried, err
}

// namesAndModes is what is in a folder, with the rights of each file in its name; nothing where there is no folder.
func namesAndModes(t failer, dir string) files {
	t.Helper()
	got := files{}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return got
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var b []byte
		if e.Type().IsRegular() {
			b, err = os.ReadFile(path)
		}
		got[path+" "+info.Mode().String()] = b
		return err
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return got
}

func backUp(t failer, db *storage.DB, path string) storage.Position {
	t.Helper()
	at, err := db.Backup(context.Background(), path)
	if err != nil {
		t.Fatalf("backing up: %v", err)
	}
	return at
}

func TestRestore(t *testing.T) {
	next := folders(quickDir(t))
	rapid.Check(t, func(t *rapid.T) {
		h := live(t, next(), 0, 8)
		defer h.end()
		backup := next()
		at := backUp(t, h.db, backup)
		old := h.newest()
		if at != old.position {
			t.Fatalf("the backup is of %v, want %v", at, old.position)
		}
		h.more(t, rapid.IntRange(0, 10).Draw(t, "more"))
		now := h.newest()
		mustClose(t, h.db)

		done, db := restore(t, h.dir, backup, h.options())
		checkWithdrawn(t, db, old.contents, now.contents)
		_, lost := takeAway(old.contents, now.contents)
		if got := named(done.Withdrawn); !slices.Equal(got, lost) {
			t.Fatalf("it tells of %v, and should of %v", got, lost)
		}
		if done.Backup != old.position || done.Known != now.position || done.Unknown {
			t.Fatalf("it tells %+v; backup %v, newest %v", done, old.position, now.position)
		}
		if kept, err := os.ReadFile(done.Replaced); err != nil || !bytes.Equal(kept, now.files[storage.FileName]) {
			t.Fatalf("the former file isn't kept: %v", err)
		}
		db = reopen(t, db, h.dir, h.options())

		// Again: the same, and nothing comes back by it.
		restored := dump(db)
		mustClose(t, db)
		again, db := restore(t, h.dir, backup, h.options())
		h.db = db
		checkWithdrawn(t, db, old.contents, restored)
		if again.Unknown || again.Known != done.At || !slices.Equal(named(again.Withdrawn), lost) {
			t.Fatalf("restored again it tells %+v; before %+v", again, done)
		}
	})
}

// scene is a store with a backup of its second revision, and a key that was
// revoked, one that was disabled and one that was rotated since.
type scene struct {
	dir, backup string
	old, now    moment
	revoked     string // id
	rotated     string
	options     storage.Options
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{dir: storagetest.Dir(t), backup: filepath.Join(t.TempDir(), "backup")}
	db := mustOpen(t, s.dir, s.options)
	a, _ := issue(t)
	b, _ := issue(t)
	s.revoked, s.rotated = a.ID, b.ID
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	commit(t, db, storage.Change{Keys: []*key.Record{a, b}, Policies: map[string][]byte{"shortkit": []byte("document")}})
	backUp(t, db, s.backup)
	s.old = moment{dump(db), readFiles(t, s.dir)}
	_, secret := minted(t)
	next, err := lookUp(db, b.ID).Rotate(secret, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Keys: []*key.Record{next}})
	commit(t, db, storage.Change{Keys: []*key.Record{lookUp(db, a.ID).Revoke(start)}})
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1", Revision: 1, Suspended: true}}})
	s.now = moment{dump(db), readFiles(t, s.dir)}
	mustClose(t, db)
	return s
}

// check checks what holds after each restore: the revoked key is revoked, and
// where the watermark was there all else is withdrawn as well.
func (s *scene) check(t *testing.T, db *storage.DB, all bool) {
	t.Helper()
	if all {
		checkWithdrawn(t, db, s.old.contents, s.now.contents)
	}
	if lookUp(db, s.revoked).Revoked.IsZero() {
		t.Error("the revoked key came back to life")
	}
	if err := db.Check(); err != nil {
		t.Errorf("check: %v", err)
	}
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_9"}}})
	mustClose(t, reopen(t, db, s.dir, s.options))
}

func TestRestoreOver(t *testing.T) {
	for name, test := range map[string]struct {
		damage   func(t *testing.T, s *scene)
		replaced bool // whether there is a former file
		unknown  bool
		all      bool // whether all that was lost is known
	}{
		"a whole store":   {func(*testing.T, *scene) {}, true, false, true},
		"a missing store": {func(t *testing.T, s *scene) { s.now.files.with(storage.FileName, nil).into(t, s.dir) }, false, false, true},
		"an older store": {func(t *testing.T, s *scene) {
			s.now.files.with(storage.FileName, s.old.files[storage.FileName]).into(t, s.dir)
		}, true, false, true},
		"a damaged store": {func(t *testing.T, s *scene) {
			s.now.files.with(storage.FileName, s.now.files[storage.FileName][:9000]).into(t, s.dir)
		}, true, false, true},
		"an empty file": {func(t *testing.T, s *scene) { s.now.files.with(storage.FileName, []byte{}).into(t, s.dir) }, true, false, true},
		"a store in quarantine": {func(t *testing.T, s *scene) {
			s.now.files.with(storage.FileName, s.now.files[storage.FileName][:9000]).into(t, s.dir)
			if _, err := storage.Open(s.dir, s.options); !errors.Is(err, storage.ErrDamaged) || !strings.Contains(err.Error(), "db restore") {
				t.Fatalf("error %v", err)
			}
		}, false, false, true},
		"a missing watermark": {func(t *testing.T, s *scene) { s.now.files.with(markName, nil).into(t, s.dir) }, true, true, false},
		"a damaged watermark": {func(t *testing.T, s *scene) { s.now.files.with(markName, []byte("else")).into(t, s.dir) }, true, true, false},
		"a torn watermark": {func(t *testing.T, s *scene) {
			marks := bytes.TrimRight(s.now.files[markName], "\x00")
			s.now.files.with(markName, marks[:len(marks)-3]).into(t, s.dir)
		}, true, true, false},
		"a watermark with a damaged base": {func(t *testing.T, s *scene) {
			marks := bytes.Clone(s.now.files[markName])
			marks[80] ^= 1
			s.now.files.with(markName, marks).into(t, s.dir)
		}, true, true, true},
		"a damaged store and what a crash left": {func(t *testing.T, s *scene) {
			f := s.now.files.with(storage.FileName+".new", []byte("half")).with(storage.FileName+".new.new.new", []byte("half"))
			f.with(markName+".new", []byte("half")).with(storage.FileName, make([]byte, 4096)).into(t, s.dir)
		}, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			test.damage(t, s)
			before := readFiles(t, s.dir)[storage.FileName]
			done, db := restore(t, s.dir, s.backup, s.options)
			if (done.Replaced != "") != test.replaced || done.Unknown != test.unknown || done.Backup != s.old.position {
				t.Errorf("it tells %+v", done)
			}
			if test.replaced {
				if kept, err := os.ReadFile(done.Replaced); err != nil || !bytes.Equal(kept, before) {
					t.Errorf("the former file isn't kept: %v", err)
				}
			}
			if left := readFiles(t, s.dir).names(storage.FileName + ".new"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			s.check(t, db, test.all)
		})
	}
}

func TestRestoreOnANewMachine(t *testing.T) {
	s := newScene(t)
	s.dir = storagetest.Dir(t)
	// What is tried makes no folder, and leaves the backup's rights as they are.
	none := filepath.Join(t.TempDir(), "none")
	if err := os.Chmod(s.backup, 0o444); err != nil {
		t.Fatal(err)
	}
	if tried, err := try(t, none, s.backup, s.options); err != nil || !tried.Unknown || tried.Replaced != "" || tried.Backup != s.old.position {
		t.Errorf("tried: %+v, %v", tried, err)
	}
	if _, err := os.Lstat(none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("trying made the folder: %v", err)
	}
	done, db := restore(t, s.dir, s.backup, s.options)
	// Nothing is known here of what came after the backup, and it is said.
	if !done.Unknown || done.Replaced != "" || len(done.Withdrawn) != 0 || done.Known != done.Backup || done.Backup != s.old.position {
		t.Errorf("it tells %+v", done)
	}
	checkWithdrawn(t, db, s.old.contents, s.old.contents)
	mustClose(t, reopen(t, db, s.dir, s.options))
}

// A service that was started too early has made an empty store.
func TestRestoreOverAnEmptyStore(t *testing.T) {
	s := newScene(t)
	s.dir = storagetest.Dir(t)
	mustClose(t, mustOpen(t, s.dir, s.options))
	done, db := restore(t, s.dir, s.backup, s.options)
	if !done.Unknown || done.Replaced == "" || len(done.Withdrawn) != 0 {
		t.Errorf("it tells %+v", done)
	}
	checkWithdrawn(t, db, s.old.contents, s.old.contents)
	mustClose(t, reopen(t, db, s.dir, s.options))
}

// What was revoked in any lineage stays revoked in all that come after.
func TestRestoreOfAnEarlierLineage(t *testing.T) {
	s := newScene(t)
	_, db := restore(t, s.dir, s.backup, s.options)
	later, _ := issue(t)
	commit(t, db, storage.Change{Keys: []*key.Record{later, lookUp(db, s.rotated).Revoke(start)}})
	second := filepath.Join(t.TempDir(), "second")
	backUp(t, db, second)
	commit(t, db, storage.Change{Keys: []*key.Record{lookUp(db, later.ID).Revoke(start)}})
	mustClose(t, db)

	done, db := restore(t, s.dir, s.backup, s.options) // the first again
	if got := named(done.Withdrawn); done.Unknown || len(got) != 3 {
		t.Errorf("it tells %+v", done)
	}
	for _, id := range []string{s.revoked, s.rotated} {
		if lookUp(db, id).Revoked.IsZero() {
			t.Errorf("key %s came back to life", id)
		}
	}
	mustClose(t, db)

	_, db = restore(t, s.dir, second, s.options) // of a lineage that was given up
	for _, id := range []string{s.revoked, s.rotated, later.ID} {
		if lookUp(db, id).Revoked.IsZero() {
			t.Errorf("key %s came back to life", id)
		}
	}
	s.check(t, db, false)
}

// Another store may be moved to a folder: nothing of the one that was there
// counts for it, but for what nobody can tell apart from its own.
func TestRestoreOfAnotherStore(t *testing.T) {
	for _, older := range []bool{true, false} {
		var stranger *scene
		if older {
			stranger = newScene(t)
		}
		s := newScene(t)
		if !older {
			stranger = newScene(t)
		}
		done, db := restore(t, s.dir, stranger.backup, s.options)
		if !done.Unknown || done.Replaced == "" || done.Known != s.now.position || done.Backup != stranger.old.position {
			t.Errorf("older %v: it tells %+v", older, done)
		}
		got := dump(db)
		if len(got.keys) != len(stranger.old.keys) || got.keys[stranger.rotated] == nil || !got.keys[stranger.rotated].Revoked.IsZero() {
			t.Errorf("older %v: keys %v", older, got.keys)
		}
		// The tenant has the same name here and there: it stays off.
		if !got.tenants["org:o_1"].Suspended || len(done.Withdrawn) != 1 {
			t.Errorf("older %v: withdrawn %v", older, done.Withdrawn)
		}
		// Back to the first one: it was given up, and is not forgotten.
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, db = restore(t, s.dir, s.backup, s.options)
		s.check(t, db, false)
	}
}

func TestRestoreRefuses(t *testing.T) {
	for name, backup := range map[string]func(whole []byte) []byte{
		"nothing":           func([]byte) []byte { return nil },
		"an empty file":     func([]byte) []byte { return []byte{} },
		"something else":    func([]byte) []byte { return bytes.Repeat([]byte("else"), 5000) },
		"a file cut off":    func(b []byte) []byte { return b[:len(b)/2] },
		"a file with a bit": func(b []byte) []byte { b[bytes.Index(b, []byte("document"))] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			whole, err := os.ReadFile(s.backup)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "bad")
			if b := backup(whole); b != nil {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tried, err := try(t, s.dir, path, s.options)
			if err == nil || tried != nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("tried: %+v, %v", tried, err)
			}
			done, err := storage.Restore(s.dir, path, s.options)
			if err == nil || done != nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%+v, %v", done, err)
			}
			if !s.now.files.same(readFiles(t, s.dir)) {
				t.Errorf("refused, the folder changed: %v", readFiles(t, s.dir).names(""))
			}
		})
	}
	t.Run("while the store is open", func(t *testing.T) {
		s := newScene(t)
		db := storagetest.Open(t, s.dir)
		done, err := storage.Restore(s.dir, s.backup, storage.Options{LockTimeout: 1})
		if !errors.Is(err, storage.ErrLocked) || done != nil {
			t.Errorf("%+v, %v", done, err)
		}
		if tried, err := storage.TryRestore(s.dir, s.backup, storage.Options{LockTimeout: 1}); !errors.Is(err, storage.ErrLocked) || tried != nil {
			t.Errorf("tried: %+v, %v", tried, err)
		}
		commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_2"}}})
	})
	t.Run("policies that this version can't compile", func(t *testing.T) {
		s := newScene(t)
		bad := errors.New("line 3: no such scope")
		o := storage.Options{Compile: func(map[string][]byte) (any, error) { return nil, bad }}
		if tried, err := try(t, s.dir, s.backup, o); !errors.Is(err, bad) || tried != nil {
			t.Errorf("tried: %+v, %v", tried, err)
		}
		done, err := storage.Restore(s.dir, s.backup, o)
		if !errors.Is(err, bad) || done != nil || !s.now.files.same(readFiles(t, s.dir)) {
			t.Errorf("%+v, %v", done, err)
		}
	})
}

// The backup that is restored was made while writers were at work.
func TestRestoreOfABackupUnderWrites(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	var kept []*key.Record // of the first write
	for range 50 {
		r, _ := issue(t)
		kept = append(kept, r)
	}
	commit(t, db, storage.Change{Keys: kept})
	var stop atomic.Bool
	revoked, written := make(chan map[string]bool), make(chan struct{}, 1)
	go func() {
		ids := map[string]bool{}
		for i := 0; !stop.Load() || i < len(kept); i++ {
			if i < len(kept) {
				if _, err := db.Commit(context.Background(), storage.Change{Keys: []*key.Record{lookUp(db, kept[i].ID).Revoke(start)}}); err != nil {
					t.Errorf("revoking: %v", err)
				}
				ids[kept[i].ID] = true
			} else if _, err := db.Commit(context.Background(), storage.Change{Policies: map[string][]byte{"a": make([]byte, i)}}); err != nil {
				t.Errorf("writing: %v", err)
			}
			select {
			case written <- struct{}{}:
			default:
			}
		}
		revoked <- ids
	}()
	<-written
	backup := filepath.Join(t.TempDir(), "backup")
	at := backUp(t, db, backup)
	stop.Store(true)
	ids := <-revoked
	storagetest.Close(t, db)
	if report, err := storage.Verify(backup); err != nil || len(report.Problems) > 0 || report.Position != at {
		t.Fatalf("the backup: %+v, %v; want %v", report, err, at)
	}
	done, db := restore(t, dir, backup, storage.Options{})
	defer mustClose(t, db)
	for id := range ids {
		if lookUp(db, id).Revoked.IsZero() {
			t.Errorf("key %s came back to life", id)
		}
	}
	if len(ids) != len(kept) || done.Backup != at || done.Unknown {
		t.Errorf("%d revoked; it tells %+v", len(ids), done)
	}
}
