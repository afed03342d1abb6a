package tally

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/key"
)

// Count is how often a secret was presented in an hour and answered with a reason.
type Count struct {
	Digest   key.Digest
	Hour     uint32 // whole hours since 1970 UTC
	Reason   string // stable name
	Replaced bool   // whether another secret had taken its place by then
	N        uint64
	Minute   uint32 // when last: whole minutes since 1970 UTC
}

// HourOf is the hour of a moment.
func HourOf(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 3600) }

// MinuteOf is the minute of a moment.
func MinuteOf(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 60) }

func minuteTime(m uint32) time.Time { return time.Unix(int64(m)*60, 0).UTC() }

// Plus adds two counts; what would be too many is the most there is.
func Plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// Merge puts counts of the same secret, hour and reason together, in place, and sorts them as a file takes them best.
func Merge(counts []Count) []Count {
	slices.SortFunc(counts, compare)
	merged := counts[:0]
	for _, c := range counts {
		if n := len(merged); n > 0 && compare(merged[n-1], c) == 0 {
			merged[n-1].N = Plus(merged[n-1].N, c.N)
			merged[n-1].Minute = max(merged[n-1].Minute, c.Minute)
			continue
		}
		merged = append(merged, c)
	}
	return merged
}

func compare(a, b Count) int {
	replaced := func(c Count) int {
		if c.Replaced {
			return 1
		}
		return 0
	}
	return cmp.Or(bytes.Compare(a.Digest[:], b.Digest[:]), cmp.Compare(a.Hour, b.Hour), strings.Compare(a.Reason, b.Reason), cmp.Compare(replaced(a), replaced(b)))
}

// tallied is one reason in a value of a row.
type tallied struct {
	code byte // of the reason, with replacedFlag
	n    uint64
	last uint32 // minute; kept in uses alone
}

// replacedFlag is added to the code of a reason for a secret whose place another had taken.
const replacedFlag = 0x80

// row is the value of a row: a list, of at most as many as there are codes.
type row []tallied

// add counts in a row, and remembers when.
func (r row) add(t tallied) row {
	for i := range r {
		if r[i].code == t.code {
			r[i].n, r[i].last = Plus(r[i].n, t.n), max(r[i].last, t.last)
			return r
		}
	}
	return append(r, t)
}

// encode returns the bytes of a row: of each reason its code and how often, with timed also when last.
func (r row) encode(timed bool) []byte {
	b := make([]byte, 0, 8*len(r))
	for _, t := range r {
		b = binary.AppendUvarint(append(b, t.code), t.n)
		if timed {
			b = binary.AppendUvarint(b, uint64(t.last))
		}
	}
	return b
}

var errRow = errors.New("a row isn't one")

// decodeRow reads what encode wrote, after what the row holds already.
func decodeRow(to row, b []byte, timed bool) (row, error) {
	for len(b) > 0 {
		t := tallied{code: b[0]}
		var n int
		if t.n, n = binary.Uvarint(b[1:]); n <= 0 {
			return nil, errRow
		}
		b = b[1+n:]
		if timed {
			last, n := binary.Uvarint(b)
			if n <= 0 || last > math.MaxUint32 {
				return nil, errRow
			}
			t.last, b = uint32(last), b[n:]
		}
		to = append(to, t)
	}
	return to, nil
}
