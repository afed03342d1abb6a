package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

func TestSince(t *testing.T) {
	now := start
	hub := storagetest.New(t, storage.Options{LogEntries: 5, Now: func() time.Time { return now }})
	begin := hub.Position()
	var positions []storage.Position
	positions = append(positions, begin)
	if entries, err := hub.Since(begin, 1); err != nil || len(entries) > 0 {
		t.Errorf("of a store without a write: %v, %v", entries, err)
	}
	add := func(n int) {
		for range n {
			positions = append(positions, commit(t, hub, storage.Change{Policies: map[string][]byte{"p": make([]byte, 1000)}}))
		}
	}
	add(4)
	for revision, at := range positions {
		for bytes, want := range map[int]int{-1: 1, 0: 1, 1: 1, 1000: 1, 1001: 2, 2000: 2, 1 << 20: 4} {
			entries, err := hub.Since(at, bytes)
			if want = min(want, 4-revision); err != nil || len(entries) != want {
				t.Errorf("after %d, %d bytes: %d entries, want %d; %v", revision, bytes, len(entries), want, err)
			}
			for i, e := range entries {
				if e.GetRevision() != uint64(revision+1+i) {
					t.Errorf("after %d: %d", revision, e.GetRevision())
				}
			}
		}
	}
	changed := func(at storage.Position, f func(*storage.Position)) storage.Position { f(&at); return at }
	for name, test := range map[string]struct {
		at   storage.Position
		want error
	}{
		"nothing":               {storage.Position{}, storage.ErrTrimmed},
		"ahead":                 {changed(positions[4], func(p *storage.Position) { p.Revision++ }), storage.ErrDiverged},
		"of a later epoch":      {changed(positions[2], func(p *storage.Position) { p.Epoch++ }), storage.ErrDiverged},
		"of an older epoch":     {changed(positions[2], func(p *storage.Position) { p.Epoch-- }), storage.ErrDiverged},
		"other objects":         {changed(positions[2], func(p *storage.Position) { p.Digest[9]++ }), storage.ErrDiverged},
		"other objects, newest": {changed(positions[4], func(p *storage.Position) { p.Digest[9]++ }), storage.ErrDiverged},
		"objects of nothing":    {changed(positions[0], func(p *storage.Position) { p.Digest[9]++ }), storage.ErrDiverged},
		"another beginning":     {changed(positions[0], func(p *storage.Position) { p.Epoch-- }), storage.ErrDiverged},
	} {
		if entries, err := hub.Since(test.at, 1<<20); !errors.Is(err, test.want) || len(entries) > 0 {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	add(6) // and the log is trimmed to 5
	for revision, at := range positions {
		entries, err := hub.Since(at, 1<<20)
		if kept := revision >= 6; kept != (err == nil) || !kept && !errors.Is(err, storage.ErrTrimmed) || kept && len(entries) != 10-revision {
			t.Errorf("trimmed, after %d: %d entries, %v", revision, len(entries), err)
		}
	}
	storagetest.Close(t, hub)
	if _, err := hub.Since(positions[8], 1); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// An export of a damaged file says so, whatever bbolt makes of its pages.
func TestExportOfADamagedFile(t *testing.T) {
	for name, damage := range map[string]func(*bbolt.Tx) error{
		"a value": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("policies")).Put([]byte("shortkit"), []byte("else"))
		},
		"a name that is gone": func(tx *bbolt.Tx) error { return tx.Bucket([]byte("policies")).Delete([]byte("shortkit")) },
		"an older value":      func(tx *bbolt.Tx) error { return storage.Put(tx, "policies", "shortkit", "0") },
		"the position":        func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("position")) },
	} {
		hub := mustOpen(t, storagetest.Dir(t), storage.Options{})
		written(t, hub)
		if err := hub.Bolt().Update(damage); err != nil {
			t.Fatal(err)
		}
		if _, err := hub.Export(background, io.Discard); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		mustClose(t, hub)
	}
}

// An export has every object once, in order, and no token.
func TestExport(t *testing.T) {
	hub := storagetest.New(t)
	written(t, hub)
	shown, token := issue(t)
	commit(t, hub, storage.Change{Keys: []*key.Record{shown}, Reveal: map[string]key.Token{shown.ID: token}, Principals: []*directory.Principal{{ID: "user:ada"}}})
	e, b := exported(t, hub)
	puts := putsIn(t, b)
	if e.Objects != uint64(len(puts)) || len(puts) != 6 {
		t.Errorf("%d objects, told %d", len(puts), e.Objects)
	}
	if bytes.Contains(b, []byte(token.Reveal())) {
		t.Error("a token is exported")
	}
	if !slices.IsSortedFunc(puts, func(a, b *logv1.Put) int {
		if a.GetKind() != b.GetKind() {
			return int(a.GetKind() - b.GetKind())
		}
		return strings.Compare(a.GetName(), b.GetName())
	}) {
		t.Error("out of order")
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := hub.Export(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	full := errors.New("full")
	if _, err := hub.Export(background, writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	commit(t, hub, storage.Change{RemoveTenants: []string{"org:o_1"}}) // nothing is held
	storagetest.Close(t, hub)
	if _, err := hub.Export(background, io.Discard); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// putsIn takes an export apart.
func putsIn(t failer, b []byte) (puts []*logv1.Put) {
	t.Helper()
	for r := bytes.NewReader(b); ; {
		var p logv1.Put
		err := protodelim.UnmarshalFrom(r, &p)
		if errors.Is(err, io.EOF) {
			return puts
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		puts = append(puts, &p)
	}
}
