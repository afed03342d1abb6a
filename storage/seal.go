package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Each value in the file ends in a checksum over bucket, name and value, so
// that a flipped bit, and a value under another's name, is found and placed.
// bbolt itself has a checksum for its two meta pages only.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errChecksum = errors.New("its checksum is wrong")

func checksum(bucket, name, value []byte) uint32 {
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(name)))
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, length[:])
	sum = crc32.Update(sum, castagnoli, name)
	return crc32.Update(sum, castagnoli, value)
}

// seal returns a value as it is stored.
func seal(bucket, name, value []byte) []byte {
	sealed := make([]byte, 0, len(value)+crc32.Size)
	sealed = append(sealed, value...)
	return binary.LittleEndian.AppendUint32(sealed, checksum(bucket, name, value))
}

// unseal returns the value that was stored, not copied.
func unseal(bucket, name, sealed []byte) ([]byte, error) {
	end := len(sealed) - crc32.Size
	if end < 0 || binary.LittleEndian.Uint32(sealed[end:]) != checksum(bucket, name, sealed[:end]) {
		return nil, errChecksum
	}
	return sealed[:end:end], nil
}
