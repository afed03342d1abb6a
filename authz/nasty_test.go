package authz

import (
	"bytes"
	"math"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// nasty is a message that is made to be misread.
type nasty struct {
	name      string
	malformed bool
	message   []byte
}

// Messages are written from the inside out, each by its field number.

func wrap(number protowire.Number, pieces ...[]byte) []byte {
	b := protowire.AppendTag(nil, number, protowire.BytesType)
	return protowire.AppendBytes(b, bytes.Join(pieces, nil))
}

func str(number protowire.Number, s string) []byte { return wrap(number, []byte(s)) }

func tag(number protowire.Number, t protowire.Type) []byte {
	return protowire.AppendTag(nil, number, t)
}

func join(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

// The ways to what a check reads.
func attributes(pieces ...[]byte) []byte { return wrap(1, pieces...) }
func request(pieces ...[]byte) []byte    { return attributes(wrap(4, pieces...)) }
func httpOf(pieces ...[]byte) []byte     { return request(wrap(2, pieces...)) }
func listed(pieces ...[]byte) []byte     { return httpOf(wrap(13, pieces...)) }
func entry(number protowire.Number, name, value string) []byte {
	return wrap(number, str(1, name), str(2, value))
}

// nested is a message within itself, n times over: build puts one around what it is given.
func nested(n int, b []byte, build func([]byte) []byte) []byte {
	for range n {
		b = build(b)
	}
	return b
}

// groups opens and closes n groups within each other.
func groups(n int) []byte {
	return join(bytes.Repeat(tag(99, protowire.StartGroupType), n), bytes.Repeat(tag(99, protowire.EndGroupType), n))
}

// inMetadata puts a google.protobuf.Value where Envoy's metadata have one.
func inMetadata(value []byte) []byte {
	return attributes(wrap(11, wrap(1, str(1, "filter"), wrap(2, wrap(1, str(1, "field"), wrap(2, value))))))
}

// nastyMessages are made once: the deep ones take a while.
var nastyMessages = sync.OnceValue(func() []nasty {
	longest := strings.Repeat("\x80", 9) + "\x00" // ten bytes that say 0
	all := []nasty{
		{"nothing", false, nil},
		{"empty attributes", false, attributes()},
		{"a message that ends in its tag", true, []byte{0x8a}},
		{"a message without its length", true, tag(1, protowire.BytesType)},
		{"a length that ends too early", true, append(tag(1, protowire.BytesType), 0x80)},
		{"a length beyond the end", true, append(tag(1, protowire.BytesType), 1)},
		{"a length beyond the end, within", true, attributes([]byte{4<<3 | 2, 5, 0})},
		{"a length of 64 bits", true, append(tag(1, protowire.BytesType), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...)},
		{"a length that turns negative", true, append(tag(1, protowire.BytesType), "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"...)},
		{"a length in ten bytes", false, append(tag(1, protowire.BytesType), longest...)},
		{"a length in eleven bytes", true, append(tag(1, protowire.BytesType), "\x80"+longest...)},
		{"a length whose tenth byte is too much", true, append(tag(1, protowire.BytesType), strings.Repeat("\x80", 9)+"\x02"...)},
		{"a tag in ten bytes", false, append([]byte("\x8a"+strings.Repeat("\x80", 8)+"\x00"), 0)},
		{"a tag in eleven bytes", true, append([]byte("\x8a"+strings.Repeat("\x80", 9)+"\x00"), 0)},
		{"the field 0", true, []byte{0<<3 | 2, 0}},
		{"the field 0, in two bytes", true, []byte{0x82, 0, 0}},
		{"the field 0, as a header", true, attributes([]byte{0, 6}, str(1, "a"), str(2, "x"))},
		{"the field 0, as a header, on its own", true, join([]byte{0, 6}, str(1, "a"), str(2, "x"))},
		{"the highest field", false, wrap(1<<29-1, nil)},
		{"a field beyond the highest", true, append(protowire.AppendVarint(nil, 1<<29<<3|2), 0)},
		{"a field beyond 32 bits, which would be field 1", true, append(protowire.AppendVarint(nil, (1<<32|1)<<3|2), 0)},
		{"a field beyond the highest, in a group", false, join(tag(9, protowire.StartGroupType), protowire.AppendVarint(nil, 1<<29<<3|2), []byte{0}, tag(9, protowire.EndGroupType))},
		{"a field beyond 31 bits, in a group", true, join(tag(9, protowire.StartGroupType), protowire.AppendVarint(nil, 1<<31<<3|2), []byte{0}, tag(9, protowire.EndGroupType))},
		{"a field beyond the highest, in an entry", true, httpOf(wrap(3, protowire.AppendVarint(nil, 1<<29<<3|2), []byte{0}))},
		{"the wire type 6", true, []byte{9<<3 | 6, 0}},
		{"the wire type 7", true, []byte{9<<3 | 7, 0}},
		{"the wire type 7 for a known field", true, httpOf([]byte{2<<3 | 7})},

		{"an unknown varint", false, append(tag(99, protowire.VarintType), longest...)},
		{"an unknown varint that doesn't end", true, append(tag(99, protowire.VarintType), "\xff\xff"...)},
		{"an unknown varint of 65 bits", true, append(tag(99, protowire.VarintType), strings.Repeat("\xff", 9)+"\x02"...)},
		{"an unknown fixed32", false, append(tag(99, protowire.Fixed32Type), "abcd"...)},
		{"an unknown fixed32, short", true, append(tag(99, protowire.Fixed32Type), "abc"...)},
		{"an unknown fixed64", false, append(tag(99, protowire.Fixed64Type), "abcdefgh"...)},
		{"an unknown fixed64, short", true, append(tag(99, protowire.Fixed64Type), "abcdefg"...)},
		{"unknown bytes in no UTF-8", false, str(99, "\xff")},
		{"a group", false, groups(1)},
		{"a group with a field", false, join(tag(99, protowire.StartGroupType), str(1, "\xff"), tag(99, protowire.EndGroupType))},
		{"a group that doesn't end", true, tag(99, protowire.StartGroupType)},
		{"a group that ends as another", true, join(tag(99, protowire.StartGroupType), tag(98, protowire.EndGroupType))},
		{"the end of no group", true, tag(99, protowire.EndGroupType)},
		{"the end of no group, within", true, attributes(tag(4, protowire.EndGroupType))},
		{"the end of no group, in an entry", true, httpOf(wrap(3, tag(1, protowire.EndGroupType)))},
		{"the attributes as a group", false, join(tag(1, protowire.StartGroupType), str(1, "\xff"), tag(1, protowire.EndGroupType))},
		{"groups, as many as may be", false, groups(10_001)},
		{"groups, one too many", true, groups(10_002)},

		{"the method as a varint", false, httpOf(tag(2, protowire.VarintType), []byte{5}, str(2, "GET"))},
		{"the method as a fixed32", false, httpOf(str(2, "GET"), tag(2, protowire.Fixed32Type), []byte("POST"))},
		{"the method as a group", false, httpOf(tag(2, protowire.StartGroupType), tag(2, protowire.EndGroupType))},
		{"the headers as a varint", false, httpOf(tag(3, protowire.VarintType), []byte{0})},
		{"the list of headers as a fixed64", false, httpOf(tag(13, protowire.Fixed64Type), []byte("abcdefgh"))},
		{"the size as bytes", false, httpOf(str(9, "\xff"))},
		{"the size in ten bytes", false, httpOf(tag(9, protowire.VarintType), []byte(longest))},
		{"the size without end", true, httpOf(tag(9, protowire.VarintType), []byte("\xff"))},

		{"two methods", false, httpOf(str(2, "GET"), str(2, "DELETE"))},
		{"a method and an empty one", false, httpOf(str(2, "GET"), str(2, ""))},
		{"a path in two pieces of the message", false, join(httpOf(str(4, "/a"), str(2, "GET")), httpOf(str(4, "/b")))},
		{"a request in two pieces", false, attributes(wrap(4, wrap(2, str(2, "GET"))), wrap(4, wrap(2, str(5, "host"))))},
		{"a path and later attributes", false, join(httpOf(str(4, "/a")), attributes(wrap(10, str(1, "x"))))},
		{"a list in two pieces", false, httpOf(wrap(13, wrap(1, str(1, "a"), str(3, "1"))), wrap(13, wrap(1, str(1, "a"), str(3, "2"))))},
		{"both forms of headers", false, httpOf(entry(3, "authorization", "Bearer x"), wrap(13, wrap(1, str(1, "Authorization"), str(3, "Bearer y"))))},

		{"an entry of a map", false, httpOf(entry(3, "authorization", "Bearer x"))},
		{"an entry twice", false, httpOf(entry(3, "authorization", "x"), entry(3, "authorization", "y"))},
		{"an entry twice, the last empty", false, httpOf(entry(3, "authorization", "x"), wrap(3, str(1, "authorization")))},
		{"an entry without a key", false, httpOf(wrap(3, str(2, "x")))},
		{"an entry without anything", false, httpOf(wrap(3))},
		{"an entry with its value first", false, httpOf(wrap(3, str(2, "x"), str(1, "authorization")))},
		{"an entry with two keys", false, httpOf(wrap(3, str(1, "a"), str(1, "authorization"), str(2, "x")))},
		{"an entry with two values", false, httpOf(wrap(3, str(1, "authorization"), str(2, "x"), str(2, "y")))},
		{"an entry with a third field, which is raw in the list", false, httpOf(wrap(3, str(1, "authorization"), str(3, "x")))},
		{"an entry with a third field in no UTF-8", false, httpOf(wrap(3, str(1, "authorization"), str(3, "\xff")))},
		{"an entry whose key is a varint", false, httpOf(wrap(3, []byte{1 << 3, 5}, str(2, "x")))},
		{"an entry whose value is a group", false, httpOf(wrap(3, str(1, "a"), tag(2, protowire.StartGroupType), tag(2, protowire.EndGroupType)))},
		{"an entry whose value ends too early", true, httpOf(wrap(3, str(1, "a"), []byte{2<<3 | 2, 2, 'x'}))},
		{"an entry whose key ends too early", true, httpOf(wrap(3, []byte{1<<3 | 2, 2, 'x'}))},
		{"an entry that ends after its key's tag", true, httpOf(wrap(3, []byte{1<<3 | 2}))},
		{"an entry that ends after its value's tag", true, httpOf(wrap(3, str(1, "a"), []byte{2<<3 | 2}))},
		{"an entry of 127 bytes", false, httpOf(entry(3, "authorization", strings.Repeat("x", 127-17)))},
		{"a value of 127 bytes", false, httpOf(entry(3, "authorization", strings.Repeat("x", 127)))},
		{"a value of 128 bytes", false, httpOf(entry(3, "authorization", strings.Repeat("x", 128)))},
		{"a key of 128 bytes", false, httpOf(entry(3, strings.Repeat("x", 128), "x"))},
		{"a key whose length has two bytes", false, httpOf(wrap(3, []byte{1<<3 | 2, 0x81, 0, 'a'}, str(2, "x")))},
		{"a value whose length has two bytes", false, httpOf(wrap(3, str(1, "a"), []byte{2<<3 | 2, 0x81, 0, 'x'}))},
		{"a key whose tag has two bytes", false, httpOf(wrap(3, []byte{0x8a, 0, 1, 'a'}, str(2, "x")))},
		{"a key in no UTF-8", true, httpOf(entry(3, "\xff", "x"))},
		{"a value in no UTF-8", true, httpOf(entry(3, "x", "\xff"))},
		{"a value in no UTF-8, and then one in it", true, httpOf(wrap(3, str(1, "x"), str(2, "\xff"), str(2, "x")))},
		{"a surrogate", true, httpOf(str(4, "\xed\xa0\x80"))},
		{"an overlong slash", true, httpOf(str(4, "\xc0\xaf"))},
		{"the last rune", false, httpOf(str(4, "/\U0010ffff"))},
		{"a rune after the last", true, httpOf(str(4, "\xf4\x90\x80\x80"))},
		{"half a rune at the end of a name", true, httpOf(wrap(13, wrap(1, str(1, "authorization\xc3"))))},

		{"a header that is raw", false, listed(wrap(1, str(1, "authorization"), str(3, "\xff")))},
		{"a header that is plain", false, listed(wrap(1, str(1, "authorization"), str(2, "x")))},
		{"a header that is both", false, listed(wrap(1, str(1, "authorization"), str(2, "x"), str(3, "y")))},
		{"a header that is both, raw first", false, listed(wrap(1, str(1, "authorization"), str(3, "y"), str(2, "x")))},
		{"a header whose raw value is empty", false, listed(wrap(1, str(1, "authorization"), str(2, "x"), str(3, "")))},
		{"a header whose last raw value is empty", false, listed(wrap(1, str(1, "authorization"), str(3, "y"), str(3, ""), str(2, "x")))},
		{"a header without a name", false, listed(wrap(1, str(3, "x")))},
		{"a header without anything", false, listed(wrap(1))},
		{"a plain value in no UTF-8", true, listed(wrap(1, str(1, "x"), str(2, "\xff")))},
		{"a plain value in UTF-8", false, listed(wrap(1, str(1, "x"), str(2, "é")))},
		{"a plain value in no UTF-8, beside a raw one", true, listed(wrap(1, str(1, "x"), str(2, "\xff"), str(3, "y")))},
		{"a name in capitals", false, listed(wrap(1, str(1, "AUTHORIZATION"), str(3, "x")), wrap(1, str(1, "authorization"), str(3, "y")))},
		{"a name with the sign for kelvin", false, listed(wrap(1, str(1, "x-latch\u212aey-policy"), str(3, "x")))},
		{"a name with a long s", false, listed(wrap(1, str(1, "x-latchkey-\u017fcopes"), str(3, "x")))},
		{"two raw paths", false, httpOf(str(4, "/a"), wrap(13, wrap(1, str(1, ":path"), str(3, "/a")), wrap(1, str(1, ":path"), str(3, "/a"))))},
		{"two raw paths, one empty", false, httpOf(str(4, "/a"), wrap(13, wrap(1, str(1, ":path"), str(3, "")), wrap(1, str(1, ":path"), str(3, "/a"))))},
		{"a path that isn't raw", false, httpOf(str(4, "/a"), wrap(13, wrap(1, str(1, ":path"), str(2, "/b"))))},
		{"a raw path in capitals", false, httpOf(str(4, "/a"), wrap(13, wrap(1, str(1, ":PATH"), str(3, "/b"))))},
		{"a raw path that contradicts", false, httpOf(str(4, "/a"), wrap(13, wrap(1, str(1, ":path"), str(3, "/b"))))},

		{"extensions", false, attributes(entry(10, "latchkey.policy", "acme"), entry(10, "latchkey.environment", "live"))},
		{"an extension twice", false, attributes(entry(10, "latchkey.policy", "acme"), entry(10, "latchkey.policy", "captured"))},
		{"an extension twice, the last empty", false, attributes(entry(10, "latchkey.policy", "acme"), wrap(10, str(1, "latchkey.policy")))},
		{"an extension that a client could mean", false, httpOf(entry(10, "latchkey.policy", "acme"))},

		{"an address", false, attributes(wrap(1, wrap(1, wrap(1, str(2, "127.0.0.1"), []byte{3 << 3, 0x80, 0x01}))))},
		{"an address in no UTF-8", true, attributes(wrap(1, wrap(1, wrap(1, str(2, "\xff")))))},
		{"an address of two kinds", false, attributes(wrap(1, wrap(1, wrap(1, str(2, "a")), wrap(2, str(1, "b")))))},
		{"a named port in no UTF-8", true, attributes(wrap(2, wrap(1, wrap(1, str(4, "\xff")))))},
		{"a principal in no UTF-8", true, attributes(wrap(1, str(4, "\xff")))},
		{"a label in no UTF-8", true, attributes(wrap(2, entry(3, "x", "\xff")))},
		{"a label's key twice, the first in no UTF-8", true, attributes(wrap(2, wrap(3, str(1, "\xff"), str(1, "x"))))},
		{"a time", false, request(wrap(1, []byte{1 << 3, 1, 2 << 3, 1}))},
		{"a time without end", true, request(wrap(1, []byte{1 << 3, 0x80}))},
		{"a body in no UTF-8", true, httpOf(str(11, "\xff"))},
		{"a raw body in no UTF-8", false, httpOf(str(12, "\xff"))},
		{"an id in no UTF-8", true, httpOf(str(1, "\xff"))},
		{"a server name in no UTF-8", true, attributes(wrap(12, str(1, "\xff")))},

		{"metadata", false, inMetadata(str(3, "text"))},
		{"metadata in no UTF-8", true, inMetadata(str(3, "\xff"))},
		{"metadata whose key is in no UTF-8", true, attributes(wrap(11, wrap(1, str(1, "\xff"))))},
		{"metadata of a number", false, inMetadata(protowire.AppendFixed64(tag(2, protowire.Fixed64Type), math.Float64bits(math.NaN())))},
		{"metadata of half a number", true, inMetadata(append(tag(2, protowire.Fixed64Type), 1, 2, 3))},
		{"metadata of a list", false, inMetadata(wrap(6, wrap(1, str(3, "a")), wrap(1, []byte{4 << 3, 2})))},
		{"metadata of any type", false, attributes(wrap(13, wrap(2, str(1, "filter"), wrap(2, str(1, "type.googleapis.com/x"), str(2, "\xff")))))},
		{"metadata of a type in no UTF-8", true, attributes(wrap(13, wrap(2, str(1, "filter"), wrap(2, str(1, "\xff")))))},
	}
	// A message may be 10,000 deep, entries of maps counted. The way to the first
	// value is 7, a list adds 2, and an object 3.
	list := func(b []byte) []byte { return wrap(6, wrap(1, b)) }
	object := func(b []byte) []byte { return wrap(5, wrap(1, wrap(2, b))) }
	for _, n := range []int{100, 1000, 3331, 3332, 4996, 4997} {
		all = append(all,
			nasty{"lists within each other", n > 4996, inMetadata(nested(n, nil, list))},
			nasty{"objects within each other", n > 3331, inMetadata(nested(n, nil, object))})
	}
	// At the bottom the depth of an entry counts before its wire type does.
	noMap := wrap(5, []byte{1 << 3, 0})
	return append(all,
		nasty{"a map that is a varint, just above the bottom", false, inMetadata(nested(4995, noMap, list))},
		nasty{"a map that is a varint, at the bottom", true, inMetadata(nested(4996, noMap, list))})
})

// TestNastyMessages are malformed or not as their names say, and are read and
// answered as the generated types do it.
func TestNastyMessages(t *testing.T) {
	s := fixture(t, newWorld(t, compile(t, capturedPolicy)))
	for _, c := range nastyMessages() {
		r, _, err := decodeBoth(c.message)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if (r == nil) != c.malformed {
			t.Errorf("%s (%d bytes): malformed is %v", c.name, len(c.message), r == nil)
		}
		if err := checkBoth(s, noon, c.message); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestEveryCutAndEveryByte: a real message that ends anywhere, or has any of
// its bytes changed to a few others, is read as the generated types read it.
func TestEveryCutAndEveryByte(t *testing.T) {
	for i, c := range captures(t) {
		if i%6 != 0 {
			continue // the others are much the same, and the fuzzing has them all
		}
		for end := range c.bytes {
			if _, _, err := decodeBoth(c.bytes[:end]); err != nil {
				t.Fatalf("%s, cut at %d: %v", c.ID, end, err)
			}
		}
		changed := bytes.Clone(c.bytes)
		for i, b := range c.bytes {
			for _, other := range []byte{0, 1, 0x7f, 0x80, 0xff, b ^ 1, b ^ 2, b ^ 4, b ^ 8, b + 1, b - 1} {
				changed[i] = other
				if _, _, err := decodeBoth(changed); err != nil {
					t.Fatalf("%s, byte %d as %#x: %v", c.ID, i, other, err)
				}
			}
			changed[i] = b
		}
	}
}
