package storage

import (
	"fmt"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// load reads the file into memory; a new file is given its buckets first.
func (db *DB) load() error {
	fresh := false
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		fresh = tx.Bucket(bucketMeta) == nil
		if name, _ := tx.Cursor().First(); fresh && name != nil {
			return fmt.Errorf("%w: it is the file of another program", ErrFormat)
		}
		return nil
	})
	if err == nil && fresh {
		err = db.bolt.Update(db.create)
	}
	if err != nil {
		return err
	}
	return db.bolt.View(db.read)
}

func (db *DB) create(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	// A lineage that begins later has the greater number, and no other store
	// has the same.
	epoch := uint64(max(db.options.Now().UnixMicro(), 1))
	meta := tx.Bucket(bucketMeta)
	for _, m := range []struct {
		name  []byte
		value uint64
	}{{metaFormat, formatVersion}, {metaEpoch, epoch}, {metaRevision, 0}} {
		if err := meta.Put(m.name, number(m.value)); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) read(tx *bbolt.Tx) error {
	format, err := metaNumber(tx, metaFormat)
	if err != nil {
		return err
	}
	if format != formatVersion {
		return fmt.Errorf("%w: its format is %d and this is for %d: run the version that wrote it", ErrFormat, format, formatVersion)
	}
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: its bucket %q is missing", ErrFormat, name)
		}
	}
	state := newView()
	if state.position.Epoch, err = metaNumber(tx, metaEpoch); err != nil {
		return err
	}
	if state.position.Revision, err = metaNumber(tx, metaRevision); err != nil {
		return err
	}
	d := &delta{}
	for _, kind := range kinds {
		err := tx.Bucket(bucketOf(kind)).ForEach(func(name, value []byte) error {
			return d.add(&logv1.Put{Kind: kind, Name: string(name), Value: value})
		})
		if err != nil {
			return err
		}
	}
	if err := state.admit(d); err != nil {
		return err
	}
	if value := tx.Bucket(bucketLog).Get(number(state.position.Revision)); value != nil {
		var newest logv1.Entry
		if err := proto.Unmarshal(value, &newest); err != nil {
			return fmt.Errorf("log entry %d: %w", state.position.Revision, err)
		}
		state.latest = newest.GetAt().AsTime()
	} else if state.position.Revision > 0 {
		return fmt.Errorf("%w: the log entry of its revision %d is missing", ErrFormat, state.position.Revision)
	}
	if state.policies, err = db.compile(d.documents(nil)); err != nil {
		return err
	}
	state.apply(d)
	db.state = *state
	return nil
}
