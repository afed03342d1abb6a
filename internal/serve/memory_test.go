package serve

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Go's own arithmetic, from what a GOGC is documented to mean.
func (h heap) goal(percent int) uint64 {
	p := float64(percent) / 100
	return uint64(max(float64(h.live)+float64(h.live+h.roots)*p, smallestHeap*p))
}

func TestPaceIsTheSameGarbageWhateverLives(t *testing.T) {
	for _, roots := range []uint64{0, 100 << 10, 4 << 20} {
		for live := uint64(64 << 10); live <= 4<<30; live = live*5/4 + 1 {
			h := heap{live: live, roots: roots}
			got := h.goal(h.percent(garbage)) - live
			// A GOGC is a whole number: of a large heap it is coarse.
			coarse := (live + roots + smallestHeap) / 200
			if live < 100*garbage && (got > garbage+coarse || got < garbage-min(garbage, coarse)) {
				t.Errorf("with %d bytes alive and %d of roots, %d bytes of garbage gather, want %d", live, roots, got, garbage)
			}
		}
	}
	if p := (heap{live: math.MaxInt64}).percent(garbage); p != 1 {
		t.Errorf("GOGC %d for the largest heap, want 1", p)
	}
	if p := (heap{}).percent(garbage); p < 100 {
		t.Errorf("GOGC %d for an empty heap", p)
	}
}

func TestGarbageIsWhatTheIndexLeaves(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct{ live, scan, want uint64 }{
		{0, 0, 48}, {5, 3, 48}, {40, 3, 48}, {60, 3, 28}, {72, 3, 16}, {88, 3, 16}, {700, 3, 16}, {200, 150, 150},
	} {
		if got := (heap{live: test.live * mib, scan: test.scan * mib}).garbage(); got != test.want*mib {
			t.Errorf("with %d MiB alive and %d to scan: %d MiB, want %d", test.live, test.scan, got/mib, test.want)
		}
	}
}

// keepGC lets a test change the settings of the collector.
func keepGC(t *testing.T) {
	t.Helper()
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}

// unset takes a variable out of the environment until the test ends.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // which restores it
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

func goal() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// The runtime's own goal, for a small heap and for one with an index.
func TestPaceIsWhatTheRuntimeMakesOfIt(t *testing.T) {
	keepGC(t)
	m := &Memory{paced: true}
	for _, index := range []int{0, 80 << 20, 1 << 20} {
		kept := make([]byte, index)
		runtime.GC()
		h := currentHeap()
		m.pace(h)
		got := goal() - h.live
		want := h.garbage()
		t.Logf("%d MiB alive: GOGC %d, collected %d KiB of garbage later", h.live>>20, h.percent(want), got>>10)
		if got > want*3/2 || got < want/2 {
			t.Errorf("with %d bytes alive, %d bytes of garbage gather, want %d", h.live, got, want)
		}
		runtime.KeepAlive(kept)
	}
}

// What has to be scanned is scanned as seldom as Go would by itself.
func TestPaceSparesWhatHasPointers(t *testing.T) {
	keepGC(t)
	kept := make([]*[1 << 10]byte, 10<<20)
	runtime.GC()
	h := currentHeap()
	(&Memory{paced: true}).pace(h)
	if got := goal() - h.live; h.scan < 80<<20 || got < 70<<20 || got > 90<<20 {
		t.Errorf("with %d bytes to scan, %d bytes of garbage gather", h.scan, got)
	}
	runtime.KeepAlive(kept)
}

// The pace follows each collection, and not a clock.
func TestPaceFollowsCollections(t *testing.T) {
	keepGC(t)
	m := &Memory{paced: true}
	start(t, m.Run)
	for _, index := range []int{80 << 20, 1 << 20, 40 << 20} {
		kept := make([]byte, index)
		eventually(t, "the pace for what is alive", func() bool {
			runtime.GC()
			h := currentHeap()
			got := goal() - h.live
			want := h.garbage()
			return h.live > uint64(index) && got < want*3/2 && got > want/2
		})
		runtime.KeepAlive(kept)
	}
}

func TestMemoryEndsAsItFoundThings(t *testing.T) {
	keepGC(t)
	debug.SetGCPercent(77)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Memory{paced: true}).Run(ctx); err != nil {
		t.Error(err)
	}
	if p := debug.SetGCPercent(77); p != 77 {
		t.Errorf("GOGC is %d after it has ended", p)
	}
}

func TestOperatorsHaveTheirPace(t *testing.T) {
	keepGC(t)
	t.Setenv("GOGC", "66")
	debug.SetGCPercent(66)
	m := newMemory(discard(), memlimit.Limit(1<<30))
	start(t, m.Run)()
	if p := debug.SetGCPercent(66); p != 66 {
		t.Errorf("GOGC became %d", p)
	}
}

func TestMemoryLimit(t *testing.T) {
	for name, c := range map[string]struct {
		own       string // GOMEMLIMIT
		container memlimit.Provider
		want      int64
		told      []string
	}{
		"of a container":     {"", memlimit.Limit(512 << 20), 512 << 20 * 9 / 10, []string{`limit="460 MiB"`, "from=container"}},
		"of nobody":          {"", func() (uint64, error) { return 0, memlimit.ErrNoLimit }, math.MaxInt64, []string{"limit=none", "from=nobody"}},
		"without cgroups":    {"", func() (uint64, error) { return 0, memlimit.ErrNoCgroup }, math.MaxInt64, []string{"limit=none", "from=nobody"}},
		"of the operator":    {"100MiB", memlimit.Limit(512 << 20), 100 << 20, []string{`limit="100 MiB"`, "from=GOMEMLIMIT"}},
		"that can't be read": {"", func() (uint64, error) { return 0, os.ErrPermission }, math.MaxInt64, []string{"level=WARN", "set GOMEMLIMIT", "limit=none"}},
	} {
		t.Run(name, func(t *testing.T) {
			keepGC(t)
			debug.SetMemoryLimit(math.MaxInt64)
			if unset(t, "GOMEMLIMIT"); c.own != "" {
				t.Setenv("GOMEMLIMIT", c.own)
				debug.SetMemoryLimit(100 << 20) // as the runtime does at start
			}
			var out bytes.Buffer
			newMemory(slog.New(slog.NewTextHandler(&out, nil)), c.container)
			if got := debug.SetMemoryLimit(-1); got != c.want {
				t.Errorf("the limit is %d, want %d", got, c.want)
			}
			for _, text := range c.told {
				if !strings.Contains(out.String(), text) {
					t.Errorf("the log doesn't say %s:\n%s", text, out.String())
				}
			}
		})
	}
}
