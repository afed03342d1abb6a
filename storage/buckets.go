package storage

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// formatVersion is what the file has in meta. It rises with what an older
// version would misread.
const formatVersion = 1

var (
	bucketRecords    = []byte("records")
	bucketDigests    = []byte("digests")
	bucketTenants    = []byte("tenants")
	bucketPrincipals = []byte("principals")
	bucketPolicies   = []byte("policies")
	bucketLog        = []byte("log")
	bucketReveal     = []byte("reveal")
	bucketMeta       = []byte("meta")

	buckets = [][]byte{
		bucketRecords, bucketDigests, bucketTenants, bucketPrincipals, bucketPolicies, bucketLog, bucketReveal, bucketMeta,
	}

	metaFormat   = []byte("format")
	metaEpoch    = []byte("epoch")
	metaRevision = []byte("revision")
)

// kinds are the kinds of objects, in the order in which they are read.
var kinds = []logv1.Kind{logv1.Kind_KIND_KEY, logv1.Kind_KIND_TENANT, logv1.Kind_KIND_PRINCIPAL, logv1.Kind_KIND_POLICY}

// bucketOf returns where objects of a kind are stored.
func bucketOf(kind logv1.Kind) []byte {
	switch kind {
	case logv1.Kind_KIND_KEY:
		return bucketRecords
	case logv1.Kind_KIND_TENANT:
		return bucketTenants
	case logv1.Kind_KIND_PRINCIPAL:
		return bucketPrincipals
	case logv1.Kind_KIND_POLICY:
		return bucketPolicies
	}
	return nil
}

// number is how numbers are stored: in an order that is that of the bytes.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func metaNumber(tx *bbolt.Tx, name []byte) (uint64, error) {
	value := tx.Bucket(bucketMeta).Get(name)
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: its %s is damaged", ErrFormat, name)
	}
	return binary.BigEndian.Uint64(value), nil
}
