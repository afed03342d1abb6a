package boltguard

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Each value in the file ends in a checksum over bucket, name and value, so
// that a flipped bit, and a value under another's name, is found and placed.
// bbolt itself has a checksum for its two meta pages only.

// Castagnoli is the table of the checksum.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrChecksum is returned for a value that isn't the one that was sealed.
var ErrChecksum = errors.New("its checksum is wrong")

func checksum(bucket, name, value []byte) uint32 {
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(name)))
	sum := crc32.Update(0, Castagnoli, bucket)
	sum = crc32.Update(sum, Castagnoli, length[:])
	sum = crc32.Update(sum, Castagnoli, name)
	return crc32.Update(sum, Castagnoli, value)
}

// Seal returns a value as it is stored.
func Seal(bucket, name, value []byte) []byte {
	sealed := make([]byte, 0, len(value)+crc32.Size)
	sealed = append(sealed, value...)
	return binary.LittleEndian.AppendUint32(sealed, checksum(bucket, name, value))
}

// Unseal returns the value that was stored, not copied.
func Unseal(bucket, name, sealed []byte) ([]byte, error) {
	end := len(sealed) - crc32.Size
	if end < 0 || binary.LittleEndian.Uint32(sealed[end:]) != checksum(bucket, name, sealed[:end]) {
		return nil, ErrChecksum
	}
	return sealed[:end:end], nil
}
