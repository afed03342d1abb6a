package storage

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/key"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// logExtent is how much of the log there is.
type logExtent struct {
	floor uint64 // the oldest revision
	size  int64  // bytes of all entries
}

// logLimit is how much of the log there may be.
type logLimit struct {
	logExtent
	entries uint64
	bytes   int64
}

func (e logExtent) limit(o *Options) logLimit { return logLimit{e, o.LogEntries, o.LogBytes} }

// trimAtOnce bounds how many entries one write takes from the log's old end.
const trimAtOnce = 64

// writeRevisions writes the revisions of a write, which follow a position, and
// the position that they lead to.
func writeRevisions(tx *bbolt.Tx, w *write, before Position, limit logLimit) (logExtent, error) {
	digest := before.Digest
	for _, r := range w.revisions {
		extent, err := writeEntry(tx, w, r, &digest, limit)
		if err != nil {
			return logExtent{}, err
		}
		limit.logExtent = extent
	}
	after := encodePosition(w.position())
	if len(w.revisions) > 1 {
		// The log tells what was before the newest revision, and not what was
		// before all of them, which is where a crash may leave the watermark.
		if err := writeBefore(tx, w.position(), before); err != nil {
			return logExtent{}, err
		}
	}
	return limit.logExtent, put(tx, bucketMeta, metaPosition, after)
}

func writeBefore(tx *bbolt.Tx, at, before Position) error {
	return put(tx, bucketMeta, metaBefore, append(encodePosition(at), encodePosition(before)...))
}

// writeEntry writes the objects of a revision, what hangs on them, and the log
// entry with the digest that follows from the one before.
func writeEntry(tx *bbolt.Tx, w *write, r revision, digest *Digest, limit logLimit) (logExtent, error) {
	for _, p := range r.entry.GetPuts() {
		o := object{p.GetKind(), p.GetName()}
		bucket, name := bucketOf(o.kind), []byte(o.name)
		old, err := get(tx, bucket, name)
		if err != nil {
			return logExtent{}, &DamageError{Reason: "checksum", Problems: []error{err}}
		}
		if old != nil {
			digest.subtract(digestOf(o, old))
		}
		if p.GetRemoved() {
			err = tx.Bucket(bucket).Delete(name)
		} else {
			digest.add(digestOf(o, p.GetValue()))
			err = put(tx, bucket, name, p.GetValue())
		}
		if err != nil {
			return logExtent{}, fmt.Errorf("%s: %w", o, err)
		}
	}
	if !w.told {
		r.entry.Digest = bytes.Clone(digest[:])
	} else if !bytes.Equal(r.entry.GetDigest(), digest[:]) {
		return logExtent{}, fmt.Errorf("%w: revision %d leads to the digest %.4x here, and to %.4x at the hub", ErrDiverged, r.entry.GetRevision(), digest[:], r.entry.GetDigest())
	}
	if err := writeReveal(tx, r.delta, w.reveal); err != nil {
		return logExtent{}, err
	}
	extent, err := writeLog(tx, r.entry, limit)
	if err != nil {
		return logExtent{}, fmt.Errorf("log entry: %w", err)
	}
	return extent, nil
}

// writeReveal writes the tokens to keep, and forgets those of the past.
func writeReveal(tx *bbolt.Tx, d *delta, reveal map[string]key.Token) error {
	for _, r := range d.keys {
		id := []byte(r.ID)
		kept, err := get(tx, bucketReveal, id)
		if token, ok := reveal[r.ID]; ok {
			err = put(tx, bucketReveal, id, []byte(token.Reveal()))
		} else if err == nil && kept != nil && !mayKeep(r, key.NewToken(string(kept))) {
			err = tx.Bucket(bucketReveal).Delete(id)
		}
		if err != nil {
			return fmt.Errorf("token of key %.64q: %w", r.ID, err)
		}
	}
	return nil
}

// writeLog adds an entry to the log, and takes away old ones beyond the limit.
// The two newest stay: Open asks what was before the newest.
func writeLog(tx *bbolt.Tx, e *logv1.Entry, limit logLimit) (logExtent, error) {
	value, err := encoding.Marshal(e)
	if err != nil {
		return logExtent{}, err
	}
	log := tx.Bucket(bucketLog)
	log.FillPercent = 1 // it is only ever added to at its end
	if err := put(tx, bucketLog, number(e.GetRevision()), value); err != nil {
		return logExtent{}, err
	}
	extent := logExtent{limit.floor, limit.size + int64(len(value))}
	over := func() bool {
		entries := e.GetRevision() + 1 - extent.floor
		return entries > 2 && (entries > limit.entries || extent.size > limit.bytes)
	}
	for n := 0; n < trimAtOnce && over(); n++ {
		old, err := get(tx, bucketLog, number(extent.floor))
		if err != nil {
			return logExtent{}, &DamageError{Reason: "checksum", Problems: []error{err}}
		}
		if err := log.Delete(number(extent.floor)); err != nil {
			return logExtent{}, err
		}
		extent.floor++
		extent.size -= int64(len(old))
	}
	if extent.floor == limit.floor {
		return extent, nil
	}
	return extent, put(tx, bucketMeta, metaFloor, number(extent.floor))
}
