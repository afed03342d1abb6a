package storage

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"

	"github.com/latchkey/latchkey/internal/disk"
)

// Formats that were:
//
//	1  no checksums, no digest, no watermark; epoch and revision apart in meta;
//	   a bucket "digests" from digest to key id, which memory has anyway

// upgrade takes the store's file over from an earlier format. The old file is
// kept beside it.
func (f *folder) upgrade(format uint64, o Options) error {
	kept, err := f.keep(replacedInfix, fmt.Sprintf("format%d", format), o.Now())
	if err != nil {
		return err
	}
	if err := upgradeFile(f.file(), o); err != nil {
		return errors.Join(err, removeIfThere(kept))
	}
	return nil
}

// upgradeFile takes a file of format 1 over: whole or not at all. That format
// has no checksums: what is wrong with an object is found once it was copied.
func upgradeFile(path string, o Options) error {
	if err := walkPath(path, lookAway); err != nil {
		return err
	}
	// bbolt's lock keeps an earlier version off, which knows no other.
	old, err := openBolt(path, o.LockTimeout)
	if err != nil {
		return err
	}
	temp := path + newSuffix
	err = old.View(func(from *bbolt.Tx) error {
		return createBolt(temp, func(to *bbolt.Tx) error { return upgradeTransaction(from, to, o) })
	})
	if err := errors.Join(err, old.Close()); err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	if _, err := readStore(temp); err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	return disk.Install(temp, path)
}

// upgradeTransaction copies all that a store of format 1 has, and ends with an
// entry that tells of it.
func upgradeTransaction(from, to *bbolt.Tx, o Options) error {
	for _, name := range buckets {
		if from.Bucket(name) == nil {
			return &DamageError{Reason: "bucket", Problems: []error{fmt.Errorf("its bucket %q is missing", name)}}
		}
	}
	number := func(name string) (uint64, error) {
		n, ok := parseNumber(from.Bucket(bucketMeta).Get([]byte(name)))
		if !ok {
			return 0, &DamageError{Reason: "meta", Problems: []error{fmt.Errorf("meta: its %s isn't a number", name)}}
		}
		return n, nil
	}
	epoch, err := number("epoch")
	if err != nil {
		return err
	}
	revision, err := number("revision")
	if err != nil {
		return err
	}
	var digest Digest
	for _, name := range buckets {
		if string(name) == string(bucketMeta) {
			continue
		}
		kind, objects := kindIn(string(name))
		err := from.Bucket(name).ForEach(func(n, value []byte) error {
			if objects {
				digest.add(digestOf(object{kind, string(n)}, value))
			}
			return put(to, name, n, value)
		})
		if err != nil {
			return err
		}
	}
	at := Position{Epoch: epoch, Revision: revision, Digest: digest}
	if revision > 0 {
		if at, err = logUpgrade(to, at, o); err != nil {
			return err
		}
	}
	return writeMeta(to, at, 1)
}

// logUpgrade adds the entry that tells of the upgrade.
func logUpgrade(to *bbolt.Tx, at Position, o Options) (Position, error) {
	value, err := get(to, bucketLog, number(at.Revision))
	if err != nil {
		return at, err
	}
	var newest logv1.Entry
	if err := proto.Unmarshal(value, &newest); err != nil || newest.GetRevision() != at.Revision {
		return at, &DamageError{Reason: "log", Problems: []error{fmt.Errorf("log: the entry of its revision %d can't be read (%w)", at.Revision, err)}}
	}
	when := o.Now().UTC()
	if last := newest.GetAt().AsTime(); when.Before(last) {
		when = last
	}
	at.Revision++
	entry := &logv1.Entry{
		Revision: at.Revision, Epoch: at.Epoch, Digest: at.Digest[:], At: timestamppb.New(when),
		Action: actionUpgrade, Note: fmt.Sprintf("from format 1 to %d", formatVersion),
	}
	if value, err = encoding.Marshal(entry); err != nil {
		return at, err
	}
	return at, put(to, bucketLog, number(at.Revision), value)
}
