package authz

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// errMalformed is all that is told of a message that isn't a CheckRequest:
// what is wrong with it could quote the request.
var errMalformed = errors.New("the CheckRequest is malformed")

// decoder reads one CheckRequest from the wire, as proto.Unmarshal would and
// without making a value of it: the last of a field's occurrences counts,
// occurrences of a message are merged, and what isn't known, or has another
// wire type than its field, is skipped if it is well-formed
// (https://protobuf.dev/programming-guides/encoding). A message is malformed
// exactly where proto.Unmarshal fails, also in what nobody reads.
type decoder struct {
	request          *Request
	name, plain, raw []byte // of the entry at hand
}

// decode reads the message into an empty request, whose text is then the
// message's own memory.
func (r *Request) decode(message []byte) error {
	d := decoder{request: r}
	if !d.message(message, checkRequest, protowire.DefaultRecursionLimit) {
		return errMalformed
	}
	r.line()
	return nil
}

// message reads a message. It reports whether that is well-formed.
func (d *decoder) message(b []byte, s *schema, depth int) bool {
	if depth--; depth < 0 {
		return false
	}
	for len(b) > 0 {
		if s.use != 0 && b[0] == s.entries {
			if b = d.short(b, s); len(b) == 0 {
				break
			}
		}
		tag, n := uint64(b[0]), 1
		if tag >= 0x80 {
			if tag, n = protowire.ConsumeVarint(b); n < 0 {
				return false
			}
		}
		b = b[n:]
		number, wireType := tag>>3, protowire.Type(tag&7)
		if number-1 >= uint64(protowire.MaxValidNumber) {
			return false
		}
		f := &unknown
		if number < uint64(len(s.fields)) {
			f = &s.fields[number]
		}
		if f.wire != protowire.BytesType || wireType != protowire.BytesType {
			if f.kind == isMap && depth == 0 {
				return false // proto.Unmarshal looks at the depth before the wire type
			}
			if n = scalar(b, f, protowire.Number(number), wireType); n < 0 { //nolint:gosec // checked above
				return false
			}
			b = b[n:]
			continue
		}
		if len(b) == 0 {
			return false
		}
		size, n := uint64(b[0]), 1
		if size >= 0x80 {
			if size, n = protowire.ConsumeVarint(b); n < 0 {
				return false
			}
		}
		if size > uint64(len(b)-n) {
			return false
		}
		end := n + int(size)
		if !d.value(b[n:end], f, depth) {
			return false
		}
		b = b[end:]
	}
	return true
}

var unknown fieldSchema

// malformed is the length of a value that isn't one.
const malformed = -1

// scalar returns the length of a value that isn't text, bytes or a message, or
// that belongs to no field.
func scalar(b []byte, f *fieldSchema, number protowire.Number, wireType protowire.Type) int {
	switch {
	case f.wire == wireType && wireType == protowire.VarintType:
		_, n := protowire.ConsumeVarint(b)
		return n
	case f.packed && wireType == protowire.BytesType:
		return packed(b, f.wire)
	}
	return protowire.ConsumeFieldValue(number, wireType, b)
}

// value reads a value that is text, bytes or a message.
func (d *decoder) value(v []byte, f *fieldSchema, depth int) bool {
	switch f.kind {
	case isText:
		if !isASCII(text(v)) && !utf8.Valid(v) {
			return false
		}
	case isMessage, isMap:
		if f.use == 0 {
			return d.message(v, f.message, depth)
		}
		d.name, d.plain, d.raw = nil, nil, nil
		if !d.message(v, f.message, depth) {
			return false
		}
		d.add(f.use, d.name, d.plain, d.raw)
		return true
	}
	switch r := d.request; f.use {
	case useMethod:
		r.method = text(v)
	case useHost:
		r.host = text(v)
	case usePath:
		r.shown = text(v)
	case useName:
		d.name = v
	case useValue:
		d.plain = v
	case useRaw:
		d.raw = v
	}
	return true
}

// add keeps an entry.
func (d *decoder) add(u use, name, value, raw []byte) {
	r := d.request
	switch u {
	case useMapped:
		r.headers.add(&r.headers.mapped, text(name), text(value), isPlain(text(name)))
	case useListed:
		r.list(text(name), text(value), text(raw))
	case useExtension:
		if r.extensions == nil {
			r.extensions = map[string]string{}
		}
		r.extensions[text(name)] = text(value)
	}
}

// Tags of an entry: of a map, and of a HeaderValue, which has a raw value too.
const (
	tagEntryName  = 1<<3 | 2
	tagEntryValue = 2<<3 | 2
	tagEntryRaw   = 3<<3 | 2
)

// short keeps the headers that a message begins with, as far as they are
// written as everybody writes them, in less than 128 bytes: a plain name and a
// value, in this order. That is nearly all of a request. It returns what is
// left; what it refuses is left to value and add, which it agrees with.
func (d *decoder) short(b []byte, s *schema) []byte {
	h := &d.request.headers
	list := &h.mapped
	if s.use == useListed {
		list = &h.listed
	}
	kept, traits := *list, h.traits
	for len(b) >= 6 && b[0] == s.entries && b[1] < oneByte && b[2] == tagEntryName {
		end := int(b[1]) + 2
		if len(b) < end || int(b[3])+6 > end {
			break
		}
		name, rest := text(b[4:b[3]+4]), b[b[3]+4:end]
		value := text(rest[2:])
		raw := s.use == useListed && rest[0] == tagEntryRaw
		if len(value) != int(rest[1]) || !raw && (rest[0] != tagEntryValue || !isASCII(value)) || name == pathHeader || !isPlain(name) {
			break
		}
		kept = append(kept, header{name, value, true})
		traits |= trait(name)
		b = b[end:]
	}
	*list, h.traits = kept, traits
	return b
}

// packed checks the elements of a repeated field that stand in one piece, and
// returns their length.
func packed(b []byte, wireType protowire.Type) int {
	v, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return malformed
	}
	switch wireType {
	case protowire.Fixed32Type:
		if len(v)%4 != 0 {
			return malformed
		}
	case protowire.Fixed64Type:
		if len(v)%8 != 0 {
			return malformed
		}
	default:
		for len(v) > 0 {
			_, n := protowire.ConsumeVarint(v)
			if n < 0 {
				return malformed
			}
			v = v[n:]
		}
	}
	return n
}
