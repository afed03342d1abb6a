package tally

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

const (
	// Accepted is how old an hour may be that a sender reports. A sender that was silent for longer is forgotten: what
	// it had sent before is too old by then to be taken twice.
	Accepted   = 30 * day
	senderKept = Accepted + day
	maxSenders = 200_000
	// maxOfIdentity keeps one identity from taking the room of all others.
	maxOfIdentity = 50_000
	maxReported   = 64 // reports that one transaction takes
	maxIdentity   = 4 << 10
)

var (
	// ErrInvalid is returned for a report that no sender of ours makes.
	ErrInvalid = errors.New("the report of usage is malformed")
	// ErrSenders is returned for the report of a new sender where there are too many, or too many of its identity.
	ErrSenders = fmt.Errorf("usage was reported by %d senders within %d days, or by %d of this identity, and no more are taken", maxSenders, int(Accepted/day), maxOfIdentity)
)

// Report is a batch of counts, and whose it is.
type Report struct {
	Identity string // of the sender's connection: nobody reports for another
	ID       string // random name of the sender
	Name     string // for people
	Batch    *replicav1.UsageBatch
}

// Receipt is what became of a report.
type Receipt struct {
	Repeated bool   // it had been taken before, and counted nothing
	Unknown  uint64 // checks of secrets that aren't known, which weren't counted
	Old      uint64 // checks of hours that are too old, which weren't counted
}

// Receive takes a report, once, and returns when it is on the disk. Those that come at the same time are taken by one
// transaction. Errors other than ErrInvalid and ErrSenders are those of the file: the report may come again.
func (f *File) Receive(ctx context.Context, r Report) (Receipt, error) {
	q := &queued{Report: r, done: make(chan struct{})}
	var err error
	if q.source, err = validReport(r); err != nil {
		return Receipt{}, err
	}
	q.counts = f.acceptable(q)
	f.queue.take(q, f.apply)
	select {
	case <-q.done:
		return q.receipt, q.err
	case <-ctx.Done():
		if f.queue.leave(q) {
			return Receipt{}, ctx.Err()
		}
		// Its transaction is under way: who asks for one report after the other and waits for none must not fill the memory.
		<-q.done
		return q.receipt, q.err
	}
}

// validReport returns the source of a report's batch, and what is wrong with the report.
func validReport(r Report) (source []byte, err error) {
	m := r.Batch
	source, err = hex.DecodeString(m.GetSource())
	switch {
	case err != nil || len(source) != 16:
		return nil, fmt.Errorf("%w: source must be 32 hex digits", ErrInvalid)
	case m.GetNumber() == 0:
		return nil, fmt.Errorf("%w: number must be greater than 0", ErrInvalid)
	case len(m.GetCounts()) > batchRows:
		return nil, fmt.Errorf("%w: it has %d counts, and %d are the most", ErrInvalid, len(m.GetCounts()), batchRows)
	case len(r.Identity)+len(r.ID) > maxIdentity:
		return nil, fmt.Errorf("%w: the identity is too long", ErrInvalid)
	}
	for _, c := range m.GetCounts() {
		if len(c.GetDigest()) != len(key.Digest{}) {
			return nil, fmt.Errorf("%w: a digest has %d bytes", ErrInvalid, len(c.GetDigest()))
		}
	}
	return source, nil
}

// acceptable returns the counts of a report that may be added, and notes what is left out. What is ahead of this clock
// is of now.
func (f *File) acceptable(q *queued) []Count {
	now := f.o.Now()
	oldest, newest := HourOf(now.Add(-Accepted)), HourOf(now)
	var taken []Count
	for _, c := range appendCounts(nil, q.Batch) {
		c.Hour = min(c.Hour, newest)
		switch {
		case c.Hour < oldest:
			q.receipt.Old = Plus(q.receipt.Old, c.N)
		case f.o.Knows != nil && !f.o.Knows(c.Digest):
			q.receipt.Unknown = Plus(q.receipt.Unknown, c.N)
		default:
			taken = append(taken, c)
		}
	}
	return Merge(taken)
}

// queued is a report that waits for a transaction.
type queued struct {
	Report
	source  []byte
	counts  []Count
	receipt Receipt
	err     error
	done    chan struct{}
}

// queue has reports wait for the transaction before theirs.
type queue struct {
	mu      sync.Mutex
	waiting []*queued
	running bool
}

// take has a report taken. Whoever comes while others are being taken is taken next, with all who came meanwhile.
func (q *queue) take(one *queued, apply func([]*queued) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, one)
	if !q.running {
		q.running = true
		go q.run(apply)
	}
}

// leave takes a report back, and returns false for one that is being taken, or was.
func (q *queue) leave(one *queued) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, one)
	if i < 0 {
		return false
	}
	// A copy: those before may share it with the reports that are being taken.
	q.waiting = slices.Concat(q.waiting[:i], q.waiting[i+1:])
	return true
}

// run takes reports until none waits.
func (q *queue) run(apply func([]*queued) error) {
	for {
		q.mu.Lock()
		n := min(len(q.waiting), maxReported)
		now := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		if n == 0 {
			q.running, q.waiting = false, nil
		}
		q.mu.Unlock()
		if n == 0 {
			return
		}
		err := apply(now)
		for _, r := range now {
			if err != nil {
				r.err = err
			}
			close(r.done)
		}
	}
}

// apply takes reports by one transaction.
func (f *File) apply(reports []*queued) error {
	var added int64
	now := f.o.Now()
	err := f.update(func(tx *bbolt.Tx) error {
		added = 0
		a := f.adder(tx)
		for _, r := range reports {
			r.err = nil
			fresh, err := f.sent(tx, r, added, now)
			if err != nil {
				return err
			}
			if fresh {
				added++
			}
			if r.err == nil && !r.receipt.Repeated {
				if err := a.add(r.counts); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if written(err) {
		f.senders.Add(added)
	}
	return err
}

// sender is a row of the bucket of that name.
type sender struct {
	source []byte
	number uint64
	at     time.Time
	name   string
}

func (s sender) encode() []byte {
	b := append(make([]byte, 0, 32+len(s.name)), s.source...)
	b = binary.BigEndian.AppendUint64(b, s.number)
	b = binary.BigEndian.AppendUint64(b, uint64(s.at.Unix()))
	return append(b, s.name...)
}

func decodeSender(b []byte) (sender, error) {
	if len(b) < 32 {
		return sender{}, errRow
	}
	return sender{
		source: b[:16], number: binary.BigEndian.Uint64(b[16:]), at: time.Unix(int64(binary.BigEndian.Uint64(b[24:])), 0).UTC(), name: string(b[32:]),
	}, nil
}

func senderName(identity, id string) []byte { return []byte(identity + "\x00" + id) }

// sent notes that a batch came, and finds whether it had come before.
func (f *File) sent(tx *bbolt.Tx, r *queued, added int64, now time.Time) (fresh bool, err error) {
	name := senderName(r.Identity, r.ID)
	value, err := get(tx, bucketSenders, name)
	if err != nil {
		return false, err
	}
	s := sender{source: r.source, number: r.Batch.GetNumber(), at: now, name: r.Name}
	r.receipt.Repeated = false
	if value != nil {
		was, err := decodeSender(value)
		if err != nil {
			return false, err
		}
		// A file that was begun anew counts its batches anew.
		if string(was.source) == string(r.source) && was.number >= s.number {
			r.receipt.Repeated, s.number = true, was.number
		}
	} else if len(r.counts) == 0 {
		return false, nil // nothing that could be counted twice: nobody has to be remembered
	} else if f.senders.Load()+added >= maxSenders || crowded(tx, r.Identity) {
		r.err = ErrSenders
		return false, nil
	}
	return value == nil, put(tx, bucketSenders, name, s.encode())
}

// crowded reports whether an identity has as many senders as it may have.
func crowded(tx *bbolt.Tx, identity string) bool {
	prefix := senderName(identity, "")
	c, n := tx.Bucket(bucketSenders).Cursor(), 0
	for name, _ := c.Seek(prefix); bytes.HasPrefix(name, prefix); name, _ = c.Next() {
		if n++; n >= maxOfIdentity {
			return true
		}
	}
	return false
}

// forgetSenders lets go of senders that have been silent for so long that nothing of theirs could be taken twice.
func (f *File) forgetSenders(tx *bbolt.Tx, now time.Time) (gone int64, err error) {
	var names [][]byte
	err = eachSender(tx, func(name []byte, s sender) error {
		if now.Sub(s.at) > senderKept && len(names) < foldStride {
			names = append(names, []byte(string(name)))
		}
		return nil
	})
	for _, name := range names {
		err = errors.Join(err, tx.Bucket(bucketSenders).Delete(name))
	}
	return int64(len(names)), err
}

func eachSender(tx *bbolt.Tx, do func(name []byte, s sender) error) error {
	c := tx.Bucket(bucketSenders).Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		value, err := get(tx, bucketSenders, name)
		if err != nil {
			return err
		}
		s, err := decodeSender(value)
		if err != nil {
			return err
		}
		if err := do(name, s); err != nil {
			return err
		}
	}
	return nil
}
