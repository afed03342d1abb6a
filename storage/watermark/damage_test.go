package watermark

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// sample is a small file, with a little room at its end, and what it holds.
func sample(t failer) ([]byte, *Contents) {
	t.Helper()
	s := salt{1, 2, 3}
	b := header(s)
	var err error
	for _, m := range []*logv1.Mark{
		base(3, "key_old"), mark(4), mark(5, putKey(t, "key_a", true, 40)), mark(6), mark(7, putKey(t, "key_b", false, 0)),
	} {
		b, err = s.appendFrame(b, int64(len(b)), m)
		must(t, err)
	}
	b = append(b, make([]byte, 100)...)
	c, err := parse(b)
	must(t, err)
	if c.Damage != nil || c.Torn || len(c.Marks) != 5 || c.end != int64(len(b)-100) {
		t.Fatalf("%d marks, damage %v, torn %t", len(c.Marks), c.Damage, c.Torn)
	}
	return b, c
}

func TestEveryFlippedByte(t *testing.T) {
	whole, want := sample(t)
	for at := range whole {
		for _, flip := range []byte{0x01, 0x10, 0x80, 0xff} {
			b := bytes.Clone(whole)
			b[at] ^= flip
			c, err := parse(b)
			if err != nil {
				t.Fatalf("byte %d: %v", at, err)
			}
			hit := -1 // the mark in which the byte is
			for i, end := range want.ends {
				if at >= headerSize && int64(at) < end {
					hit = i
					break
				}
			}
			switch last := len(want.Marks) - 1; {
			case at < headerSize:
				same(t, c.Marks, want.Marks)
				if c.Damage == nil || c.Torn {
					t.Errorf("byte %d, in the header: damage %v, torn %t", at, c.Damage, c.Torn)
				}
			case int64(at) >= want.end:
				same(t, c.Marks, want.Marks)
				if c.Damage != nil || !c.Torn {
					t.Errorf("byte %d, in the room: damage %v, torn %t", at, c.Damage, c.Torn)
				}
			case hit == last:
				same(t, c.Marks, want.Marks[:last])
				if c.Damage != nil || !c.Torn {
					t.Errorf("byte %d, in the last mark: damage %v, torn %t", at, c.Damage, c.Torn)
				}
			default:
				same(t, c.Marks, append(want.Marks[:hit:hit], want.Marks[hit+1:]...))
				if c.Damage == nil || c.Torn {
					t.Errorf("byte %d, in mark %d: damage %v, torn %t", at, hit, c.Damage, c.Torn)
				}
			}
		}
	}
}

func TestEveryTruncation(t *testing.T) {
	whole, want := sample(t)
	for size := range whole {
		c, err := parse(whole[:size])
		must(t, err)
		n := 0
		for n < len(want.ends) && want.ends[n] <= int64(size) {
			n++
		}
		same(t, c.Marks, want.Marks[:n])
		end := int64(headerSize)
		if n > 0 {
			end = want.ends[n-1]
		}
		partial := size > 0 && int64(size) != end && int64(size) < want.end && len(bytes.Trim(whole[min(end, int64(size)):size], "\x00")) > 0
		switch {
		case n == 0 && c.Damage == nil:
			t.Errorf("%d bytes: no mark and no damage", size)
		case n > 0 && (c.Damage == nil) == (size < headerSize):
			t.Errorf("%d bytes: damage %v", size, c.Damage)
		case n > 0 && c.Torn != partial:
			t.Errorf("%d bytes: torn %t, want %t", size, c.Torn, partial)
		}
	}
}

func TestDamageSaysWhere(t *testing.T) {
	whole, want := sample(t)
	wrong := func(at int64) string {
		b := bytes.Clone(whole)
		b[at]++
		c, err := parse(b)
		must(t, err)
		if c.Damage == nil {
			return ""
		}
		return c.Damage.Error()
	}
	for at, say := range map[int64]string{
		0: "byte 0: a copy of the header", copySize: "byte 32: a copy of the header", headerSize: "byte 64: no mark begins",
		want.ends[1] + frameSize: "byte " + itoa(want.ends[1]) + ": the checksum",
	} {
		if got := wrong(at); !strings.HasPrefix(got, say) {
			t.Errorf("byte %d: %q, want %q", at, got, say)
		}
	}
}

func TestNothingAtAll(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "zeros": make([]byte, 4096), "text": []byte(strings.Repeat("not a watermark ", 99)), "header": header(salt{1}),
		"header and room": append(header(salt{1}), make([]byte, 999)...),
	} {
		c, err := parse(b)
		if err != nil || c.Damage == nil || len(c.Marks) > 0 || c.Last() != nil {
			t.Errorf("%s: %v, damage %v, %d marks", name, err, c.Damage, len(c.Marks))
		}
	}
}

func TestOtherVersion(t *testing.T) {
	b, _ := sample(t)
	for _, copies := range [][]int{{0, copySize}, {copySize}} { // the other one being damaged
		other := bytes.Clone(b)
		other[20]++
		for _, at := range copies {
			copy(other[at:], b[:copySize])
			binary.LittleEndian.PutUint32(other[at+8:], 2)
			binary.LittleEndian.PutUint32(other[at+28:], crc32.Checksum(other[at:at+28], castagnoli))
		}
		path := file(t)
		must(t, os.WriteFile(path, other, 0o600))
		if _, err := Read(path); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("version 2: %v", err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	path := file(t)
	f := closed(t, created(t, path, base(1)))
	must(t, os.Truncate(path, MaxSize+1))
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("reading more than MaxSize: %v", err)
	}
	must(t, os.Truncate(path, chunk))
	large := mark(2, &logv1.Put{Kind: logv1.Kind_KIND_TENANT, Name: "org:o_1", Value: make([]byte, MaxMark)})
	if err := f.Reserve(large); err == nil || !strings.Contains(err.Error(), "divide") {
		t.Errorf("reserving more than MaxMark: %v", err)
	}
	if err := f.Append(large); err == nil || !strings.Contains(err.Error(), "divide") {
		t.Errorf("appending more than MaxMark: %v", err)
	}
}

// A mark counts in its own place alone: not where somebody put its bytes into an object, nor in another file.
func TestMarksWithinMarks(t *testing.T) {
	s := salt{1}
	forged, err := s.appendFrame(nil, 0, mark(9))
	must(t, err)
	b := header(s)
	b, err = s.appendFrame(b, int64(len(b)), base(1))
	must(t, err)
	hit := len(b)
	b, err = s.appendFrame(b, int64(len(b)), mark(2, &logv1.Put{Kind: logv1.Kind_KIND_KEY, Name: "key_a", Value: forged}))
	must(t, err)
	b, err = s.appendFrame(b, int64(len(b)), mark(3))
	must(t, err)
	b[hit]++ // so that the inside of the mark is searched
	c, err := parse(b)
	must(t, err)
	same(t, c.Marks, []*logv1.Mark{base(1), mark(3)})
	moved := append(bytes.Clone(header(salt{2})), b[headerSize:]...)
	if c, err = parse(moved); err != nil || len(c.Marks) > 0 {
		t.Errorf("marks of another file: %d, %v", len(c.Marks), err)
	}
}

// A mark that doesn't follow the one before is as good as damaged, even if nothing is wrong with its bytes.
func TestOrder(t *testing.T) {
	s := salt{1}
	b := header(s)
	var err error
	for _, revision := range []uint64{4, 6, 5, 6, 7, 7} {
		b, err = s.appendFrame(b, int64(len(b)), mark(revision))
		must(t, err)
	}
	c, err := parse(b)
	must(t, err)
	same(t, c.Marks, []*logv1.Mark{mark(4), mark(6), mark(7)})
	if c.Damage == nil || !strings.Contains(c.Damage.Error(), "revision 5 comes after") || !c.Torn {
		t.Errorf("damage %v, torn %t", c.Damage, c.Torn)
	}
}

// A file made of frames that each claim almost all of it can't take time without end.
func TestPatience(t *testing.T) {
	b := header(salt{1})
	const size = 8 << 20
	for len(b) < size {
		b = append(b, frameMagic...)
		b = binary.LittleEndian.AppendUint32(b, uint32(size-len(b)-100))
	}
	begin := time.Now()
	c, err := parse(b)
	must(t, err)
	if len(c.Marks) > 0 || c.Damage == nil || !c.Torn {
		t.Errorf("%d marks, damage %v, torn %t", len(c.Marks), c.Damage, c.Torn)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzParse(f *testing.F) {
	b, _ := sample(f)
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse(b)
		if err != nil {
			if !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		sound(t, b, c)
	})
}

// sound expects what is true of the contents of any bytes.
func sound(t *testing.T, b []byte, c *Contents) {
	t.Helper()
	if len(c.Marks) == 0 && c.Damage == nil {
		t.Fatal("neither a mark nor damage")
	}
	for i, m := range c.Marks[min(1, len(c.Marks)):] {
		if follows(c.Marks[i].GetPosition(), m) != nil {
			t.Fatalf("mark %d doesn't follow", i+1)
		}
	}
	if len(c.Marks) == 0 {
		return
	}
	again, err := parse(b[:c.end])
	if err != nil || again.Torn {
		t.Fatalf("without the end: %v, torn %t", err, again.Torn)
	}
	same(t, again.Marks, c.Marks)
}

// FuzzDamage damages a whole file by edits of five bytes each: what to do, where, and with what.
func FuzzDamage(f *testing.F) {
	f.Add([]byte("\x00\x00\x50\x00\x01"))
	f.Add([]byte("\x01\x00\x50\x01\x20\x02\x00\x90\x00\x10"))
	f.Fuzz(func(t *testing.T, edits []byte) {
		b, want := sample(t)
		for ; len(edits) >= 5 && len(b) > 0; edits = edits[5:] {
			at := int(binary.BigEndian.Uint16(edits[1:])) % len(b)
			with := int(binary.BigEndian.Uint16(edits[3:]))
			n := min(with%64, len(b)-at)
			switch edits[0] % 5 {
			case 0:
				b[at] ^= byte(with)
			case 1: // a piece from elsewhere
				copy(b[at:], bytes.Clone(b[with%len(b):]))
			case 2:
				clear(b[at : at+n])
			case 3:
				b = append(b[:at], b[at+n:]...)
			case 4:
				b = append(b[:at:at], append(make([]byte, n), b[at:]...)...)
			}
		}
		c, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, b, c)
		from := 0
		for _, m := range c.Marks {
			for from < len(want.Marks) && !proto.Equal(m, want.Marks[from]) {
				from++
			}
			if from == len(want.Marks) {
				t.Fatalf("a mark that was never written: %v", m)
			}
		}
		if c.Damage == nil {
			same(t, c.Marks, want.Marks[:len(c.Marks)]) // nothing is missing but at the end
		}
	})
}
