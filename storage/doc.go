// Package storage is the file of record: keys, the directory and the policies
// in one bbolt file, and the same in memory for those who ask at every request.
//
// # The file
//
// latchkey.db in the data folder has these buckets:
//
//	records     key id → latchkey.key.v1.Record
//	digests     SHA-256 of a token → key id
//	tenants     name → latchkey.directory.v1.Tenant
//	principals  name → latchkey.directory.v1.Principal
//	policies    name → document, as it was handed in and never read here
//	log         revision, 8 bytes big-endian → latchkey.log.v1.Entry
//	reveal      key id → token, for keys that may be shown again; never logged
//	meta        format, epoch and revision, each 8 bytes big-endian
//
// Each object is encoded once, by the writer. The log holds the very bytes
// that are stored.
//
// # What holds
//
// Every write is one bbolt transaction and one revision: objects, digests and
// log entry together or not at all. Once Commit has returned nil the write is
// on disk and survives the death of the process; every View that begins later
// sees it. A View sees one revision of everything.
//
// A digest belongs to one key for ever. A key is never removed, never loses a
// secret and never comes back from being revoked. The log has an entry for
// every revision from 1 on, and its times never go back.
//
// # Concurrency
//
// All methods of DB are safe for concurrent use. Writers wait for each other.
// Views wait for no disk: the memory is changed after the file, for no longer
// than it takes to swap pointers. What is read belongs to the store and is not
// to be changed; a change replaces an object by a new one.
//
// bbolt's read transactions stay inside this package and are short, since a
// long one makes the file grow.
package storage
