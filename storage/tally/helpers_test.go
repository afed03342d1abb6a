package tally

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
)

var noon = time.Date(2030, 1, 31, 12, 30, 0, 0, time.UTC)

// bench is a file, with a clock and a log that the test reads.
type bench struct {
	*File
	t   *testing.T
	now atomic.Pointer[time.Time]
	o   Options
	log strings.Builder
}

// open opens a file in a new folder, or in that of a bench before.
func open(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t}
	b.set(noon)
	b.o = Options{
		Folder: t.TempDir(), Reasons: []string{"ALLOWED", "KEY_REVOKED"}, Now: func() time.Time { return *b.now.Load() },
		Log: slog.New(slog.NewTextHandler(&b.log, nil)), noSync: true,
	}
	if change != nil {
		change(&b.o)
	}
	b.again()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) set(t time.Time) { b.now.Store(&t) }

// again opens the file as the next process would.
func (b *bench) again() {
	b.t.Helper()
	if b.File != nil {
		if err := b.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	var err error
	if b.File, err = Open(b.o); err != nil {
		b.t.Fatal(err)
	}
}

func digest(n byte) key.Digest { return key.Digest{n, 1: 7} }

// allowed is n checks of a secret at a moment.
func allowed(secret byte, at time.Time, n uint64) Count {
	return Count{Digest: digest(secret), Hour: HourOf(at), Reason: "ALLOWED", N: n, Minute: MinuteOf(at)}
}

// batch is counts as they are sent.
func batch(source byte, number uint64, counts ...Count) *replicav1.UsageBatch {
	m := &replicav1.UsageBatch{Source: strings.Repeat(string("0123456789abcdef"[source]), 32), Number: number}
	for _, c := range counts {
		m.Counts = append(m.Counts, &replicav1.UsageCount{Digest: c.Digest[:], Hour: c.Hour, Reason: c.Reason, Replaced: c.Replaced, Count: c.N, LastMinute: c.Minute})
	}
	return m
}

// used returns the usage of a secret since a moment.
func (b *bench) used(secret byte, since time.Time) Usage {
	b.t.Helper()
	all, err := b.Usage([]key.Digest{digest(secret)}, since)
	if err != nil {
		b.t.Fatal(err)
	}
	return all[0]
}

// ever is how often a secret was presented, by all reasons.
func (b *bench) ever(secret byte) uint64 {
	b.t.Helper()
	return sum(b.used(secret, noon).Ever)
}

func sum(totals []Total) (n uint64) {
	for _, t := range totals {
		n = Plus(n, t.N)
	}
	return n
}
