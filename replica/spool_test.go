package replica

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func newTestSpools(t *testing.T, options ...storage.Options) (*spools, string) {
	t.Helper()
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir, options...)
	for n := range 50 {
		commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n)}})
	}
	s := newSpools(db, dir)
	t.Cleanup(s.close)
	return s, dir
}

func get(t *testing.T, s *spools) *spool {
	t.Helper()
	one, err := s.get(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// count returns how many snapshots were made.
func (s *spools) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

// usable reports whether the file of a snapshot is open.
func usable(one *spool) bool {
	_, err := one.file.Stat()
	return !errors.Is(err, os.ErrClosed)
}

// One snapshot is made for all who come while it will do, and its file has no name.
func TestOneSnapshotForMany(t *testing.T) {
	s, dir := newTestSpools(t)
	all := make([]*spool, 20)
	var coming sync.WaitGroup
	for i := range all {
		coming.Go(func() {
			one, err := s.get(t.Context(), false)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = one
		})
	}
	coming.Wait()
	if s.made != 1 {
		t.Errorf("%d snapshots were made", s.made)
	}
	if _, err := os.Lstat(filepath.Join(dir, spoolName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file has its name: %v", err)
	}
	one := all[0]
	b, err := io.ReadAll(io.NewSectionReader(one.file, 0, one.bytes+100))
	if err != nil || int64(len(b)) != one.bytes || sha256.Sum256(b) != one.sum || one.Position != s.db.Position() || one.Objects != 50 {
		t.Errorf("%d bytes of %d, %v, %+v", len(b), one.bytes, err, one.Exported)
	}
	// Entries lead on from it: it still will do.
	commit(t, s.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(100)}})
	if again := get(t, s); again != one {
		t.Error("another one was made")
	}
	for range len(all) + 1 {
		s.release(one)
	}
	if !usable(one) {
		t.Error("it is gone, and will do for the next")
	}
}

// A snapshot that nobody has asked for in a while is let go of, and not while somebody reads it.
func TestASnapshotIsLetGoOf(t *testing.T) {
	s, _ := newTestSpools(t)
	one := get(t, s)
	s.tidy(one.used.Add(spoolIdle))
	if s.newest != one {
		t.Error("it was let go of early")
	}
	s.tidy(one.used.Add(spoolIdle + 1))
	if s.newest != nil || !usable(one) {
		t.Error("it isn't let go of, or is gone while it is read")
	}
	s.release(one)
	if usable(one) {
		t.Error("nobody reads it, and its file is open")
	}
	if next := get(t, s); next == one || s.made != 2 {
		t.Errorf("%d were made", s.made)
	}
}

// One that entries don't lead on from any more is replaced; who reads it goes on.
func TestASnapshotIsReplaced(t *testing.T) {
	s, _ := newTestSpools(t, storage.Options{LogBytes: 4 << 10})
	one := get(t, s)
	for n := range 100 {
		commit(t, s.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(100 + n)}})
	}
	next := get(t, s)
	if next == one || next.Position != s.db.Position() || s.made != 2 {
		t.Errorf("the log was trimmed, and %s is handed out", next.Position)
	}
	if !usable(one) {
		t.Error("it is gone while it is read")
	}
	s.release(one)
	if usable(one) || !usable(next) {
		t.Error("the wrong one is gone")
	}
	s.release(next)
	s.close()
	if usable(next) {
		t.Error("it is still open after the end")
	}
}

// Who gives up while another makes one doesn't wait, and a failure leaves nothing.
func TestASnapshotThatCannotBeMade(t *testing.T) {
	s, dir := newTestSpools(t)
	s.turn <- struct{}{}
	if _, err := s.get(now(t), false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-s.turn
	if _, err := s.make(now(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
	obstacle := filepath.Join(dir, spoolName, "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.get(t.Context(), false); err == nil {
		t.Error("it was made where nothing can be")
	}
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	// What a crash has left is in nobody's way.
	if err := os.WriteFile(filepath.Join(dir, spoolName), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.release(get(t, s))
}
