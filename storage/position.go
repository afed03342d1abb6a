package storage

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Position is how far a store is: a lineage, its revision, and what the store
// holds there. Two stores at one Position hold the same objects.
type Position struct {
	Epoch    uint64 // lineage: when it began, in microseconds since 1970
	Revision uint64 // 0 before the first write
	Digest   Digest
}

// Before reports whether this is an earlier position than the other: of an
// older lineage, or of the same one and fewer writes.
func (p Position) Before(o Position) bool {
	return cmp.Or(cmp.Compare(p.Epoch, o.Epoch), cmp.Compare(p.Revision, o.Revision)) < 0
}

// String returns the position for people.
func (p Position) String() string {
	return fmt.Sprintf("revision %d of epoch %d (digest %.4x)", p.Revision, p.Epoch, p.Digest[:])
}

func (p Position) toProto() *logv1.Position {
	return &logv1.Position{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest[:]}
}

func positionFromProto(m *logv1.Position) Position {
	return position(m.GetEpoch(), m.GetRevision(), m.GetDigest())
}

func position(epoch, revision uint64, digest []byte) Position {
	p := Position{Epoch: epoch, Revision: revision}
	if len(digest) == len(p.Digest) {
		p.Digest = Digest(digest)
	}
	return p
}

// Digest tells sets of objects apart: the sum of the SHA-256 of each, taken as
// four 64-bit numbers. It follows a change without a look at the rest, and the
// order in which objects came doesn't matter. It finds accidents and stale
// copies. It is no signature: who may write objects at will can, with some
// effort, make two sets that have the same one.
type Digest [sha256.Size]byte

// String returns the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// digestOf returns the digest of one stored object.
func digestOf(o object, value []byte) (d Digest) {
	h := sha256.New()
	_, _ = h.Write(appendHead(nil, o.kind, len(o.name)))
	_, _ = h.Write([]byte(o.name))
	_, _ = h.Write(value)
	h.Sum(d[:0])
	return d
}

func (d *Digest) add(o Digest)      { d.combine(o, func(a, b uint64) uint64 { return a + b }) }
func (d *Digest) subtract(o Digest) { d.combine(o, func(a, b uint64) uint64 { return a - b }) }

func (d *Digest) combine(o Digest, f func(a, b uint64) uint64) {
	for i := 0; i < len(d); i += 8 {
		binary.LittleEndian.PutUint64(d[i:], f(binary.LittleEndian.Uint64(d[i:]), binary.LittleEndian.Uint64(o[i:])))
	}
}
