package tally

import (
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/key"
)

const day = 24 * time.Hour

// Add adds counts of this process's own, by one transaction: all or none. They may be in any order, and are sorted.
func (f *File) Add(counts []Count) error {
	if len(counts) == 0 {
		return nil
	}
	counts = Merge(counts)
	err := f.update(func(tx *bbolt.Tx) error { return f.adder(tx).add(counts) })
	if written(err) {
		return nil // where it isn't synced the next one syncs it too, and whoever added it again would count it twice
	}
	return err
}

// adder adds counts within a transaction.
type adder struct {
	f                          *File
	tx                         *bbolt.Tx
	nowHour, nowMinute, hourly uint32 // hours from hourly on are kept by the hour
}

func (f *File) adder(tx *bbolt.Tx) *adder {
	now := f.o.Now()
	return &adder{f: f, tx: tx, nowHour: HourOf(now), nowMinute: MinuteOf(now), hourly: HourOf(now.Add(-f.o.Hourly))}
}

// add adds counts that are sorted.
func (a *adder) add(counts []Count) error {
	for len(counts) > 0 {
		n := 1
		for n < len(counts) && counts[n].Digest == counts[0].Digest {
			n++
		}
		if err := a.addSecret(counts[0].Digest, counts[:n]); err != nil {
			return err
		}
		counts = counts[n:]
	}
	return nil
}

// addSecret adds the counts of one secret.
func (a *adder) addSecret(d key.Digest, counts []Count) error {
	number, err := a.number(d)
	if err != nil {
		return err
	}
	var all row
	for _, c := range counts {
		all = all.add(a.tallied(c))
	}
	if err := addRow(a.tx, bucketUses, number, all, true); err != nil {
		return err
	}
	for len(counts) > 0 {
		bucket, name := a.period(counts[0].Hour, number)
		var in row
		n := 0
		for n < len(counts) && counts[n].Hour == counts[0].Hour {
			in = in.add(a.tallied(counts[n]))
			n++
		}
		if err := addRow(a.tx, bucket, name, in, false); err != nil {
			return err
		}
		counts = counts[n:]
	}
	return nil
}

// tallied is what a count comes to. A clock that is ahead says now.
func (a *adder) tallied(c Count) tallied {
	code := a.f.codes[c.Reason]
	if c.Replaced {
		code |= replacedFlag
	}
	return tallied{code: code, n: c.N, last: min(c.Minute, a.nowMinute)}
}

// period returns where an hour of a secret is counted.
func (a *adder) period(hour uint32, number []byte) (bucket, name []byte) {
	hour = min(hour, a.nowHour)
	if hour < a.hourly {
		return bucketDays, append(binary.BigEndian.AppendUint32(nil, hour/24), number...)
	}
	return bucketHours, append(binary.BigEndian.AppendUint32(nil, hour), number...)
}

// number returns the number of a secret, which it is given at its first use.
func (a *adder) number(d key.Digest) ([]byte, error) {
	known, err := get(a.tx, bucketSecrets, d[:])
	if err != nil || known != nil {
		return known, err
	}
	next, err := a.tx.Bucket(bucketSecrets).NextSequence()
	if err != nil {
		return nil, err
	}
	number := binary.BigEndian.AppendUint32(nil, uint32(next))
	return number, put(a.tx, bucketSecrets, d[:], number)
}

// addRow adds what was counted to a row.
func addRow(tx *bbolt.Tx, bucket, name []byte, more row, timed bool) error {
	value, err := get(tx, bucket, name)
	if err != nil {
		return err
	}
	all, err := decodeRow(make(row, 0, 4), value, timed)
	if err != nil {
		return err
	}
	for _, t := range more {
		all = all.add(t)
	}
	return put(tx, bucket, name, all.encode(timed))
}
