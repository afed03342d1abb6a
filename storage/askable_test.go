package storage

import (
	"path/filepath"
	"testing"
)

// A file that a write makes longer between a reader's look at it and what the reader makes of that isn't cut off.
func TestAFileThatGrowsMeanwhileIsNotCutOff(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.rewrite(); err != nil { // so that there is no room in it that nothing was written to
		t.Fatal(err)
	}
	long, err := db.measure()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), Change{Action: "test", Policies: map[string][]byte{"large": make([]byte, 1<<20)}}); err != nil {
		t.Fatal(err)
	}
	if err := db.askable(long); err != nil {
		t.Error(err)
	}
}
