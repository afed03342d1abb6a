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
		if _, err := db.Keys("", func(*key.Record) bool { return true }); err != nil {
			t.Fatal(err)
		}
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
		return func(tx *bbolt.Tx) error { return storage.Put(tx, bucket, name, value) }
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
		"position":         {put("meta", "position", strings.Repeat("\x00", 47)+"\x09"), "meta: its position is missing"},
		"no position":      {put("meta", "position", ""), "meta: its position isn't one"},
		"floor":            {put("meta", "floor", "\x00\x00\x00\x00\x00\x00\x00\x02"), "log: it has the entries 1 to 2, and should have 2 to 2"},
		"lost key":         {first("records", remove), "the digest of its objects is"},
		"lost tenant":      {first("tenants", remove), "the digest of its objects is"},
		"changed policy":   {put("policies", "shortkit", "else"), "policy \"shortkit\": the log has other bytes"},
		"unlogged policy":  {put("policies", "else", "else"), "the digest of its objects is"},
		"unreadable":       {put("principals", "user:ada", "\xff"), "principal \"user:ada\""},
		"name of another":  {first("records", func(b *bbolt.Bucket, _, value []byte) error { return b.Put([]byte("key_0"), value) }), "records \"key_0\": its checksum is wrong"},
		"a bit":            {first("tenants", func(b *bbolt.Bucket, name, value []byte) error { value[1] ^= 4; return b.Put(name, value) }), "tenants \"org:o_1\": its checksum is wrong"},
		"gap in the log":   {first("log", remove), "log: it has the entries 2 to 2, and should have 1 to 2"},
		"other log":        {first("log", func(b *bbolt.Bucket, name, value []byte) error { value[3] ^= 1; return b.Put(name, value) }), "log 1: its checksum is wrong"},
		"token of another": {put("reveal", "key_0", "token"), "reveal: the token of \"key_0\""},
		"other bucket": {func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("digests"))
			return err
		}, "there is a bucket \"digests\""},
		"lost bucket": {func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("reveal")) }, "its bucket \"reveal\" is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			db, err := storage.Open(dir, storage.Options{})
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
			// Whoever would open it now doesn't.
			if _, err := storage.Open(dir, storage.Options{}); !errors.Is(err, storage.ErrDamaged) {
				t.Errorf("opening it: %v", err)
			}
			if _, err := storage.Open(dir, storage.Options{}); !errors.Is(err, storage.ErrMissing) {
				t.Errorf("opening it again: %v", err)
			}
		})
	}
}
