package storage_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestReopenGivesTheSame(t *testing.T) {
	dir := storagetest.Dir(t)
	now := start
	options := storage.Options{
		Now:     func() time.Time { return now },
		Compile: func(documents map[string][]byte) (any, error) { return string(documents["shortkit"]), nil },
	}
	db := storagetest.Open(t, dir, options)
	r, token := issue(t)
	r.Expires = start.Add(time.Hour)
	off, _ := issue(t)
	off, err := off.Disable()
	if err != nil {
		t.Fatal(err)
	}
	commit(t, db, storage.Change{Policies: map[string][]byte{"shortkit": []byte("document")}})
	commit(t, db, storage.Change{
		Keys:       []*key.Record{r, off},
		Tenants:    []*directory.Tenant{{ID: "org:o_1", Suspended: true}, {ID: "org:o_2", Parent: "org:o_1"}},
		Principals: []*directory.Principal{{ID: "user:ada", Permissions: map[string][]string{"org:o_1": {"x"}}, Suspended: true}},
	})
	now = now.Add(time.Minute)
	commit(t, db, storage.Change{Keys: []*key.Record{lookUp(db, r.ID).Revoke(now)}})
	before := dump(db)
	storagetest.Close(t, db)

	db = storagetest.Open(t, dir, options)
	if diff := before.diff(dump(db)); diff != "" {
		t.Errorf("after opening again, %s differ", diff)
	}
	db.View(func(v *storage.View) {
		if !v.Latest().Equal(now) || v.Policies() != "document" || !v.Lookup(token.Digest(), &key.Facts{}) {
			t.Errorf("latest %s, policies %v", v.Latest(), v.Policies())
		}
	})
	if at := commit(t, db, storage.Change{RemoveTenants: []string{"org:o_2"}}); at.Revision != before.position.Revision+1 || at.Epoch != before.position.Epoch {
		t.Errorf("position %v after %v", at, before.position)
	}
}

func TestOpenAsksForThePolicies(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	commit(t, db, storage.Change{Policies: map[string][]byte{"shortkit": []byte("document")}})
	storagetest.Close(t, db)
	bad := errors.New("line 3: no such scope")
	_, err := storage.Open(dir, storage.Options{Compile: func(map[string][]byte) (any, error) { return nil, bad }})
	if !errors.Is(err, bad) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	storagetest.Open(t, dir) // whoever failed to open it has let go of it
}

func TestSecondOpenIsToldWhatToDo(t *testing.T) {
	dir := storagetest.Dir(t)
	storagetest.Open(t, dir)
	_, err := storage.Open(dir, storage.Options{LockTimeout: time.Millisecond})
	if !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
}

func TestRights(t *testing.T) {
	dir := filepath.Join(storagetest.Dir(t), "deep", "er")
	db := storagetest.Open(t, dir)
	storagetest.Close(t, db)
	file := filepath.Join(dir, storage.FileName)
	mode := func(path string) os.FileMode {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	if mode(dir).Perm() != 0o700 || mode(filepath.Dir(dir)).Perm() != 0o700 || mode(file).Perm() != 0o600 {
		t.Errorf("new: folder %v, file %v", mode(dir), mode(file))
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	storagetest.Close(t, storagetest.Open(t, dir))
	if mode(file).Perm() != 0o600 {
		t.Errorf("a file that others could read was left so: %v", mode(file))
	}
	// A folder with nothing but the store in it is made private; one that holds
	// something else too is refused.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	storagetest.Close(t, storagetest.Open(t, dir))
	if mode(dir).Perm() != 0o700 {
		t.Errorf("a folder that others could enter was left so: %v", mode(dir))
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, exposed := range []os.FileMode{0o755, 0o710, 0o701, 0o770} {
		if err := os.Chmod(dir, exposed); err != nil {
			t.Fatal(err)
		}
		if _, err := storage.Open(dir, storage.Options{}); !errors.Is(err, storage.ErrExposed) || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("folder of mode %o: error %v", exposed, err)
		}
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	link := func(t *testing.T, path string) {
		other := storagetest.Dir(t)
		storagetest.Close(t, storagetest.Open(t, other))
		if err := os.Symlink(filepath.Join(other, storage.FileName), path); err != nil {
			t.Fatal(err)
		}
	}
	write := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	// editing a store's file behind its back
	edit := func(f func(tx *bbolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db := storagetest.Open(t, filepath.Dir(path))
			r, _ := issue(t)
			commit(t, db, storage.Change{Keys: []*key.Record{r}})
			if err := db.Bolt().Update(f); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		make func(*testing.T, string)
		want error
	}{
		"a link":   {link, nil},
		"a folder": {func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, nil},
		"a text":   {write(strings.Repeat("some text\n", 10000)), storage.ErrFormat},
		"nothing":  {write(""), storage.ErrFormat},
		"an empty bbolt file": {func(t *testing.T, path string) {
			bolt, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := bolt.Close(); err != nil {
				t.Fatal(err)
			}
		}, storage.ErrDamaged},
		"a newer one": {edit(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, 3))
		}), storage.ErrFormat},
		"no position": {edit(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("position")) }), storage.ErrDamaged},
		"no log":      {edit(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("log")) }), storage.ErrDamaged},
		"no meta":     {edit(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) }), storage.ErrFormat},
		"a key that can't be read": {edit(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("records")).Put([]byte("key_1"), []byte("\xff"))
		}), nil},
		"a key under another name": {edit(func(tx *bbolt.Tx) error {
			_, value := tx.Bucket([]byte("records")).Cursor().First()
			return tx.Bucket([]byte("records")).Put([]byte("key_1"), append([]byte(nil), value...))
		}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			test.make(t, filepath.Join(dir, storage.FileName))
			db, err := storage.Open(dir, storage.Options{})
			if err == nil {
				t.Error("it was opened", db.Close())
			} else if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			} else if !strings.Contains(err.Error(), dir) {
				t.Errorf("error %q doesn't say which file", err)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	db := storagetest.New(t)
	r, token := issue(t)
	commit(t, db, storage.Change{Keys: []*key.Record{r}})
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}}, storage.ErrClosed)
	if _, err := db.Log(0, 1); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Log: %v", err)
	}
	if _, _, err := db.RevealedToken(r.ID); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("RevealedToken: %v", err)
	}
	if err := db.Check(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Check: %v", err)
	}
	db.View(func(v *storage.View) {
		if !v.Lookup(token.Digest(), &key.Facts{}) {
			t.Error("memory went with the file")
		}
	})
}

func TestStoresAreDifferentLineages(t *testing.T) {
	now := start
	clock := func() time.Time { now = now.Add(time.Microsecond); return now }
	a, b := storagetest.New(t, storage.Options{Now: clock}), storagetest.New(t, storage.Options{Now: clock})
	if a.Position().Epoch >= b.Position().Epoch || a.Position().Epoch == 0 {
		t.Errorf("epochs %d and then %d", a.Position().Epoch, b.Position().Epoch)
	}
}
