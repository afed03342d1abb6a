package boltfile_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/latchkey/latchkey/storage/boltfile"
)

// FuzzWalk changes one stretch of a real file: with what, and whether the meta
// pages get right checksums again. Walk may find anything but must come to an
// end, within the file, and blame the file for it.
func FuzzWalk(f *testing.F) {
	_, kept := build(f, false)
	_, scanned := build(f, true)
	f.Add(true, uint32(0), []byte{}, true)
	f.Add(false, uint32(16), []byte{1, 2, 3}, true)
	f.Add(false, uint32(kept.root()*imagePage), bytes.Repeat([]byte{0xff}, 64), false)
	f.Add(true, uint32(kept.freelist()*imagePage+10), []byte{0xff, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, list bool, at uint32, with []byte, seal bool) {
		m := bytes.Clone(scanned)
		if list {
			m = bytes.Clone(kept)
		}
		copy(m[int(at)%len(m):], with)
		if seal {
			image(m).seal(0)
			image(m).seal(1)
		}
		walkAnything(t, m)
	})
}

// FuzzFile takes anything for a file.
func FuzzFile(f *testing.F) {
	_, kept := build(f, false)
	f.Add([]byte(kept))
	f.Add(bytes.Repeat([]byte{0}, 5000))
	f.Fuzz(walkAnything)
}

func walkAnything(t *testing.T, content []byte) {
	file, err := boltfile.New(bytes.NewReader(content), int64(len(content)))
	var keys int
	if err == nil {
		var stats boltfile.Stats
		stats, err = file.Walk(func(string, []byte, []byte) error { keys++; return nil })
		if stats.Reachable > uint64(len(content)/1024) || stats.Reachable > stats.Pages {
			t.Errorf("%+v in %d bytes", stats, len(content))
		}
	}
	if keys > len(content)/16 {
		t.Errorf("%d keys in %d bytes", keys, len(content))
	}
	var damage *boltfile.Damage
	if err != nil && !errors.As(err, &damage) {
		t.Errorf("got %v, want a Damage", err)
	}
}
