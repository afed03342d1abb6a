package storage

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// formatVersion is what the file has in meta. It rises with what an older
// version would misread. Files of all earlier formats are read: see upgrade.go.
const formatVersion = 2

var (
	bucketRecords    = []byte("records")
	bucketTenants    = []byte("tenants")
	bucketPrincipals = []byte("principals")
	bucketPolicies   = []byte("policies")
	bucketLog        = []byte("log")
	bucketReveal     = []byte("reveal")
	bucketMeta       = []byte("meta")

	buckets = [][]byte{bucketRecords, bucketTenants, bucketPrincipals, bucketPolicies, bucketLog, bucketReveal, bucketMeta}

	// metaFormat is the one value without a checksum, as it was in the first
	// format: it says how to read the others.
	metaFormat   = []byte("format")
	metaPosition = []byte("position") // epoch, revision, digest
	metaFloor    = []byte("floor")    // the oldest revision in the log
	// metaBefore is left by a transaction of several revisions, and by that of a
	// snapshot without a log: the position that it led to, and the one before it.
	// It counts while the first is the store's.
	metaBefore = []byte("before")
	// metaRole is roleReplica in the store of a replica, and absent in one that
	// takes writes: neither process may take the other's for its own.
	metaRole = []byte("role")
	// metaOrigin is a random name that a store is given when it is made, and that
	// backups, restores and replicas of it keep. Stores of before have none.
	metaOrigin  = []byte("origin")
	roleReplica = []byte("replica")
)

// kinds are the kinds of objects, and the buckets where each is stored.
var kinds = []struct {
	kind   logv1.Kind
	bucket []byte
}{
	{logv1.Kind_KIND_KEY, bucketRecords},
	{logv1.Kind_KIND_TENANT, bucketTenants},
	{logv1.Kind_KIND_PRINCIPAL, bucketPrincipals},
	{logv1.Kind_KIND_POLICY, bucketPolicies},
}

// bucketOf returns where objects of a kind are stored.
func bucketOf(kind logv1.Kind) []byte {
	for _, k := range kinds {
		if k.kind == kind {
			return k.bucket
		}
	}
	return nil
}

// kindIn returns the kind of the objects in a bucket, and whether it holds any.
func kindIn(bucket string) (logv1.Kind, bool) {
	for _, k := range kinds {
		if string(k.bucket) == bucket {
			return k.kind, true
		}
	}
	return 0, false
}

// put seals and stores a value.
func put(tx *bbolt.Tx, bucket, name, value []byte) error {
	return tx.Bucket(bucket).Put(name, seal(bucket, name, value))
}

// get returns a stored value, valid while the transaction lasts, and nil if
// there is none.
func get(tx *bbolt.Tx, bucket, name []byte) ([]byte, error) {
	sealed := tx.Bucket(bucket).Get(name)
	if sealed == nil {
		return nil, nil
	}
	value, err := unseal(bucket, name, sealed)
	if err != nil {
		return nil, fmt.Errorf("%s %.64q: %w", bucket, name, err)
	}
	return value, nil
}

// number is how numbers are stored: in an order that is that of the bytes.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseNumber(b []byte) (uint64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

func encodePosition(p Position) []byte {
	return append(append(number(p.Epoch), number(p.Revision)...), p.Digest[:]...)
}

func decodePosition(b []byte) (Position, bool) {
	if len(b) != 16+len(Digest{}) {
		return Position{}, false
	}
	return position(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), b[16:]), true
}

// storedFloor reads the oldest revision in the log of a file.
func storedFloor(tx *bbolt.Tx) (uint64, error) {
	value, err := get(tx, bucketMeta, metaFloor)
	if err != nil {
		return 0, err
	}
	floor, ok := parseNumber(value)
	if !ok {
		return 0, &DamageError{Reason: "meta", Problems: []error{fmt.Errorf("meta: its floor isn't one")}}
	}
	return floor, nil
}

// storedPosition reads the position of a file.
func storedPosition(tx *bbolt.Tx) (Position, error) {
	value, err := get(tx, bucketMeta, metaPosition)
	if err != nil {
		return Position{}, err
	}
	p, ok := decodePosition(value)
	if !ok {
		return Position{}, fmt.Errorf("meta: the position isn't one")
	}
	return p, nil
}
