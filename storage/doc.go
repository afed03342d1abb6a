// Package storage is the file of record: keys, the directory and the policies
// in one bbolt file, and in memory what checks ask for at every request.
//
// # The files
//
// latchkey.db in the data folder has these buckets:
//
//	records     key id → latchkey.key.v1.Record
//	tenants     name → latchkey.directory.v1.Tenant
//	principals  name → latchkey.directory.v1.Principal
//	policies    name → document, as it was handed in and never read here
//	log         revision, 8 bytes big-endian → latchkey.log.v1.Entry
//	reveal      key id → token, for keys that may be shown again; never logged
//	meta        format; position: epoch, revision (8 bytes big-endian each) and
//	            digest; floor: the oldest revision in the log; role, of a replica; origin: a random name; before: two
//	            positions, of which the second came right before the first, where
//	            the log doesn't tell
//
// Each value but the format ends in a CRC-32C over bucket, name and value. Each
// object is encoded once, by the writer. The log holds the very bytes that are
// stored. The position's digest is over all objects, so that a file from which
// some are missing, or in which some are older than others, is known by it.
//
// Beside it lie latchkey.watermark (see package watermark), which remembers how
// far the store was and what it took from whom, and latchkey.lock, which belongs
// to the process that has the folder. Files that were put aside have the name of
// the store, when, and why.
//
// # What holds
//
// Every write is one bbolt transaction and one revision: objects and log entry
// together or not at all. Once Commit has returned nil the write is on disk, the
// watermark has it, and every View that begins later sees it. A View sees one
// revision of everything. docs/durability.md tells what a crash after each step
// leaves.
//
// Open believes neither file. It reads the store page by page before bbolt may
// map it, compares all in it with each other and with the watermark, and refuses
// what is damaged, older than what was acknowledged, or not proven to be newer.
//
// A digest of a token belongs to one key for ever. A key is never removed, never
// loses a secret and never comes back from being revoked. The log has an entry
// for every revision from its floor on, and its times never go back.
//
// # Concurrency
//
// All methods of DB are safe for concurrent use. Writers wait for each other.
// A View never changes: a write makes the next one, which shares with it all
// that stayed the same, and puts it in its place. So who reads memory takes no
// lock and waits for nobody. What is read belongs to the store and is not to be
// changed.
//
// # Hubs and replicas
//
// A replica's store (Options.Replica) is written to by what another store, the
// hub's, has written: by the entries that follow its position (Since and Apply,
// one transaction for many), or where the hub's log can't prove that it has that
// position in its history, by a whole store (Export, Stage and Swap; swap.go tells
// its steps). Both ways end in the same objects, by the digest. A replica has no
// tokens that may be shown again, its log begins with a snapshot, and its
// watermark tells how far it was and nothing else.
//
// A replica can have everything again, so its Open puts aside what it can't use,
// where a hub's refuses; and since it must not answer from less than it had, it
// tells by Floor and Recovered what is known of that. What is damaged while it
// runs is healed by the next Swap. Views go on all the time.
//
// # In memory
//
// Of a key memory has what a check needs, in one row for each of its secrets
// (package table; memory.go draws it): about 70 bytes. The record is in the file
// alone: DB.View and DB.Keys read it there. Tenants and principals are packed
// in the same way (directory/packed.go). The memory is made anew by Open, out of
// the file that it verifies, and Check compares the two.
//
// bbolt's read transactions stay inside this package and are short, since a
// long one makes the file grow.
package storage
