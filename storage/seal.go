package storage

import "github.com/latchkey/latchkey/storage/boltguard"

// Each value in the file is sealed by a checksum over bucket, name and value.

var (
	castagnoli  = boltguard.Castagnoli
	errChecksum = boltguard.ErrChecksum
)

// seal returns a value as it is stored.
func seal(bucket, name, value []byte) []byte { return boltguard.Seal(bucket, name, value) }

// unseal returns the value that was stored, not copied.
func unseal(bucket, name, sealed []byte) ([]byte, error) {
	return boltguard.Unseal(bucket, name, sealed)
}
