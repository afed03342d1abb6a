package authz

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// mutator makes messages of others, each nearly well-formed: what the fuzzer
// finds by and by, without its price.
type mutator struct {
	*rand.Rand
	seeds [][]byte
}

func (m mutator) seed() []byte { return m.seeds[m.IntN(len(m.seeds))] }

// piece is some of the bytes, often a field with all that it holds.
func (m mutator) piece(b []byte) (start, end int) {
	if len(b) == 0 {
		return 0, 0
	}
	start = m.IntN(len(b))
	if _, _, n := protowire.ConsumeField(b[start:]); n > 0 && m.IntN(4) > 0 {
		return start, start + n
	}
	return start, start + m.IntN(min(len(b)-start, 40)+1)
}

func (m mutator) mutate(b []byte) []byte {
	out := bytes.Clone(b)
	for range 1 + m.IntN(2) {
		start, end := m.piece(out)
		switch m.IntN(9) {
		case 0:
			if len(out) > 0 {
				out[start] ^= 1 << m.IntN(8)
			}
		case 1:
			if len(out) > 0 {
				out[start] = []byte{0, 1, 0x0a, 0x12, 0x1a, 0x6a, 0x7f, 0x80, 0xff, ':', 'A', ','}[m.IntN(12)]
			}
		case 2:
			out = out[:start]
		case 3:
			out = bytes.Join([][]byte{out[:start], out[end:]}, nil)
		case 4: // twice
			out = bytes.Join([][]byte{out[:end], out[start:end], out[end:]}, nil)
		case 5: // a piece of another
			other := m.seed()
			from, to := m.piece(other)
			out = bytes.Join([][]byte{out[:start], other[from:to], out[end:]}, nil)
		case 6: // one deeper, or beside itself
			field := protowire.AppendTag(nil, protowire.Number(1+m.IntN(14)), protowire.BytesType)
			out = bytes.Join([][]byte{out[:start], protowire.AppendBytes(field, out[start:end]), out[end:]}, nil)
		case 7: // merged with another
			out = append(out, m.seed()...)
		case 8: // as a group
			number := protowire.Number(1 + m.IntN(14))
			out = bytes.Join([][]byte{
				out[:start], protowire.AppendTag(nil, number, protowire.StartGroupType), out[start:end],
				protowire.AppendTag(nil, number, protowire.EndGroupType), out[end:],
			}, nil)
		}
	}
	return out
}

// within mutates what is somewhere in the message, and makes the lengths of all
// that it is in true again.
func (m mutator) within(b []byte) []byte {
	type field struct{ start, value, end int }
	var fields []field
	for at := 0; at < len(b); {
		_, w, n := protowire.ConsumeField(b[at:])
		if n < 0 {
			break
		}
		if w == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(b[at:])
			v, _ := protowire.ConsumeBytes(b[at+tag:])
			fields = append(fields, field{at, at + n - len(v), at + n})
		}
		at += n
	}
	if len(fields) == 0 || m.IntN(6) == 0 {
		return m.mutate(b)
	}
	f := fields[m.IntN(len(fields))]
	number, _, _ := protowire.ConsumeTag(b[f.start:])
	return bytes.Join([][]byte{b[:f.start], wrap(number, m.within(b[f.value:f.end])), b[f.end:]}, nil)
}

// TestMutatedMessages: LATCHKEY_CASES messages, or enough for every run, are
// read and answered as the generated types do it. LATCHKEY_SEED repeats a run.
func TestMutatedMessages(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("LATCHKEY_CASES"))
	if err != nil {
		n = 20_000
	}
	seed, err := strconv.ParseUint(os.Getenv("LATCHKEY_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("LATCHKEY_SEED=%d", seed)
	s := fixture(t, newWorld(t, compile(t, capturedPolicy), compile(t, repliesPolicy)))
	m := mutator{Rand: rand.New(rand.NewPCG(seed, 0))}
	for _, c := range captures(t) {
		m.seeds = append(m.seeds, c.bytes)
	}
	for _, c := range reasonCases() {
		for _, f := range []func() ([]byte, error){
			func() ([]byte, error) { return proto.Marshal(c.request) },
			func() ([]byte, error) { return proto.Marshal(likeAClient(c.request)) },
		} {
			message, err := f()
			if err != nil {
				t.Fatal(err)
			}
			m.seeds = append(m.seeds, message)
		}
	}
	for _, c := range nastyMessages() {
		if len(c.message) < 1000 {
			m.seeds = append(m.seeds, c.message)
		}
	}
	wellFormed := 0
	for i := range n {
		message := m.seed()
		for range 1 + m.IntN(2) {
			message = m.within(message)
		}
		if err := checkBoth(s, noon, message); err != nil {
			t.Fatalf("message %d, %x: %v", i, message, err)
		}
		if i%10 == 0 && new(Request).decode(message) == nil {
			wellFormed++
		}
	}
	t.Logf("%d messages, about %d of them well-formed", n, 10*wellFormed)
	if wellFormed < n/100 || wellFormed > n*9/100 {
		t.Error("the mutations have grown blind")
	}
}
