package storage_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// fixture returns a file of testdata, unpacked.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixture1 is the store of the first version, which wrote seven revisions.
func fixture1(t testing.TB) files { return files{storage.FileName: fixture(t, "format1.db.gz")} }

// checkFixture checks that a store has what the fixtures of all formats have.
func checkFixture(t *testing.T, db *storage.DB) {
	t.Helper()
	got := dump(db)
	status := func(id string, at time.Time) key.Status { return got.keys["key_fixture_"+id].Status(at) }
	if len(got.keys) != 6 {
		t.Fatalf("keys: %v", got.keys)
	}
	early := got.keys["key_fixture_rotated"].Current().Created
	late := early.AddDate(100, 0, 0)
	for id, want := range map[string][2]key.Status{
		"live": {key.Active, key.Active}, "revoked": {key.Revoked, key.Revoked}, "disabled": {key.Disabled, key.Disabled},
		"rotated": {key.Retiring, key.Active}, "revealed": {key.Active, key.Active}, "expiring": {key.Active, key.Expired},
	} {
		if is := [2]key.Status{status(id, early), status(id, late)}; is != want {
			t.Errorf("key %s is %v, want %v", id, is, want)
		}
	}
	r := got.keys["key_fixture_rotated"]
	if len(r.Secrets) != 2 || r.Secrets[0].Until.Sub(r.Secrets[1].Created) != time.Hour {
		t.Errorf("the rotated key: %+v", r.Secrets)
	}
	token, kept, err := db.RevealedToken("key_fixture_revealed")
	if err != nil || !kept || token.Digest() != got.keys["key_fixture_revealed"].Current().Digest {
		t.Errorf("the kept token: %v, %v", kept, err)
	}
	if o := got.tenants["org:o_1"]; len(got.tenants) != 2 || o.Plan != "pro" || o.Parent != "" || o.Suspended {
		t.Errorf("tenants: %+v", got.tenants)
	}
	if o := got.tenants["org:o_2"]; o.Parent != "org:o_1" || !o.Suspended {
		t.Errorf("tenant: %+v", o)
	}
	if len(got.principals) != 1 || got.principals["user:ada"] == nil {
		t.Errorf("principals: %+v", got.principals)
	}
	if len(got.documents) != 1 || string(got.documents["shortkit"]) != "name: shortkit\n" {
		t.Errorf("policies: %q", got.documents)
	}
}

// checkUpgraded checks a store that was taken over from the first format.
func checkUpgraded(t *testing.T, db *storage.DB) {
	t.Helper()
	checkFixture(t, db)
	if at := db.Position(); at.Revision != 8 {
		t.Errorf("it is at %v", at)
	}
	entries, err := db.Log(0, 100)
	if err != nil || len(entries) != 8 {
		t.Fatalf("%d log entries; %v", len(entries), err)
	}
	for i, e := range entries {
		if e.GetRevision() != uint64(i+1) || (i < 7) != (len(e.GetPuts()) > 0) {
			t.Errorf("log entry %d: %v", i+1, e)
		}
	}
	if entries[7].GetAction() != "db.upgrade" || entries[7].GetAt().AsTime().Before(entries[6].GetAt().AsTime()) {
		t.Errorf("the newest log entry: %v", entries[7])
	}
	if err := db.Check(); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestUpgrade(t *testing.T) {
	dir := storagetest.Dir(t)
	fixture1(t).into(t, dir)
	db := mustOpen(t, dir, storage.Options{})
	checkUpgraded(t, db)
	kept := readFiles(t, dir).names(storage.FileName + ".replaced-")
	if len(kept) != 1 || !strings.HasSuffix(kept[0], "-format1") || !bytes.Equal(readFiles(t, dir)[kept[0]], fixture1(t)[storage.FileName]) {
		t.Errorf("kept beside: %v", kept)
	}
	db = reopen(t, db, dir, storage.Options{})
	checkUpgraded(t, db)
	// It is a store like any other.
	k := lookUp(db, "key_fixture_revealed").Revoke(start)
	if at := commit(t, db, storage.Change{Keys: []*key.Record{k}, RemoveTenants: []string{"org:o_2"}}); at.Revision != 9 {
		t.Errorf("it is at %v", at)
	}
	if _, kept, err := db.RevealedToken(k.ID); kept || err != nil {
		t.Errorf("the token of a revoked key: %v, %v", kept, err)
	}
	if err := db.Check(); err != nil {
		t.Errorf("check: %v", err)
	}
	db = reopen(t, db, dir, storage.Options{})
	mustClose(t, db)
	// The old file put back is a rollback, and its backup can be restored.
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, fixture1(t)[storage.FileName], 0o600); err != nil {
		t.Fatal(err)
	}
	readFiles(t, dir).with(storage.FileName, fixture1(t)[storage.FileName]).into(t, dir)
	back := readFiles(t, dir)
	for _, o := range []storage.Options{{}, {AcceptRollback: true}} {
		if _, err := storage.Open(dir, o); !errors.Is(err, storage.ErrRollback) || !strings.Contains(err.Error(), "latchkey db restore") {
			t.Errorf("a file of the first format beside a watermark: %v", err)
		}
	}
	if !back.same(readFiles(t, dir)) {
		t.Error("refused, the folder changed")
	}
	done, db := restore(t, dir, old, storage.Options{})
	defer mustClose(t, db)
	if lookUp(db, k.ID).Revoked.IsZero() || len(done.Withdrawn) != 2 || db.Position().Revision != 9 {
		t.Errorf("restored: %+v at %v", done, db.Position())
	}
	if entries, err := db.Log(0, 100); err != nil || len(entries) != 9 || entries[8].GetAction() != "db.restore" {
		t.Errorf("log: %v, %v", entries, err)
	}
}

func TestUpgradeCutOff(t *testing.T) {
	before := fixture1(t)
	dir := storagetest.Dir(t)
	before.into(t, dir)
	mustClose(t, mustOpen(t, dir, storage.Options{}))
	after := readFiles(t, dir)
	upgraded, kept := after[storage.FileName], after.names(storage.FileName + ".replaced-")[0]
	linked := before.with(kept, before[storage.FileName])
	for name, step := range map[string]files{
		"kept beside":          linked,
		"half of the new file": linked.with(storage.FileName+".new", upgraded[:len(upgraded)/2]),
		"half of its making":   linked.with(storage.FileName+".new.new", upgraded[:len(upgraded)/2]),
		"the new file":         linked.with(storage.FileName+".new", upgraded),
		"its name":             linked.with(storage.FileName, upgraded),
		"half a watermark":     linked.with(storage.FileName, upgraded).with(markName+".new", []byte("LKW")),
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			step.into(t, dir)
			db := mustOpen(t, dir, storage.Options{})
			checkUpgraded(t, db)
			mustClose(t, reopen(t, db, dir, storage.Options{}))
			if left := readFiles(t, dir).names(storage.FileName + ".new"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A format without checksums: what can't be read is refused, and stays as it is,
// or is put into quarantine where not even its format can be told.
func TestUpgradeOfDamage(t *testing.T) {
	good := fixture1(t)[storage.FileName]
	flip := func(text string, offset int) []byte {
		b := bytes.Clone(good)
		for at := 0; ; at++ { // wherever the text stands
			i := bytes.Index(b[at:], []byte(text))
			if i < 0 {
				return b
			}
			at += i
			b[at+offset] ^= 0x40
		}
	}
	if bytes.Equal(good, flip("key_fixture_live", 4)) {
		t.Fatal("the fixture has no such key")
	}
	for name, b := range map[string][]byte{
		"cut off":          good[:5*4096],
		"one page":         good[:4096],
		"an id":            flip("key_fixture_live", 4),
		"a length":         flip("key_fixture_live", -1),
		"a status":         flip("suspended", 0),
		"both meta pages":  append(make([]byte, 8192), good[8192:]...),
		"zeros in the end": append(bytes.Clone(good[:12288]), make([]byte, len(good)-12288)...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			f := files{storage.FileName: b}
			f.into(t, dir)
			for range 2 {
				_, err := storage.Open(dir, storage.Options{})
				if err == nil || !strings.Contains(err.Error(), dir) {
					t.Fatalf("error %v", err)
				}
			}
			names := readFiles(t, dir).names("")
			if len(names) != 1 || !bytes.Equal(readFiles(t, dir)[names[0]], b) {
				t.Errorf("in the folder: %v", names)
			}
			bad := filepath.Join(t.TempDir(), "bad")
			if err := os.WriteFile(bad, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s := newScene(t)
			if _, err := storage.Restore(s.dir, bad, storage.Options{}); err == nil || !s.now.files.same(readFiles(t, s.dir)) {
				t.Errorf("as a backup: %v", err)
			}
		})
	}
}

// The file that a restore replaces may be of the first format, and still tell
// what it knows to be revoked.
func TestRestoreOverAnEarlierFormat(t *testing.T) {
	dir := storagetest.Dir(t)
	fixture1(t).into(t, dir)
	backup := filepath.Join(t.TempDir(), "backup")
	// Made elsewhere, when the key wasn't revoked: a key of the same id.
	other := storagetest.New(t)
	r, _ := issue(t)
	r.ID = "key_fixture_revoked"
	commit(t, other, storage.Change{Keys: []*key.Record{r}, Tenants: []*directory.Tenant{{ID: "org:o_2"}}})
	backUp(t, other, backup)
	done, db := restore(t, dir, backup, storage.Options{})
	if lookUp(db, r.ID).Revoked.IsZero() || len(done.Withdrawn) != 1 || !done.Unknown || done.Known.Revision != 8 {
		t.Errorf("it tells %+v", done)
	}
	if kept, err := os.ReadFile(done.Replaced); err != nil || !bytes.Equal(kept, fixture1(t)[storage.FileName]) {
		t.Errorf("the former file isn't kept: %v", err)
	}
	mustClose(t, reopen(t, db, dir, storage.Options{}))
}
