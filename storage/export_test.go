package storage

import (
	"context"

	"go.etcd.io/bbolt"
)

// Bolt is the file behind a store.
func (db *DB) Bolt() *bbolt.DB { return db.bolt }

// FileName is the store's file in its folder.
const FileName = fileName

// Settle does what follows a commit of a revision that the file failed.
func (db *DB) Settle(revision uint64, cause error) error {
	if err := db.lock(context.Background()); err != nil {
		return err
	}
	defer db.unlock()
	return db.settle(revision, cause)
}
