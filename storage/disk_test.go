//go:build linux && (amd64 || arm64)

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/internal/faults"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// smallDisk is a disk in memory with a file that takes up the room.
type smallDisk struct {
	t       *testing.T
	dir     string
	ballast *os.File
	size    int64
}

// newSmallDisk is for an isolated child.
func newSmallDisk(t *testing.T, bytes int64) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	faults.GiveUp(faults.Tmpfs(dir, bytes))
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(ballast.Close(), syscall.Unmount(dir, syscall.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	return &smallDisk{t: t, dir: dir, ballast: ballast}
}

// leave takes up all room but so many pages.
func (d *smallDisk) leave(pages int64) {
	d.t.Helper()
	for {
		n, err := d.ballast.WriteAt(emptyPage, d.size)
		d.size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
	d.size = max(0, d.size-pages*int64(len(emptyPage)))
	if err := d.ballast.Truncate(d.size); err != nil {
		d.t.Fatal(err)
	}
}

// Each of many writes finds the disk full, with a little more room at each
// attempt, so that it ends at each stage of a write. What is refused isn't
// seen; what was acknowledged is; and room is all that is needed to go on.
func TestDiskFullAtEachCommit(t *testing.T) {
	inFaultyChild(t, func() {
		commits := 100
		if testing.Short() {
			commits = 10
		}
		if thorough() {
			commits = 500
		}
		d := newSmallDisk(t, 96<<20)
		w := newWorld(d.dir, t.Errorf)
		w.limit = 100_000
		if err := prepares(opens, issues("base", 0, 20, 5), tenant("org:o_1"))(w); err != nil {
			t.Fatal(err)
		}
		tally, most := map[string]int{}, int64(0)
		// Some find room in pages that an earlier attempt has taken.
		i := 0
		for ; tally["refused at first"] < commits && i < 4*commits; i++ {
			name := fmt.Sprint("commit ", i)
			refusals := 0
			for pages := int64(0); !w.written[name]; pages++ {
				d.leave(pages)
				err := w.commit(name, func(c contents) storage.Change { return growing(i, c) })
				if err == nil {
					most = max(most, pages)
					continue
				}
				refusals++
				tally[stageOf(err)]++
				switch {
				case !strings.Contains(err.Error(), syscall.ENOSPC.Error()): // bbolt keeps no more of some
					t.Fatalf("%s: not for lack of room: %v", name, err)
				case pages > 200:
					t.Fatalf("%s: refused with %d free pages: %v", name, pages, err)
				case pages == 0 && i%10 == 0:
					recovers(t, w, d, tally)
				}
			}
			if refusals > 0 {
				tally["refused at first"]++
			}
			if i%50 == 0 {
				again(t, w, d)
			}
		}
		again(t, w, d)
		if err := w.close(); err != nil {
			t.Error(err)
		}
		t.Logf("%d writes, with %d pages of room at most: %s; %s", i, most, counts(tally), counts(w.tally))
		if tally["refused at first"] < commits {
			t.Error("too few to mean anything")
		}
	}, faults.Isolate)
}

// growing is a write that needs new pages.
func growing(i int, c contents) storage.Change {
	r, token := numbered(1000 + i)
	ch := storage.Change{
		Keys:     []*key.Record{r},
		Policies: map[string][]byte{fmt.Sprint("policy-", i): []byte(strings.Repeat("p", 9000+i%7*3000))},
		Reveal:   map[string]key.Token{},
	}
	if i%2 == 0 {
		ch.Reveal[r.ID] = token
	}
	if old := c.keys[numberedID(1000+i-3)]; old != nil {
		ch.Keys = append(ch.Keys, old.Revoke(start))
	}
	return ch
}

// stageOf is where a write was refused.
func stageOf(err error) string {
	switch text := err.Error(); {
	case errors.Is(err, storage.ErrFailed):
		return "ErrFailed"
	case strings.Contains(text, "the watermark"):
		return "ErrDisk at the watermark"
	default:
		return "ErrDisk at the store"
	}
}

// recovers looks after a store on a full disk: in vain, and then with room.
func recovers(t *testing.T, w *world, d *smallDisk, tally map[string]int) {
	t.Helper()
	if err := w.mend(); !errors.Is(err, storage.ErrDisk) {
		t.Errorf("Mend on a full disk: %v", err)
	}
	if _, err := w.db.Backup(context.Background(), filepath.Join(d.dir, "copy")); err == nil || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		t.Errorf("Backup to a full disk: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(d.dir, "copy*")); len(left) > 0 || err != nil {
		t.Errorf("Backup to a full disk left %v, %v", left, err)
	}
	d.leave(1000)
	if err := w.mend(); err != nil {
		t.Errorf("Mend with room: %v", err)
	}
	tally["mended"]++
}

// again opens the store again and compares it with the map.
func again(t *testing.T, w *world, d *smallDisk) {
	t.Helper()
	d.leave(1000)
	if err := errors.Join(w.db.Check(), w.close(), w.open()); err != nil {
		t.Fatal(err)
	}
	d.leave(0)
	w.see("on a full disk")
}
