package tally

import (
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"
)

const (
	// KeptDays is how long counts are kept by the day.
	KeptDays = 400
	// foldStride is how many rows one transaction of Fold changes: some milliseconds.
	foldStride = 1000
)

// Fold puts old hours together into days, and lets go of old days and of senders that are gone, by one small
// transaction. It returns whether there is more to do.
func (f *File) Fold() (more bool, err error) {
	now := f.o.Now()
	hourly, daily := HourOf(now.Add(-f.o.Hourly)), HourOf(now.Add(-KeptDays*day))/24
	var gone int64
	err = f.update(func(tx *bbolt.Tx) error {
		gone = 0
		hours := before(tx, bucketHours, hourly)
		for _, name := range hours {
			if err := foldHour(tx, name); err != nil {
				return err
			}
		}
		days := before(tx, bucketDays, daily)
		for _, name := range days {
			if err := tx.Bucket(bucketDays).Delete(name); err != nil {
				return err
			}
		}
		more = len(hours) == foldStride || len(days) == foldStride
		var err error
		gone, err = f.forgetSenders(tx, now)
		return err
	})
	if written(err) {
		f.senders.Add(-gone)
	}
	return more && err == nil, err
}

// before returns names of rows that are older than an hour or a day, the oldest first.
func before(tx *bbolt.Tx, bucket []byte, limit uint32) (names [][]byte) {
	c := tx.Bucket(bucket).Cursor()
	for name, _ := c.First(); len(name) == 8 && binary.BigEndian.Uint32(name) < limit && len(names) < foldStride; name, _ = c.Next() {
		names = append(names, slices.Clone(name))
	}
	return names
}

// foldHour adds the row of an hour to that of its day.
func foldHour(tx *bbolt.Tx, name []byte) error {
	value, err := get(tx, bucketHours, name)
	if err != nil {
		return err
	}
	counts, err := decodeRow(nil, value, false)
	if err != nil {
		return err
	}
	of := append(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(name)/24), name[4:]...)
	if err := addRow(tx, bucketDays, of, counts, false); err != nil {
		return err
	}
	return tx.Bucket(bucketHours).Delete(name)
}
