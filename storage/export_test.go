package storage

import (
	"go.etcd.io/bbolt"
)

// Bolt is the file behind a store.
func (db *DB) Bolt() *bbolt.DB { return db.bolt }

// FileName is the store's file in its folder.
const FileName = fileName

// Put stores a value as the store would.
func Put(tx *bbolt.Tx, bucket, name, value string) error {
	return put(tx, []byte(bucket), []byte(name), []byte(value))
}
