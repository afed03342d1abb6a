package storage_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// backwards returns the first so many revisions of History.
func backwards(t *testing.T, db *storage.DB, before uint64, most int) (revisions []uint64, oldest storage.Oldest) {
	t.Helper()
	oldest, err := db.History(before, func(e *logv1.Entry) bool {
		revisions = append(revisions, e.GetRevision())
		return len(revisions) < most
	})
	if err != nil {
		t.Fatal(err)
	}
	return revisions, oldest
}

func TestHistory(t *testing.T) {
	now := start
	o := storage.Options{LogEntries: 5, Now: func() time.Time { return now }}
	db := mustOpen(t, storagetest.Dir(t), o)
	if got, oldest := backwards(t, db, 0, 1); len(got) > 0 || oldest != (storage.Oldest{}) {
		t.Errorf("of a store without a write: %v, back to %+v", got, oldest)
	}
	write := func() {
		now = now.Add(time.Minute)
		commit(t, db, storage.Change{Policies: map[string][]byte{"p": make([]byte, 1000)}})
	}
	for range 3 {
		write()
	}
	first := storage.Oldest{Revision: 1, At: start.Add(time.Minute)}
	for _, test := range []struct {
		before uint64
		most   int
		want   string
	}{
		{0, 9, "[3 2 1]"},
		{0, 1, "[3]"},
		{3, 9, "[2 1]"},
		{4, 9, "[3 2 1]"},
		{99, 2, "[3 2]"},
		{1, 9, "[]"},
	} {
		if got, oldest := backwards(t, db, test.before, test.most); fmt.Sprint(got) != test.want || oldest != first {
			t.Errorf("%d before %d: %v, back to %+v; want %s, back to %+v", test.most, test.before, got, oldest, test.want, first)
		}
	}
	for range 7 {
		write()
	}
	trimmed := storage.Oldest{Revision: 6, At: start.Add(6 * time.Minute)}
	for before, want := range map[uint64]string{0: "[10 9 8 7 6]", 8: "[7 6]", 6: "[]", 2: "[]"} {
		if got, oldest := backwards(t, db, before, 99); fmt.Sprint(got) != want || oldest != trimmed {
			t.Errorf("trimmed, before %d: %v, back to %+v; want %s, back to %+v", before, got, oldest, want, trimmed)
		}
	}

	// What is lost is said.
	if err := db.Bolt().Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("log")).Delete([]byte{0, 0, 0, 0, 0, 0, 0, 7})
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.History(0, func(*logv1.Entry) bool { return true }); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("without an entry: %v", err)
	}
	mustClose(t, db)
	if _, err := db.History(0, func(*logv1.Entry) bool { return true }); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Large entries are read some at a time, and writes aren't held up by who reads: the log may be trimmed meanwhile.
func TestHistoryWhileOthersWrite(t *testing.T) {
	db := storagetest.New(t, storage.Options{LogEntries: 8})
	write := func() { commit(t, db, storage.Change{Policies: map[string][]byte{"p": make([]byte, 400_000)}}) }
	for range 8 {
		write()
	}
	var got []uint64
	oldest, err := db.History(0, func(e *logv1.Entry) bool {
		if got = append(got, e.GetRevision()); len(got) == 2 {
			for range 5 { // revision 6 is the oldest then
				write()
			}
		}
		return true
	})
	if err != nil || fmt.Sprint(got) != "[8 7 6]" || oldest.Revision != 6 {
		t.Errorf("%v, back to %+v; %v", got, oldest, err)
	}
}
