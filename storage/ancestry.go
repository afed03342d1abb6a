package storage

import (
	"os"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/boltfile"
	"github.com/latchkey/latchkey/storage/watermark"
)

// seen returns the index of the newest mark whose revision is in the history of
// the store at a path, -1 for none, and whether that is the store's own. Numbers
// don't tell: a copy that went on elsewhere has a lineage that began later than
// marks which it has never seen.
func seen(path string, at Position, marks *watermark.Contents) (last int, own bool, err error) {
	known := make(map[Position]int, len(marks.Marks))
	for i, m := range marks.Marks {
		known[positionFromProto(m.GetPosition())] = i
	}
	if i, ok := known[at]; ok {
		return i, true, nil
	}
	last = -1
	err = walkLog(path, func(p Position) {
		if i, ok := known[p]; ok {
			last = max(last, i)
		}
	})
	return last, false, err
}

// walkLog calls f with the position of each entry in the log of a whole file.
func walkLog(path string, f func(Position)) error {
	file, err := openPrivate(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return err
	}
	pages, err := boltfile.New(file, info.Size())
	if err != nil {
		return damaged(err)
	}
	_, err = pages.Walk(func(bucket string, name, sealed []byte) error {
		if bucket != string(bucketLog) {
			return boltfile.ErrSkip
		}
		if name == nil {
			return nil
		}
		value, err := unseal(bucketLog, name, sealed)
		if err != nil {
			return err
		}
		var e logv1.Entry
		if err := proto.Unmarshal(value, &e); err != nil {
			return err
		}
		f(position(e.GetEpoch(), e.GetRevision(), e.GetDigest()))
		return nil
	})
	return damaged(err)
}
