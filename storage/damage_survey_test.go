package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// survey finds out which pages of the newest file are in use, and fails for a
// store that is too simple to be worth damaging.
func (g *golden) survey(t *testing.T) {
	newest := g.newest()
	file, err := boltfile.New(bytes.NewReader(newest.file), int64(len(newest.file)))
	if err != nil {
		t.Fatal(err)
	}
	g.page, g.used = file.Meta().PageSize, map[int]bool{0: true, 1: true}
	branches, overflows := 0, 0
	reader := &pagesRead{newest.file, g.page, map[int]bool{}}
	file, err = boltfile.New(reader, int64(len(newest.file)))
	if err != nil {
		t.Fatal(err)
	}
	stats, err := file.Walk(func(string, []byte, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for id := range reader.pages {
		g.used[id] = true
		if page := newest.file[id*g.page:]; binary.NativeEndian.Uint64(page) == uint64(id) {
			if binary.NativeEndian.Uint16(page[8:]) == 1 {
				branches++
			}
			if binary.NativeEndian.Uint32(page[12:]) > 0 {
				overflows++
			}
		}
	}
	var kinds struct{ live, revoked, rotated, graced, disabled int }
	for _, r := range newest.truth.keys {
		switch n := len(r.Secrets); {
		case !r.Revoked.IsZero():
			kinds.revoked++
		case r.Disabled:
			kinds.disabled++
		case n > 1 && r.Secrets[n-2].Until.After(r.Secrets[n-1].Created):
			kinds.graced++
		case n > 1:
			kinds.rotated++
		default:
			kinds.live++
		}
	}
	free := stats.Pages - stats.Reachable
	t.Logf("%.4x: %d pages, %d free, %d branches, %d overflows, depth %d; %d bytes of watermark; keys %+v, %d tokens, %d log entries",
		sha256.Sum256(newest.file), stats.Pages, free, branches, overflows, stats.Depth, len(bytes.TrimRight(newest.marks, "\x00")), kinds, len(newest.truth.tokens), len(newest.truth.log))
	if free < 5 || branches < 3 || overflows < 2 || kinds.live*kinds.revoked*kinds.rotated*kinds.graced*kinds.disabled == 0 ||
		len(newest.truth.tokens) < 20 || len(newest.truth.log) != goldenLog || len(newest.truth.tenants) < 20 || uint64(len(g.used)) != stats.Reachable {
		t.Fatal("the golden store lacks something")
	}
}

// pagesRead notes which pages are read.
type pagesRead struct {
	file  []byte
	page  int
	pages map[int]bool
}

func (r *pagesRead) ReadAt(b []byte, at int64) (int, error) {
	for p := int(at) / r.page; p <= (int(at)+len(b)-1)/r.page; p++ {
		r.pages[p] = true
	}
	return bytes.NewReader(r.file).ReadAt(b, at)
}
