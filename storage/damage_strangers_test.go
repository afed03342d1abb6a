package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/watermark"
)

// strangerClasses put something in the place of the store's file.
var strangerClasses = []damageClass{
	{"file removed", one("removed", func(s *state) { s.file = nil })},
	{"file emptied", one("emptied", func(s *state) { s.file, s.size = s.file[:0], 0 })},
	{"file is something else", fileStrangers},
	{"file of another store", otherStores},
}

func fileStrangers(g *golden, _ *rand.Rand, _ int) iter.Seq[trial] {
	trials := []trial{{what: "text", damage: func(s *state) {
		s.file, s.size = append(s.file[:0], bytes.Repeat([]byte("some text\n"), 10_000)...), 0
	}}, {what: "zeros", damage: func(s *state) {
		clear(s.file)
	}}, {what: "its watermark", damage: func(s *state) {
		s.file, s.size = append(s.file[:0], s.marks...), 0
	}}}
	for _, s := range strangers {
		trials = append(trials, s.trial(storage.FileName))
	}
	return all(trials)
}

func otherStores(g *golden, random *rand.Rand, _ int) iter.Seq[trial] {
	var trials []trial
	for _, other := range others(g, random) {
		trials = append(trials, trial{what: other.what, damage: func(s *state) {
			s.file, s.size = append(s.file[:0], other.file...), 0
		}})
	}
	return all(trials)
}

// otherStore is a small store that isn't the golden one.
type otherStore struct {
	what        string
	file, marks []byte
}

// others makes stores that began earlier, later, and at the same moment, with
// no write, one, and as many as the golden one has had.
func others(g *golden, random *rand.Rand) []otherStore {
	var stores []otherStore
	epoch := g.newest().truth.position.Epoch
	for _, began := range []struct {
		what  string
		micro int64
	}{{"earlier", int64(epoch) - 1e9}, {"later", int64(epoch) + 1e9}, {"at the same time", int64(epoch)}} {
		for _, writes := range []uint64{0, 1, g.newest().truth.position.Revision} {
			s, err := g.makeOther(time.UnixMicro(began.micro), writes, random)
			if err != nil {
				panic(err) // which try turns into a failure
			}
			s.what = fmt.Sprintf("%s, with %d writes", began.what, writes)
			stores = append(stores, s)
		}
	}
	return stores
}

func (g *golden) makeOther(now time.Time, writes uint64, random *rand.Rand) (s otherStore, err error) {
	dir, err := os.MkdirTemp(g.folder, "other-")
	if err != nil {
		return s, err
	}
	dir = filepath.Join(dir, "data")
	db, err := storage.Open(dir, goldenOptions(now))
	if err != nil {
		return s, err
	}
	for range writes {
		c := storage.Change{Tenants: []*directory.Tenant{{ID: fmt.Sprintf("org:other_%d", random.Uint64())}}}
		if _, err := db.Commit(context.Background(), c); err != nil {
			return s, err
		}
	}
	if err := db.Close(); err != nil {
		return s, err
	}
	if s.file, err = os.ReadFile(filepath.Join(dir, storage.FileName)); err != nil {
		return s, err
	}
	s.marks, err = os.ReadFile(filepath.Join(dir, watermark.Name))
	return s, err
}
