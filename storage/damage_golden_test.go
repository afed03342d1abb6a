package storage_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/boltfile"
	"github.com/latchkey/latchkey/storage/watermark"
)

const (
	goldenKeys    = 300
	goldenMoments = 40  // revisions of which everything is kept
	goldenLog     = 120 // entries in the log, so that older ones have been trimmed
)

// golden is a store with a past, to be damaged.
type golden struct {
	moments []*snapshot // of the last revisions, oldest first
	folder  string      // for more stores
	page    int         // bytes
	used    map[int]bool
}

func (g *golden) newest() *snapshot { return g.moments[len(g.moments)-1] }

// pages is how many pages the newest file has below its high water mark.
func (g *golden) pages() int { return len(g.newest().file) / g.page }

// snapshot is a data folder at one revision, and what the store told then.
type snapshot struct {
	file  []byte // up to the high water mark
	size  int64  // of the file: zeros follow
	marks []byte
	truth truth
}

// truth is everything that a store tells.
type truth struct {
	contents
	latest   time.Time
	policies any
	log      []*logv1.Entry
	tokens   map[string]string // kept ones, by key id
}

// tell asks an open store for everything. An error is one of reading.
func tell(db *storage.DB) (truth, error) {
	t := truth{contents: dump(db), tokens: map[string]string{}}
	lost := ""
	db.View(func(v *storage.View) {
		t.latest, t.policies = v.Latest(), v.Policies()
		for id, r := range t.keys {
			if k, err := v.Key(id); err != nil || !sameKey(k, r) || !asStored(v, r) {
				lost = id
			}
		}
	})
	if lost != "" {
		return t, fmt.Errorf("key %s isn't found by its secret", lost)
	}
	for id := range t.keys {
		token, ok, err := db.RevealedToken(id)
		if err != nil {
			return t, err
		}
		if ok {
			t.tokens[id] = token.Reveal()
		}
	}
	var err error
	after := uint64(max(int64(t.position.Revision)-goldenLog, 0))
	t.log, err = db.Log(after, goldenLog+1)
	return t, err
}

// diff says what differs, in a word.
func (t truth) diff(o truth) string {
	switch diff := t.contents.diff(o.contents); {
	case diff != "":
		return diff
	case !t.latest.Equal(o.latest):
		return "time of the newest revision"
	case t.policies != o.policies:
		return "compiled policies"
	case !maps.Equal(t.tokens, o.tokens):
		return "kept tokens"
	case !slices.EqualFunc(t.log, o.log, func(a, b *logv1.Entry) bool { return proto.Equal(a, b) }):
		return "log"
	}
	return ""
}

// forgot reports whether of the kept tokens some are gone, and none is another.
func (t truth) forgot(o truth) bool {
	for id, token := range o.tokens {
		if t.tokens[id] != token {
			return false
		}
	}
	return len(o.tokens) < len(t.tokens)
}

// goldenOptions is how the golden store is opened, always. The clock stands.
func goldenOptions(now time.Time) storage.Options {
	return storage.Options{
		Now:        func() time.Time { return now },
		LogEntries: goldenLog,
		Compile: func(documents map[string][]byte) (any, error) {
			return fmt.Sprint(slices.Sorted(maps.Keys(documents))), nil
		},
	}
}

// builder makes a golden store.
type builder struct {
	t    *testing.T
	dir  string
	now  time.Time
	db   *storage.DB
	keys []string // ids, in the order of their making
}

// buildGolden makes a store in a folder and keeps what it was at its last
// revisions. For the same seed it holds the same.
func buildGolden(t *testing.T, dir string, seed uint64) *golden {
	t.Helper()
	g := &golden{folder: filepath.Dir(dir)}
	cryptotest.SetGlobalRandom(t, seed)
	b := &builder{t: t, dir: dir, now: start}
	b.open(storage.Options{})
	b.directory()
	for len(b.keys) < goldenKeys {
		b.issue(10)
	}
	for i := range 60 {
		b.step(i)
	}
	b.close()
	// A new lineage, so that the watermark is short and the log has two.
	if err := os.Remove(filepath.Join(dir, watermark.Name)); err != nil {
		t.Fatal(err)
	}
	b.open(storage.Options{AcceptRollback: true})
	for i := 60; len(g.moments) < goldenMoments; i++ {
		at := b.db.Position()
		if b.step(i); b.db.Position() != at { // not all steps change something
			g.moments = append(g.moments, b.snapshot())
		}
	}
	b.close()
	g.survey(t)
	return g
}

func (b *builder) open(o storage.Options) {
	b.t.Helper()
	base := goldenOptions(start)
	o.LogEntries, o.Compile, o.Now = base.LogEntries, base.Compile, func() time.Time {
		b.now = b.now.Add(time.Second)
		return b.now
	}
	var err error
	if b.db, err = storage.Open(b.dir, o); err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) close() {
	b.t.Helper()
	if err := b.db.Check(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.db.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) commit(c storage.Change) {
	b.t.Helper()
	c.Operator, c.Action = "peer:1000", "test"
	commit(b.t, b.db, c)
}

// directory makes what keys belong to.
func (b *builder) directory() {
	c := storage.Change{Policies: map[string][]byte{
		"cuneiform": bytes.Repeat([]byte("a line of a policy that takes several pages\n"), 400),
		"shortkit":  []byte("a short one"),
	}}
	for i := range 20 {
		c.Tenants = append(c.Tenants, &directory.Tenant{ID: fmt.Sprintf("org:o_%d", i), Plan: "starter"})
		c.Principals = append(c.Principals, &directory.Principal{
			ID: fmt.Sprintf("user:u_%d", i), Memberships: map[string]string{fmt.Sprintf("org:o_%d", i): "admin"},
		})
	}
	b.commit(c)
}

// issue makes keys, a third of which may be shown again.
func (b *builder) issue(n int) {
	c := storage.Change{Reveal: map[string]key.Token{}}
	for range n {
		token, secret := minted(b.t)
		r := key.Issue(key.Record{
			Policy: "shortkit", Type: "secret", Tenant: fmt.Sprintf("org:o_%d", len(b.keys)%20), Name: fmt.Sprint("key ", len(b.keys)),
			Scopes: []string{"content:read", "content:write"}, Expires: start.Add(24 * time.Hour),
		}, secret, b.now)
		if len(b.keys)%3 == 0 {
			c.Reveal[r.ID] = token
		}
		c.Keys = append(c.Keys, r)
		b.keys = append(b.keys, r.ID)
	}
	b.commit(c)
}

// step makes one revision of some kind.
func (b *builder) step(i int) {
	b.t.Helper()
	r := lookUp(b.db, b.keys[(i*37)%len(b.keys)])
	for n := 1; !r.Revoked.IsZero(); n++ {
		r = lookUp(b.db, b.keys[(i*37+n)%len(b.keys)])
	}
	token, secret := minted(b.t)
	var c storage.Change
	var err error
	next := r
	switch i % 10 {
	case 0, 5:
		next = r.Revoke(b.now)
	case 1:
		next, err = r.Rotate(secret, time.Hour, b.now)
	case 2:
		next, err = r.Rotate(secret, 0, b.now)
		c.Reveal = map[string]key.Token{r.ID: token}
	case 3, 9:
		b.issue(2)
		return
	case 4:
		next, err = r.Disable()
	case 6:
		c.Tenants = []*directory.Tenant{{ID: fmt.Sprintf("org:late_%d", i), Parent: "org:o_1", Suspended: i%20 < 10}}
		c.Principals = []*directory.Principal{{ID: fmt.Sprintf("user:late_%d", i), Permissions: map[string][]string{"org:o_1": {"content.read"}}}}
	case 7:
		c.RemoveTenants, c.RemovePrincipals = []string{fmt.Sprintf("org:late_%d", i-1)}, []string{fmt.Sprintf("user:late_%d", i-1)}
	case 8:
		c.Policies = map[string][]byte{"shortkit": fmt.Appendf(nil, "version %d", i)}
	}
	if err != nil {
		b.t.Fatalf("step %d: %v", i, err)
	}
	if next != r {
		c.Keys = []*key.Record{next}
	}
	b.commit(c)
}

// snapshot keeps the folder as it is, between two writes.
func (b *builder) snapshot() *snapshot {
	b.t.Helper()
	m := &snapshot{}
	var err error
	if m.truth, err = tell(b.db); err != nil {
		b.t.Fatal(err)
	}
	if m.marks, err = os.ReadFile(filepath.Join(b.dir, watermark.Name)); err != nil {
		b.t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(b.dir, storage.FileName))
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		b.t.Fatal(err)
	}
	meta := readMeta(b.t, f, info.Size())
	m.size = info.Size()
	m.file = make([]byte, int(meta.Pages)*meta.PageSize)
	if _, err := f.ReadAt(m.file, 0); err != nil {
		b.t.Fatal(err)
	}
	return m
}

func readMeta(t *testing.T, f *os.File, size int64) boltfile.Meta {
	t.Helper()
	file, err := boltfile.New(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return file.Meta()
}
