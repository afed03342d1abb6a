package storage

import (
	"encoding/binary"
	"time"

	"github.com/latchkey/latchkey/internal/alias"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage/table"
)

// What checks need of keys is kept in memory in one row for each secret:
//
//	digest (32 bytes) │ flags │ number of the shape │ id │ owner │ creator │ expiry │ end of the secret
//
// An id that key.NewID made is its 16 random bytes. Texts follow their length.
// What is absent by the flags takes no room. Policy, type, environment, role and
// scopes are the key's shape, which most keys have in common with many others.

const (
	rowOtherID   = 1 << iota // the id is text
	rowPrincipal             // the owner is a principal
	rowCreator
	rowExpires
	rowUntil
	rowRevoked
	rowDisabled
)

// objectMax is the longest object, encoded: what is made of it has room in a table.
const objectMax = table.EntryMax / 4

func rowDigest(row []byte) []byte { return row[:len(key.Digest{})] }

// appendRow appends the row of a secret.
func appendRow(b []byte, d *key.Digest, f *key.Facts, shape uint32) []byte {
	b = append(b, d[:]...)
	var flags byte
	flag := func(bit byte, is bool) {
		if is {
			flags |= bit
		}
	}
	random, short := f.ID.Random()
	flag(rowOtherID, !short)
	flag(rowPrincipal, f.Principal != "")
	flag(rowCreator, f.Creator != "")
	flag(rowExpires, !f.Expires.IsZero())
	flag(rowUntil, !f.Until.IsZero())
	flag(rowRevoked, f.Revoked)
	flag(rowDisabled, f.Disabled)
	b = binary.AppendUvarint(append(b, flags), uint64(shape))
	if short {
		b = append(b, random[:]...)
	} else {
		b = appendText(b, f.ID.String())
	}
	b = appendText(b, f.Tenant+f.Principal)
	if f.Creator != "" {
		b = appendText(b, f.Creator)
	}
	if !f.Expires.IsZero() {
		b = appendTime(b, f.Expires)
	}
	if !f.Until.IsZero() {
		b = appendTime(b, f.Until)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Unix()))
	return binary.LittleEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

// rowReader takes a row apart.
type rowReader struct{ rest []byte }

func readRow(row []byte) (r rowReader, flags byte, shape uint32) {
	r.rest = row[len(key.Digest{}):]
	flags = r.rest[0]
	r.rest = r.rest[1:]
	return r, flags, uint32(r.number())
}

func (r *rowReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.rest = r.rest[size:]
	return n
}

// text returns text that lies in the row, which never changes.
func (r *rowReader) text() string {
	n := int(r.number())
	s := alias.String(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *rowReader) time() time.Time {
	t := time.Unix(int64(binary.LittleEndian.Uint64(r.rest)), int64(binary.LittleEndian.Uint32(r.rest[8:]))).UTC()
	r.rest = r.rest[12:]
	return t
}

func (r *rowReader) id(flags byte) key.ID {
	if flags&rowOtherID != 0 {
		return key.ParseID(r.text())
	}
	id := key.RandomID([16]byte(r.rest))
	r.rest = r.rest[16:]
	return id
}

// keys is the keys of a view: rows by digest, and the shapes they refer to.
type keys struct {
	rows   *table.Table
	shapes []*shape
}

// facts fills in what a row says.
func (k *keys) facts(row []byte, f *key.Facts) {
	r, flags, number := readRow(row)
	s := k.shapes[number]
	*f = key.Facts{
		Policy: s.policy, Type: s.keyType, Environment: s.environment, Role: s.role, Scopes: s.scopes,
		Revoked: flags&rowRevoked != 0, Disabled: flags&rowDisabled != 0,
	}
	f.ID = r.id(flags)
	if flags&rowPrincipal != 0 {
		f.Principal = r.text()
	} else {
		f.Tenant = r.text()
	}
	if flags&rowCreator != 0 {
		f.Creator = r.text()
	}
	if flags&rowExpires != 0 {
		f.Expires = r.time()
	}
	if flags&rowUntil != 0 {
		f.Until = r.time()
	}
}
