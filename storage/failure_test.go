package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestFullDisk(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	info, err := os.Stat(filepath.Join(dir, storage.FileName))
	if err != nil {
		t.Fatal(err)
	}
	large := storage.Change{Policies: map[string][]byte{"large": make([]byte, info.Size())}}
	db.Bolt().MaxSize = int(info.Size())
	refused(t, db, large, bolterrors.ErrMaxSizeReached)
	refused(t, db, large, bolterrors.ErrMaxSizeReached)
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_2"}}}) // which fits
	db.Bolt().MaxSize = 0
	commit(t, db, large)
	before := dump(db)
	storagetest.Close(t, db)
	if diff := before.diff(dump(storagetest.Open(t, dir))); diff != "" {
		t.Errorf("after opening again, %s differ", diff)
	}
}

// A disk that fails in the last sync leaves a file that shows the revision and
// may lose it yet. So does a revision that is called failed and is there.
func TestHalfWrittenRevision(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	eio := errors.New("input/output error")
	if err := db.Settle(1, eio); !errors.Is(err, storage.ErrFailed) || !errors.Is(err, eio) {
		t.Errorf("error %v", err)
	}
	refused(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_2"}}}, storage.ErrFailed)
	db.View(func(v *storage.View) {
		if v.Tenant("org:o_1") == nil {
			t.Error("views stopped")
		}
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	commit(t, storagetest.Open(t, dir), storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_2"}}})
}

func TestViewsDoNotWaitForTheDisk(t *testing.T) {
	begun := make(chan struct{}, 1)
	db := storagetest.New(t, storage.Options{Compile: func(documents map[string][]byte) (any, error) {
		begun <- struct{}{}
		return len(documents), nil
	}})
	<-begun
	// bbolt's lock is held as by a disk that doesn't come back.
	disk, err := db.Bolt().Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := db.Commit(context.Background(), storage.Change{Policies: map[string][]byte{"a": []byte("1")}})
		done <- err
	}()
	<-begun // the next that the commit does is to ask for the disk
	for deadline := time.Now().Add(50 * time.Millisecond); time.Now().Before(deadline); {
		db.View(func(v *storage.View) {
			if v.Policies() != 0 || v.Position().Revision != 0 {
				t.Fatalf("revision %d before it is on disk", v.Position().Revision)
			}
		})
		db.Keys("", func(*key.Record) bool { return true })
		db.Directory()
		db.Documents()
		db.Changed()
	}
	if err := disk.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	db.View(func(v *storage.View) {
		if v.Policies() != 1 {
			t.Error("an acknowledged write isn't seen")
		}
	})
}

func TestCheckFinds(t *testing.T) {
	put := func(bucket, name, value string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(name), []byte(value)) }
	}
	first := func(bucket string, f func(b *bbolt.Bucket, name, value []byte) error) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			name, value := b.Cursor().First()
			return f(b, append([]byte(nil), name...), append([]byte(nil), value...))
		}
	}
	remove := func(b *bbolt.Bucket, name, _ []byte) error { return b.Delete(name) }
	for name, test := range map[string]struct {
		damage func(*bbolt.Tx) error
		want   string
	}{
		"revision":          {put("meta", "revision", "\x00\x00\x00\x00\x00\x00\x00\x09"), "meta: revision"},
		"epoch":             {put("meta", "epoch", "\x00\x00\x00\x00\x00\x00\x00\x09"), "meta: epoch"},
		"lost key":          {first("records", remove), "keys: memory differs"},
		"lost tenant":       {first("tenants", remove), "tenants: memory differs"},
		"changed policy":    {put("policies", "shortkit", "else"), "policy \"shortkit\": the log has other bytes"},
		"unlogged policy":   {put("policies", "else", "else"), "policies: memory differs"},
		"unreadable":        {put("principals", "user:ada", "\xff"), "principal \"user:ada\""},
		"lost digest":       {first("digests", remove), "digests: there are 1, and 2"},
		"digest of another": {first("digests", func(b *bbolt.Bucket, name, _ []byte) error { return b.Put(name, []byte("key_0")) }), "leads to \"key_0\""},
		"gap in the log":    {first("log", remove), "log: entry 2 is stored"},
		"token of another":  {put("reveal", "key_0", "token"), "reveal: the token of \"key_0\""},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := storage.Open(storagetest.Dir(t), storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := issue(t)
			b, _ := issue(t)
			commit(t, db, storage.Change{Keys: []*key.Record{a}, Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
			commit(t, db, storage.Change{
				Keys: []*key.Record{b}, Principals: []*directory.Principal{{ID: "user:ada"}}, Policies: map[string][]byte{"shortkit": []byte("document")},
			})
			if err := db.Check(); err != nil {
				t.Fatalf("a good store: %v", err)
			}
			if err := db.Bolt().Update(test.damage); err != nil {
				t.Fatal(err)
			}
			if err := db.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
