package storage_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// -update writes the fixture of the newest format anew. It is for changes before
// a version that writes this format is released; later ones need another format.
var update = flag.Bool("update", false, "write testdata/format2.* anew")

// format2 is where the fixture's files are: a store that the second format's
// first version wrote, with what the fixture of the first format has.
var format2 = map[string]string{storage.FileName: "format2.db.gz", markName: "format2.watermark.gz"}

// format2Digest is what the fixture's objects add up to: a sum that changes
// makes every store that was ever written a damaged one.
const format2Digest = "6d07c1b0a1d1f233ac7da36fe85eac0b189ec694472573f3c40a6d97b7319692"

func TestFormat2(t *testing.T) {
	if *update {
		writeFormat2(t)
	}
	dir, f := storagetest.Dir(t), files{}
	for name, packed := range format2 {
		f[name] = fixture(t, packed)
	}
	f.into(t, dir)
	db := mustOpen(t, dir, storage.Options{})
	checkFixture(t, db)
	if at := db.Position(); at.Revision != 9 || at.Digest.String() != format2Digest {
		t.Errorf("it is at revision %d with %s", at.Revision, at.Digest)
	}
	entries, err := db.Log(0, 100)
	if err != nil || len(entries) != 9 || entries[8].GetAction() != "directory.put" || len(entries[8].GetPuts()) != 1 {
		t.Errorf("log: %v, %v", entries, err)
	}
	if now := readFiles(t, dir); !bytes.Equal(now[storage.FileName], f[storage.FileName]) {
		t.Error("opened, the file has changed")
	}
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_9"}}})
	if err := db.Check(); err != nil {
		t.Errorf("check: %v", err)
	}
	mustClose(t, reopen(t, db, dir, storage.Options{}))

	// Its watermark is read too: without the newest revision the file is older.
	readFiles(t, dir).with(storage.FileName, f[storage.FileName]).into(t, dir)
	if _, err := storage.Open(dir, storage.Options{}); !errors.Is(err, storage.ErrRollback) {
		t.Errorf("an older file: %v", err)
	}
}

// writeFormat2 makes the fixture: the former format's, taken over, and one
// revision that has a mark of its own.
func writeFormat2(t *testing.T) {
	t.Helper()
	dir := storagetest.Dir(t)
	fixture1(t).into(t, dir)
	db := mustOpen(t, dir, storage.Options{})
	ada := *dump(db).principals["user:ada"]
	ada.Suspended = true
	commit(t, db, storage.Change{Action: "directory.put", Principals: []*directory.Principal{&ada}})
	mustClose(t, db)
	for name, b := range readFiles(t, dir) {
		packed, wanted := format2[name]
		if !wanted {
			continue
		}
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", packed), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
