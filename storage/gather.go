package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/table"
)

// objects is all objects of a file, decoded, for what is done once in a while.
type objects struct {
	keys       map[string]*key.Record
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
}

// revised is a key and the revision that it has.
type revised struct {
	id       string
	revision uint64
}

// gathered is what objects come to: of one worker, and then of all.
type gathered struct {
	digest         Digest
	keys           *table.Builder
	tenants        *table.Builder
	principals     *table.Builder
	documents      map[string][]byte
	all, unrevoked int     // keys
	oldest, newest revised // of the keys
}

// gatherer verifies objects and lays them out in memory. A start waits for it:
// so one goroutine reads the file, and hands what it read in batches to workers
// that check, decode and pack.
type gatherer struct {
	gathered
	how    reading
	faults *problems

	batch   *batch
	batches chan *batch
	spare   sync.Pool
	workers sync.WaitGroup

	mu     sync.Mutex // guards what follows, and the merging of what workers gathered
	shapes *shapes
	whole  *objects
	sums   map[object]*[sha256.Size]byte // of the objects, for a deep reading
}

// batch is objects of one kind after each other, each as digestOf hashes it:
// its head, name and value, and then the checksum of the value.
type batch struct {
	kind  logv1.Kind
	bytes []byte
	ends  []int // of each object
}

const (
	batchBytes = 128 << 10
	headSize   = 8
)

func newGatherer(how reading, faults *problems) *gatherer {
	g := &gatherer{how: how, faults: faults, shapes: newShapes(), batches: make(chan *batch, 4)}
	g.spare.New = func() any { return &batch{} }
	if how.objects {
		g.whole = &objects{map[string]*key.Record{}, map[string]*directory.Tenant{}, map[string]*directory.Principal{}}
	}
	if how.deep {
		g.sums = map[object]*[sha256.Size]byte{}
	}
	g.gathered = newGathered()
	for range min(runtime.GOMAXPROCS(0), 4) {
		g.workers.Go(g.work)
	}
	return g
}

func newGathered() gathered {
	return gathered{
		keys: table.NewBuilder(rowDigest), tenants: table.NewBuilder(directory.PackedName), principals: table.NewBuilder(directory.PackedName),
		documents: map[string][]byte{},
	}
}

// add takes an object that was read, with its checksum.
func (g *gatherer) add(kind logv1.Kind, name, sealed []byte) {
	if b := g.batch; b != nil && (b.kind != kind || len(b.bytes)+len(name)+len(sealed) > batchBytes) {
		g.flush()
	}
	if g.batch == nil {
		g.batch = g.spare.Get().(*batch)
		g.batch.kind = kind
	}
	b := g.batch
	b.bytes = appendHead(b.bytes, kind, len(name))
	b.bytes = append(append(b.bytes, name...), sealed...)
	b.ends = append(b.ends, len(b.bytes))
}

func (g *gatherer) flush() {
	if g.batch != nil {
		g.batches <- g.batch
		g.batch = nil
	}
}

// wait waits until all that was added is gathered. No worker is left then.
func (g *gatherer) wait() {
	g.flush()
	close(g.batches)
	g.workers.Wait()
}

// work gathers batches until there are no more.
func (g *gatherer) work() {
	w := &worker{g: g, gathered: newGathered(), numbers: map[string]uint32{}}
	for b := range g.batches {
		// What no byte of a file should bring about ends in an error, as all that
		// is wrong with it.
		if err := contain(func() error { w.batch(b); return nil }); err != nil {
			g.faults.wrong("record", "%s: %w", bucketOf(b.kind), err)
		}
		b.bytes, b.ends = b.bytes[:0], b.ends[:0]
		g.spare.Put(b)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.join(&w.gathered)
	for n, uses := range w.uses {
		g.shapes.uses[n] += uses
	}
}

// join takes over what another gathered.
func (g *gathered) join(o *gathered) {
	g.digest.add(o.digest)
	g.keys.Join(o.keys)
	g.tenants.Join(o.tenants)
	g.principals.Join(o.principals)
	for name, document := range o.documents {
		g.documents[name] = document
	}
	g.all += o.all
	g.unrevoked += o.unrevoked
	g.revised(o.oldest)
	g.revised(o.newest)
}

func (g *gathered) revised(r revised) {
	if r.id == "" {
		return
	}
	if g.oldest.id == "" || r.revision < g.oldest.revision {
		g.oldest = r
	}
	if g.newest.id == "" || r.revision > g.newest.revision {
		g.newest = r
	}
}

// view returns the memory of what was gathered.
func (g *gatherer) view() *View {
	v := newView()
	var err error
	var twice *table.TwiceError
	if v.keys.rows, err = g.keys.Table(); errors.As(err, &twice) {
		k := keys{shapes: g.shapes.list}
		var f key.Facts
		k.facts(twice.Entry, &f)
		g.faults.wrong("record", "key %.64q: %w: mint another", f.ID, key.ErrDuplicate)
	}
	// Names of the file come once: they are those of a bucket.
	v.tenants, _ = g.tenants.Table()
	v.principals, _ = g.principals.Table()
	v.keys.shapes = g.shapes.list
	v.documents, v.all, v.unrevoked = g.documents, g.all, g.unrevoked
	return v
}

// appendHead appends what stands before name and value where an object is hashed.
func appendHead(b []byte, kind logv1.Kind, name int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(kind))
	return binary.LittleEndian.AppendUint32(b, uint32(name))
}
