package watermark

import (
	"strconv"
	"testing"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

func BenchmarkAppend(b *testing.B) {
	f := created(b, file(b), base(1))
	put := putKey(b, "key_a", true, 200)
	revision := uint64(1)
	for b.Loop() {
		revision++
		m := mark(revision, put)
		must(b, f.Reserve(m))
		must(b, f.Append(m))
	}
	must(b, f.Close())
}

// BenchmarkParse reads a file of the default limit.
func BenchmarkParse(b *testing.B) {
	s := salt{1}
	file := header(s)
	marks := 0
	for len(file) < DefaultLimit {
		marks++
		var err error
		var puts []*logv1.Put
		if marks > 1 {
			puts = append(puts, putKey(b, "key_"+strconv.Itoa(marks), true, 200))
		}
		file, err = s.appendFrame(file, int64(len(file)), mark(uint64(marks), puts...))
		must(b, err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		c, err := parse(file)
		must(b, err)
		if len(c.Marks) != marks {
			b.Fatal(len(c.Marks))
		}
	}
	b.ReportMetric(float64(marks), "marks")
}
