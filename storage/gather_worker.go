package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/latchkey/latchkey/internal/alias"
	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// worker is one of those who gather. What it has to itself it need not lock.
type worker struct {
	gathered
	g       *gatherer
	scan    key.Scan
	numbers map[string]uint32 // of shapes, by name
	uses    []int             // by number
	name    []byte            // of a shape, while it is looked for
	last    string            // name of the shape that was looked for before
	number  uint32            // of that
	row     []byte
}

// batch verifies the objects of a batch and packs them.
func (w *worker) batch(b *batch) {
	prefix := crc32.Update(0, castagnoli, bucketOf(b.kind))
	start := 0
	for _, end := range b.ends {
		w.object(b.kind, prefix, b.bytes[start:end])
		start = end
	}
}

// object verifies an object of a batch and packs it.
func (w *worker) object(kind logv1.Kind, prefix uint32, hashed []byte) {
	length := int(binary.LittleEndian.Uint32(hashed[4:]))
	name, sealed := hashed[headSize:headSize+length], hashed[headSize+length:]
	o := object{kind, alias.String(name)} // as long as the batch
	end := len(sealed) - crc32.Size
	// The checksum is over the bucket, the length of the name, name and value.
	if end < 0 || binary.LittleEndian.Uint32(sealed[end:]) != crc32.Update(prefix, castagnoli, hashed[4:len(hashed)-crc32.Size]) {
		w.g.faults.wrong("checksum", "%s %.64q: %w", bucketOf(kind), o.name, errChecksum)
		return
	}
	w.digest.add(sha256.Sum256(hashed[:len(hashed)-crc32.Size]))
	value := sealed[:end:end]
	if err := w.pack(o, value); err != nil {
		w.g.faults.wrong("record", "%w", err)
		return
	}
	if w.g.how.deep {
		w.g.sum(o, value)
	}
}

func (w *worker) pack(o object, value []byte) error {
	if o.kind == logv1.Kind_KIND_KEY && !w.g.how.objects && len(value) <= objectMax {
		return w.key(o, value)
	}
	d := &delta{}
	// The name is cloned: what is decoded is kept, and the batch isn't.
	if err := d.add(&logv1.Put{Kind: o.kind, Name: string([]byte(o.name)), Value: value}); err != nil {
		return err
	}
	for _, r := range d.keys {
		if err := w.key(o, value); err != nil {
			return err
		}
		w.g.keep(func(all *objects) { all.keys[r.ID] = r })
	}
	for _, t := range d.tenants {
		w.row = t.AppendPacked(w.row[:0])
		w.tenants.Add(w.row)
		w.g.keep(func(all *objects) { all.tenants[t.ID] = t })
	}
	for _, p := range d.principals {
		w.row = p.AppendPacked(w.row[:0])
		w.principals.Add(w.row)
		w.g.keep(func(all *objects) { all.principals[p.ID] = p })
	}
	for name, document := range d.policies {
		w.documents[name] = document
	}
	return nil
}

// key packs a key, read for its facts alone.
func (w *worker) key(o object, value []byte) error {
	err := w.scan.Read(value)
	if err == nil && w.scan.ID != o.name {
		err = fmt.Errorf("it is stored under another name than its own, %.64q", w.scan.ID)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	f := &w.scan.Secrets[0].Facts
	number := w.shape(f)
	for i := range w.scan.Secrets {
		s := &w.scan.Secrets[i]
		w.row = appendRow(w.row[:0], &s.Digest, &s.Facts, number)
		w.keys.Add(w.row)
	}
	for len(w.uses) <= int(number) {
		w.uses = append(w.uses, 0)
	}
	w.uses[number] += len(w.scan.Secrets)
	w.all++
	if !f.Revoked {
		w.unrevoked++
	}
	if revision := w.scan.Revision; w.oldest.id == "" || revision < w.oldest.revision || revision > w.newest.revision {
		w.revised(revised{string([]byte(o.name)), revision})
	}
	return nil
}

// shape returns the number of a key's shape.
func (w *worker) shape(f *key.Facts) uint32 {
	w.name = shapeName(w.name[:0], f)
	if string(w.name) == w.last { // as is that of most that follow
		return w.number
	}
	n, ok := w.numbers[string(w.name)]
	if !ok {
		n = w.g.shape(f)
		w.numbers[string(w.name)] = n
	}
	w.last, w.number = string(w.name), n
	return n
}

func (g *gatherer) shape(f *key.Facts) uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shapes.number(f) // its uses are counted at the end
}

func (g *gatherer) keep(add func(*objects)) {
	if g.whole != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		add(g.whole)
	}
}

func (g *gatherer) sum(o object, value []byte) {
	sum := sha256.Sum256(value)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sums[object{o.kind, string([]byte(o.name))}] = &sum
}
