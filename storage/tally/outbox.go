package tally

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage/boltguard"
)

const (
	// batchRows is how many counts a batch has at most: MaxBatch bytes hold them.
	batchRows = 400
	// MaxBatch is how many bytes a batch has at most, as it is sent.
	MaxBatch = 36 << 10
	// maxPendingRows is how many counts wait to be sent at most.
	maxPendingRows = 100_000
	// mergeEvery is how many batches gather before they are put together.
	mergeEvery = 64
)

// Queue writes counts down as batches to be sent, by one transaction: all or none. Where too many wait, those that
// can't have been sent are put together: by secret, hour and reason, then by the day; at last the oldest are given up,
// and dropped says how many checks they counted.
func (f *File) Queue(counts []Count) (dropped uint64, err error) {
	if len(counts) == 0 {
		return 0, nil
	}
	counts = Merge(counts)
	f.outbox.Lock()
	defer f.outbox.Unlock()
	var batches, rows, merged int64
	err = f.update(func(tx *bbolt.Tx) error {
		var added int
		var err error
		if added, err = enqueue(tx, counts); err != nil {
			return err
		}
		batches, rows, merged, dropped = f.pending.Load()+int64(added), f.pendingRows.Load()+int64(len(counts)), f.merged.Load(), 0
		if batches <= 2*merged+mergeEvery && rows <= maxPendingRows {
			return nil
		}
		batches, rows, dropped, err = f.merge(tx)
		merged = batches
		return err
	})
	if !written(err) {
		return 0, err
	}
	f.merged.Store(merged)
	f.pending.Store(batches)
	f.pendingRows.Store(rows)
	return dropped, nil
}

// enqueue writes counts as batches, with numbers that none has had.
func enqueue(tx *bbolt.Tx, counts []Count) (batches int, err error) {
	for part := range slices.Chunk(counts, batchRows) {
		number, err := tx.Bucket(bucketOutbox).NextSequence()
		if err != nil {
			return 0, err
		}
		m := &replicav1.UsageBatch{}
		for _, c := range part {
			m.Counts = append(m.Counts, &replicav1.UsageCount{Digest: c.Digest[:], Hour: c.Hour, Reason: c.Reason, Replaced: c.Replaced, Count: c.N, LastMinute: c.Minute})
		}
		b, err := proto.Marshal(m)
		if err != nil {
			return 0, err
		}
		if err := put(tx, bucketOutbox, binary.BigEndian.AppendUint64(nil, number), b); err != nil {
			return 0, err
		}
		batches++
	}
	return batches, nil
}

// merge puts together all batches but the first, which may have been sent.
func (f *File) merge(tx *bbolt.Tx) (batches, rows int64, dropped uint64, err error) {
	var all []Count
	var names [][]byte
	c := tx.Bucket(bucketOutbox).Cursor()
	for name, sealed := c.First(); name != nil; name, sealed = c.Next() {
		value, err := boltguard.Unseal(bucketOutbox, name, sealed)
		if err != nil {
			return 0, 0, 0, err
		}
		m, err := decodeBatch(value)
		if err != nil {
			return 0, 0, 0, err
		}
		if batches++; batches == 1 {
			rows = int64(len(m.GetCounts()))
			continue
		}
		names = append(names, slices.Clone(name))
		all = appendCounts(all, m)
	}
	for _, name := range names {
		if err := tx.Bucket(bucketOutbox).Delete(name); err != nil {
			return 0, 0, 0, err
		}
	}
	all, dropped = squeeze(all, HourOf(f.o.Now()))
	added, err := enqueue(tx, all)
	return 1 + int64(added), rows + int64(len(all)), dropped, err
}

// squeeze makes counts as few as they have to be: half of what may wait, so that it isn't done again at once.
func squeeze(all []Count, now uint32) (fewer []Count, dropped uint64) {
	const enough = maxPendingRows / 2
	all = Merge(all)
	if len(all) <= enough {
		return all, 0
	}
	for i, c := range all {
		if c.Hour/24 < now/24 {
			all[i].Hour = c.Hour / 24 * 24
		}
	}
	if all = Merge(all); len(all) <= enough {
		return all, 0
	}
	slices.SortStableFunc(all, func(a, b Count) int { return int(b.Hour) - int(a.Hour) })
	for _, c := range all[enough:] {
		dropped = Plus(dropped, c.N)
	}
	return Merge(all[:enough]), dropped
}

// Head returns the batch that is to be sent next, and nil for none. It is the same until it is acknowledged.
func (f *File) Head() (m *replicav1.UsageBatch, err error) {
	err = f.view(func(tx *bbolt.Tx) error {
		name, sealed := tx.Bucket(bucketOutbox).Cursor().First()
		if name == nil {
			return nil
		}
		value, err := boltguard.Unseal(bucketOutbox, name, sealed)
		if err != nil {
			return err
		}
		if m, err = decodeBatch(value); err != nil {
			return err
		}
		m.Source, m.Number = f.source, binary.BigEndian.Uint64(name)
		return nil
	})
	return m, err
}

// Acknowledge lets go of a batch that was taken.
func (f *File) Acknowledge(m *replicav1.UsageBatch) error {
	f.outbox.Lock()
	defer f.outbox.Unlock()
	gone := false
	err := f.update(func(tx *bbolt.Tx) error {
		name := binary.BigEndian.AppendUint64(nil, m.GetNumber())
		// A file that was begun anew has other batches of the same numbers.
		gone = m.GetSource() == f.source && tx.Bucket(bucketOutbox).Get(name) != nil
		if !gone {
			return nil
		}
		return tx.Bucket(bucketOutbox).Delete(name)
	})
	if written(err) && gone {
		f.pending.Add(-1)
		f.pendingRows.Add(-int64(len(m.GetCounts())))
	}
	return err
}

func decodeBatch(value []byte) (*replicav1.UsageBatch, error) {
	m := &replicav1.UsageBatch{}
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errRow, err)
	}
	for _, c := range m.GetCounts() {
		if len(c.GetDigest()) != len(key.Digest{}) {
			return nil, errRow
		}
	}
	return m, nil
}

// appendCounts adds the counts of a batch whose digests are.
func appendCounts(to []Count, m *replicav1.UsageBatch) []Count {
	for _, c := range m.GetCounts() {
		to = append(to, Count{
			Digest: key.Digest(c.GetDigest()), Hour: c.GetHour(), Reason: c.GetReason(), Replaced: c.GetReplaced(), N: c.GetCount(), Minute: c.GetLastMinute(),
		})
	}
	return to
}
