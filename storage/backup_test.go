package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// verified returns the report of a file that must be whole.
func verified(t *testing.T, path string) *storage.Report {
	t.Helper()
	r, err := storage.Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Errorf("%s: %v", path, p)
	}
	return r
}

func TestBackupUnderWrites(t *testing.T) {
	db := storagetest.New(t)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for n := range 3 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c := storage.Change{Policies: map[string][]byte{fmt.Sprint(n): fmt.Append(nil, i)}}
				if _, err := db.Commit(context.Background(), c); err != nil {
					t.Errorf("writing: %v", err)
					return
				}
			}
		})
	}
	folder, newest := t.TempDir(), uint64(0)
	for i := range 10 {
		before := db.Position()
		path := filepath.Join(folder, fmt.Sprint(i))
		at := backUp(t, db, path)
		if at.Revision < before.Revision {
			t.Errorf("the backup is of %v, begun at %v", at, before)
		}
		newest = max(newest, at.Revision)
		r := verified(t, path)
		if r.Position != at || r.Format != 2 || r.LogFloor != 1 || at.Revision > 0 && r.Policies == 0 || r.Path != path {
			t.Errorf("the backup of %v: %+v", at, r)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != r.Bytes {
			t.Errorf("its file: %v, %v", info.Mode(), err)
		}
	}
	close(stop)
	writers.Wait()
	// A backup may have the revision that is just being written.
	if at := db.Position().Revision; newest > at {
		t.Errorf("a backup is of revision %d, the store at %d", newest, at)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 10 {
		t.Errorf("files: %v, %v", left, err)
	}
}

func TestBackupRefuses(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	commit(t, db, storage.Change{Tenants: []*directory.Tenant{{ID: "org:o_1"}}})
	folder := t.TempDir()
	there := filepath.Join(folder, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithTimeout(context.Background(), -time.Second)
	defer cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		path string
		want error
	}{
		"a file that is there": {context.Background(), there, os.ErrExist},
		"a link that is there": {context.Background(), filepath.Join(folder, "link"), os.ErrExist},
		"the store itself":     {context.Background(), filepath.Join(dir, storage.FileName), os.ErrExist},
		"no folder":            {context.Background(), filepath.Join(folder, "none", "backup"), os.ErrNotExist},
		"no time left":         {over, filepath.Join(folder, "backup"), context.DeadlineExceeded},
	} {
		if _, err := db.Backup(test.ctx, test.path); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	left, err := os.ReadDir(folder)
	if b, e := os.ReadFile(there); len(left) != 2 || err != nil || e != nil || string(b) != "mine" {
		t.Errorf("files: %v, %v, %v", left, err, e)
	}
	mustClose(t, db)
	if _, err := db.Backup(context.Background(), filepath.Join(folder, "backup")); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestVerify(t *testing.T) {
	s := newScene(t)
	newest := filepath.Join(s.dir, storage.FileName)
	r := verified(t, newest)
	if r.Position != s.now.position || r.Keys != 2 || r.Tenants != 1 || r.Policies != 1 || r.Principals != 0 || r.LogFloor != 1 || r.Pages == 0 {
		t.Errorf("%+v", r)
	}
	if !s.now.files.same(readFiles(t, s.dir)) {
		t.Error("it changed the file")
	}
	bad := bytes.Clone(s.now.files[storage.FileName])
	bad[bytes.LastIndex(bad, []byte("shortkit"))] ^= 1
	for name, test := range map[string]struct {
		file []byte
		want string // of a problem
	}{
		"a bit":        {bad, "checksum"},
		"cut off":      {bad[:8192], ""},
		"first format": {fixture1(t)[storage.FileName], "none"},
		"empty":        {[]byte{}, ""},
		"else":         {bytes.Repeat([]byte("else"), 5000), ""},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, test.file, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := storage.Verify(path)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want == "none":
			if len(r.Problems) > 0 || r.Format != 1 {
				t.Errorf("%s: %+v", name, r)
			}
		case len(r.Problems) == 0 || !strings.Contains(errors.Join(r.Problems...).Error(), test.want):
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := storage.Verify(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestVerifyFolder(t *testing.T) {
	s := newScene(t)
	bad := bytes.Clone(s.now.files[storage.FileName])
	bad[bytes.LastIndex(bad, []byte("shortkit"))] ^= 1
	gap := bytes.Clone(s.now.files[markName])
	gap[80] ^= 1
	for name, test := range map[string]struct {
		files
		kind error  // of the only problem
		want string // in its text
	}{
		"whole":               {s.now.files, nil, ""},
		"older":               {s.now.files.with(storage.FileName, s.old.files[storage.FileName]), storage.ErrRollback, s.revoked},
		"no watermark":        {s.now.files.with(markName, nil), storage.ErrUnproven, "missing"},
		"an older watermark":  {s.now.files.with(markName, s.old.files[markName]), storage.ErrUnproven, "isn't known"},
		"damaged":             {s.now.files.with(storage.FileName, bad), nil, "checksum"},
		"a gap in watermark":  {s.now.files.with(markName, gap), nil, "the watermark"},
		"the former's format": {fixture1(t), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storagetest.Dir(t)
			test.into(t, dir)
			r, err := storage.VerifyFolder(dir, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if !test.same(readFiles(t, dir)) {
				t.Error("it changed the folder")
			}
			all := errors.Join(r.Problems...)
			switch {
			case test.want == "":
				if all != nil {
					t.Error(all)
				}
			case all == nil || !strings.Contains(all.Error(), test.want) || test.kind != nil && !errors.Is(all, test.kind):
				t.Errorf("problems %v", all)
			}
		})
	}
	for name, f := range map[string]files{
		"gone":       s.now.files.with(storage.FileName, nil),
		"quarantine": {storage.FileName + ".damaged-20260301T120000.000000Z-checksum": bad},
	} {
		dir := storagetest.Dir(t)
		f.into(t, dir)
		if _, err := storage.VerifyFolder(dir, time.Second); !errors.Is(err, storage.ErrMissing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := storage.VerifyFolder(storagetest.Dir(t), time.Second); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	dir := storagetest.Dir(t)
	storagetest.Open(t, dir)
	if _, err := storage.VerifyFolder(dir, time.Millisecond); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("open: %v", err)
	}
}

// A backup has the tokens that may be shown again, and they can be after a restore.
func TestBackupHasTheTokens(t *testing.T) {
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir)
	r, token := issue(t)
	commit(t, db, storage.Change{Keys: []*key.Record{r}, Reveal: map[string]key.Token{r.ID: token}})
	backup := filepath.Join(t.TempDir(), "backup")
	backUp(t, db, backup)
	for _, rotated := range []bool{false, true} {
		if rotated {
			db = mustOpen(t, dir, storage.Options{})
			_, secret := minted(t)
			next, err := lookUp(db, r.ID).Rotate(secret, 0, start)
			if err != nil {
				t.Fatal(err)
			}
			commit(t, db, storage.Change{Keys: []*key.Record{next}})
		}
		mustClose(t, db)
		_, db := restore(t, dir, backup, storage.Options{})
		got, kept, err := db.RevealedToken(r.ID)
		if err != nil || kept == rotated || kept && got.Reveal() != token.Reveal() {
			t.Errorf("rotated %v: kept %v, %v", rotated, kept, err)
		}
		mustClose(t, db)
	}
}
