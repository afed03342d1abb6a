package replica

import (
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	// batchBytes is about how much one message with entries holds at most; a single entry may be longer.
	batchBytes = 256 << 10
	// tailBytes is how much of the newest entries is kept encoded. Who is further behind is read to from the file.
	tailBytes = 4 << 20
	// tailCopies is how many entries of the tail go into one message without being copied together.
	tailCopies = 64
)

// feed hands out what follows a position. The newest entries are read and encoded once, for all who follow. It
// is safe for concurrent use.
type feed struct {
	db   *storage.DB
	read sync.Mutex // held by who reads for all, the newest entries

	mu   sync.Mutex
	tail []fed // each follows the one before
	size int   // bytes
}

// fed is one entry of the tail.
type fed struct {
	from, to storage.Position
	field    []byte // as a field of Entries
}

// after returns a message with entries that follow a position, and the position of the last of them; no message
// where none follow. Errors are those of storage.DB.Since.
func (f *feed) after(at storage.Position) (frame, storage.Position, error) {
	some, to, newest := f.fromTail(at)
	if newest {
		f.read.Lock()
		defer f.read.Unlock()
		some, to, _ = f.fromTail(at)
	}
	if some != nil {
		return entriesMessage(some), to, nil
	}
	return f.fromStore(at)
}

// fromStore is after, without the tail, which gets what is read.
func (f *feed) fromStore(at storage.Position) (frame, storage.Position, error) {
	entries, err := f.db.Since(at, batchBytes)
	if err != nil || len(entries) == 0 {
		return nil, at, err
	}
	some := make([]fed, len(entries))
	for i, e := range entries {
		if some[i], err = encode(at, e); err != nil {
			return nil, at, err
		}
		at = some[i].to
	}
	f.keep(some)
	fields := make([][]byte, len(some))
	for i := range some {
		fields[i] = some[i].field
	}
	return entriesMessage(fields), at, nil
}

// fromTail returns what follows a position in the tail, and nothing where it begins later. Newest says that the tail
// ends at the position, or that there is none: what follows it is read by one for all. Both are looked at at once, lest
// a tail that grows in between look as if it had passed the position by.
func (f *feed) fromTail(at storage.Position) (fields [][]byte, to storage.Position, newest bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tail) == 0 || f.tail[len(f.tail)-1].to == at {
		return nil, at, true
	}
	if at.Revision < f.tail[0].from.Revision {
		return nil, at, false
	}
	first := int(at.Revision - f.tail[0].from.Revision)
	if first >= len(f.tail) || f.tail[first].from != at {
		return nil, at, false
	}
	size := 0
	for _, one := range f.tail[first:] {
		if size += len(one.field); size > batchBytes && len(fields) > 0 {
			break
		}
		fields, to = append(fields, one.field), one.to
	}
	return fields, to, false
}

// keep adds entries to the tail, if they go on from it or beyond it.
func (f *feed) keep(some []fed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.tail); n > 0 && f.tail[n-1].to != some[0].from {
		if last, end := some[len(some)-1].to, f.tail[n-1].to; last == end || last.Before(end) {
			return // somebody reads far behind
		}
		f.tail, f.size = nil, 0
	}
	for _, one := range some {
		f.tail, f.size = append(f.tail, one), f.size+len(one.field)
	}
	over := 0
	for f.size > tailBytes && over < len(f.tail)-1 {
		f.size -= len(f.tail[over].field)
		over++
	}
	if over > 0 {
		f.tail = append([]fed(nil), f.tail[over:]...) // lets go of the memory
	}
}

// encode encodes an entry that follows a position. Who wrote it and why is nobody's business but the hub's.
func encode(at storage.Position, e *logv1.Entry) (fed, error) {
	e.Operator, e.Acting, e.Note = "", "", ""
	to, err := readPosition(&logv1.Position{Epoch: e.GetEpoch(), Revision: e.GetRevision(), Digest: e.GetDigest()})
	if err != nil {
		return fed{}, err
	}
	field := protowire.AppendVarint(protowire.AppendTag(nil, entriesEntry, protowire.BytesType), uint64(proto.Size(e)))
	field, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(field, e)
	return fed{at, to, field}, err
}

// Field numbers of FollowResponse.entries and Entries.entries.
const (
	responseEntries = 2
	entriesEntry    = 1
)

// entriesMessage returns a FollowResponse of entries that are encoded already.
func entriesMessage(fields [][]byte) frame {
	size := 0
	for _, field := range fields {
		size += len(field)
	}
	head := protowire.AppendVarint(protowire.AppendTag(nil, responseEntries, protowire.BytesType), uint64(size))
	if len(fields) > tailCopies {
		all := append(make([]byte, 0, len(head)+size), head...)
		for _, field := range fields {
			all = append(all, field...)
		}
		return frame{mem.SliceBuffer(all)}
	}
	f := frame{mem.SliceBuffer(head)}
	for i := range fields {
		f = append(f, mem.SliceBuffer(fields[i]))
	}
	return f
}
