package key

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/alias"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
)

// Scan reads stored records for their facts alone, without an allocation for
// each. It may be used again and again, by one goroutine.
type Scan struct {
	ID       string // the key's name
	Revision uint64
	Secrets  []ScannedSecret // the newest last

	scopes []string
}

// ScannedSecret is a secret of a record, and the facts for who presents it.
type ScannedSecret struct {
	Digest Digest
	Facts  Facts
}

// Read reads an encoded keyv1.Record. It takes what proto.Unmarshal and
// FromProto take, and has what Record.FactsOf says; what they refuse is their
// error. The texts are parts of b.
func (s *Scan) Read(b []byte) error {
	if s.plain(b) {
		return nil
	}
	var m keyv1.Record
	if err := proto.Unmarshal(b, &m); err != nil {
		return err
	}
	s.ID = m.GetId()
	r, err := FromProto(&m)
	if err != nil {
		return err
	}
	s.Revision, s.Secrets = r.Revision, s.Secrets[:0]
	for i := range r.Secrets {
		s.Secrets = append(s.Secrets, ScannedSecret{r.Secrets[i].Digest, *r.facts(&r.Secrets[i])})
	}
	return nil
}

// plain reads a record that is encoded as all of them are: each field once, in
// order, and nothing else. It returns false for anything in which it isn't sure
// to be of one opinion with the others.
func (s *Scan) plain(b []byte) bool {
	s.Secrets, s.scopes = s.Secrets[:0], s.scopes[:0]
	var f Facts
	var revision uint64
	last := uint64(0)
	id := ""
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		number, kind := tag>>3, tag&7
		if n != 1 && n != 2 || number < last || number == last && number != 9 && number != 12 {
			return false
		}
		b, last = b[n:], number
		if number >= 16 {
			if kind != 0 {
				return false
			}
			value, n := binary.Uvarint(b)
			if n <= 0 || number != 18 && value != 1 {
				return false
			}
			b = b[n:]
			switch number {
			case 16:
				f.Disabled = true
			case 17: // system: no fact of a check
			case 18:
				revision = value
			default:
				return false
			}
			continue
		}
		length, n := binary.Uvarint(b)
		if kind != 2 || n <= 0 || length > uint64(len(b)-n) {
			return false
		}
		value := b[n : n+int(length)]
		b = b[n+int(length):]
		ok := true
		switch number {
		case 1:
			id, ok = text(value)
		case 2:
			f.Policy, ok = text(value)
		case 3:
			f.Type, ok = text(value)
		case 4:
			f.Environment, ok = text(value)
		case 5:
			f.Tenant, ok = text(value)
		case 6:
			f.Principal, ok = text(value)
		case 7:
			f.Creator, ok = text(value)
		case 8:
			f.Role, ok = text(value)
		case 9:
			var scope string
			scope, ok = text(value)
			s.scopes = append(s.scopes, scope)
		case 10, 11:
			_, ok = text(value)
		case 12:
			var secret ScannedSecret
			ok = secret.plain(value)
			s.Secrets = append(s.Secrets, secret)
		case 13:
			_, ok = plainTime(value)
		case 14:
			f.Expires, ok = plainTime(value)
		case 15:
			_, ok = plainTime(value)
			f.Revoked = true
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	if id == "" || f.Policy == "" || f.Type == "" || (f.Tenant == "") == (f.Principal == "") || len(s.Secrets) == 0 {
		return false
	}
	if len(s.scopes) > 0 {
		f.Scopes = s.scopes
	}
	f.ID = ParseID(id)
	for i := range s.Secrets {
		secret := &s.Secrets[i]
		if newest := i == len(s.Secrets)-1; newest != secret.Facts.Until.IsZero() {
			return false
		}
		f.Until = secret.Facts.Until
		secret.Facts = f
	}
	s.ID, s.Revision = id, revision
	return true
}

func (s *ScannedSecret) plain(b []byte) bool {
	last := uint64(0)
	for len(b) > 0 {
		if len(b) < 2 || b[0]&7 != 2 || b[0] >= 0x80 || uint64(b[0]>>3) <= last {
			return false
		}
		last = uint64(b[0] >> 3)
		length, n := binary.Uvarint(b[1:])
		b = b[1:]
		if n <= 0 || length > uint64(len(b)-n) {
			return false
		}
		value := b[n : n+int(length)]
		b = b[n+int(length):]
		ok := true
		switch last {
		case 1:
			ok = copy(s.Digest[:], value) == len(s.Digest) && len(value) == len(s.Digest)
		case 2, 3:
			_, ok = text(value)
		case 4:
			_, ok = plainTime(value)
		case 5:
			s.Facts.Until, ok = plainTime(value)
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return s.Digest != (Digest{})
}

// plainTime reads a google.protobuf.Timestamp that is valid and not the zero
// time.
func plainTime(b []byte) (t time.Time, ok bool) {
	var seconds, nanos uint64
	if len(b) > 0 && b[0] == 1<<3 {
		var n int
		if seconds, n = binary.Uvarint(b[1:]); n <= 0 {
			return t, false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && b[0] == 2<<3 {
		var n int
		if nanos, n = binary.Uvarint(b[1:]); n <= 0 || nanos > 999_999_999 {
			return t, false
		}
		b = b[1+n:]
	}
	const first, beyond = -62_135_596_800, 253_402_300_800 // of the years 1 to 9999
	if at := int64(seconds); len(b) > 0 || at < first || at >= beyond {
		return t, false
	}
	t = time.Unix(int64(seconds), int64(nanos)).UTC()
	return t, !t.IsZero()
}

// text is the bytes as a string, not copied, if they can be one in a message.
func text(b []byte) (string, bool) {
	return alias.String(b), utf8.Valid(b)
}
