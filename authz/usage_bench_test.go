package authz_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/usage"
)

// BenchmarkUsage is what recording usage adds to a check: both in turns, a few at a time, and of each the least that
// was needed, since others use the machine too.
func BenchmarkUsage(b *testing.B) {
	const few = 64
	checks := []struct {
		name  string
		once  func() error
		least time.Duration
	}{
		{"without", authz.AllowedCheck(b), time.Hour},
		{"with", authz.AllowedCheck(b, usage.New(usage.Options{Folder: b.TempDir()})), time.Hour},
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range checks {
			began := time.Now()
			for range few {
				if err := checks[i].once(); err != nil {
					b.Fatal(err)
				}
			}
			checks[i].least = min(checks[i].least, time.Since(began))
		}
	}
	for _, c := range checks {
		b.ReportMetric(float64(c.least)/few, "ns/check-"+c.name)
	}
}

// TestRecordingUsageAllocatesNothing, in a whole check.
func TestRecordingUsageAllocatesNothing(t *testing.T) {
	once := authz.AllowedCheck(t, usage.New(usage.Options{Folder: t.TempDir()}))
	if n := testing.AllocsPerRun(1000, func() {
		if err := once(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
