package tally

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/key"
)

// Total is how often checks were answered with a reason.
type Total struct {
	Reason   string
	Replaced bool // by then another secret had taken the place of the one that was presented
	N        uint64
}

// Period is an hour or a day in which a secret was presented.
type Period struct {
	Start  time.Time
	Length time.Duration
	Totals []Total
}

// Usage is when and how often a secret was presented.
type Usage struct {
	Last    time.Time // to the minute; zero for never
	Ever    []Total
	Periods []Period // oldest first
}

// Since is the begin of the first period that Usage counts, for a moment.
func (f *File) Since(since time.Time) time.Time {
	if HourOf(since) >= HourOf(f.o.Now().Add(-f.o.Hourly)) {
		return since.UTC().Truncate(time.Hour)
	}
	return since.UTC().Truncate(day)
}

// Usage returns the usage of secrets, in their order: their periods from that of a moment on (Since), and what is
// kept for ever.
func (f *File) Usage(digests []key.Digest, since time.Time) ([]Usage, error) {
	var all []Usage
	err := f.view(func(tx *bbolt.Tx) error {
		all = make([]Usage, len(digests))
		for i, d := range digests {
			if err := f.read(tx, d, f.Since(since), &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// read reads the usage of one secret.
func (f *File) read(tx *bbolt.Tx, d key.Digest, since time.Time, into *Usage) error {
	number, err := get(tx, bucketSecrets, d[:])
	if err != nil || number == nil {
		return err
	}
	ever, err := readRow(tx, bucketUses, number, true)
	if err != nil {
		return err
	}
	into.Ever, into.Last = f.totals(ever), lastOf(ever)
	for _, in := range []struct {
		bucket []byte
		length time.Duration
	}{{bucketDays, day}, {bucketHours, time.Hour}} {
		hours := uint32(in.length / time.Hour)
		// A day that began before holds hours that were folded, all of before: who asks from an hour on gets none of it.
		for n := (HourOf(since) + hours - 1) / hours; n <= HourOf(f.o.Now())/hours; n++ {
			counts, err := readRow(tx, in.bucket, append(binary.BigEndian.AppendUint32(nil, n), number...), false)
			if err != nil {
				return err
			}
			if counts != nil {
				into.Periods = append(into.Periods, Period{time.Unix(int64(n)*int64(in.length/time.Second), 0).UTC(), in.length, f.totals(counts)})
			}
		}
	}
	slices.SortStableFunc(into.Periods, func(a, b Period) int { return a.Start.Compare(b.Start) })
	return nil
}

func readRow(tx *bbolt.Tx, bucket, name []byte, timed bool) (row, error) {
	value, err := get(tx, bucket, name)
	if err != nil || value == nil {
		return nil, err
	}
	return decodeRow(nil, value, timed)
}

func lastOf(r row) time.Time {
	var last uint32
	for _, t := range r {
		last = max(last, t.last)
	}
	if last == 0 {
		return time.Time{}
	}
	return minuteTime(last)
}

func (f *File) totals(r row) []Total {
	totals := make([]Total, len(r))
	for i, t := range r {
		totals[i] = Total{f.names[t.code&^replacedFlag], t.code&replacedFlag != 0, t.n}
	}
	slices.SortFunc(totals, func(a, b Total) int { return strings.Compare(a.Reason, b.Reason) })
	return totals
}

// LastUsed returns when secrets were last presented, in their order; zero for never.
func (f *File) LastUsed(digests []key.Digest) ([]time.Time, error) {
	var last []time.Time
	err := f.view(func(tx *bbolt.Tx) error {
		last = make([]time.Time, len(digests))
		for i, d := range digests {
			number, err := get(tx, bucketSecrets, d[:])
			if err != nil {
				return err
			}
			if number == nil {
				continue
			}
			ever, err := readRow(tx, bucketUses, number, true)
			if err != nil {
				return err
			}
			last[i] = lastOf(ever)
		}
		return nil
	})
	return last, err
}

// Sender is who reports, and when it did so last.
type Sender struct {
	Identity, ID, Name string
	At                 time.Time
}

// Senders returns those whose reports are remembered, the one that has been silent for longest first.
func (f *File) Senders() ([]Sender, error) {
	var all []Sender
	err := f.view(func(tx *bbolt.Tx) error {
		all = nil
		return eachSender(tx, func(name []byte, s sender) error {
			identity, id, _ := strings.Cut(string(name), "\x00")
			all = append(all, Sender{identity, id, s.name, s.at})
			return nil
		})
	})
	slices.SortFunc(all, func(a, b Sender) int { return a.At.Compare(b.At) })
	return all, err
}
