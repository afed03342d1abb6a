package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// garbage is how much may gather between two collections at least, or as much
	// as there is to scan, if that is more. Go would have it grow with what is
	// alive: of a small heap it would be 4 MiB, which a busy server fills in some
	// milliseconds, and over an index of 75 MiB 75 MiB more, though nothing in it
	// needs scanning. docs/performance.md has what was measured.
	garbage = 16 << 20
	// garbageMost may gather where it leaves the heap smaller than heapMost: what
	// an index of a million keys doesn't take is free for fewer collections.
	garbageMost = 48 << 20
	heapMost    = 88 << 20
	// limitShare is how much of the container's memory Go may use: the rest is
	// for what it doesn't count.
	limitShare = 0.9
	// paceStep is how much the live heap must have changed to matter: setting the
	// pace stops the process for some microseconds.
	paceStep = garbage / 8
	// smallestHeap is what Go's collector starts from: whatever is alive, the
	// first 4 MiB, times GOGC in percent, are always free to fill.
	smallestHeap = 4 << 20
)

// Memory keeps what the process takes from the machine small and even: a limit
// from the container, and as much garbage between two collections however large
// an index is alive. Operators who set GOMEMLIMIT or GOGC have their way.
type Memory struct {
	log    *slog.Logger
	paced  bool // GOGC isn't the operator's
	paceOf heap // that the pace was last set for
}

// NewMemory sets the limit and tells what it chose. The pace isn't set before
// Run: while a store is being read, the live heap grows faster than it is looked
// at.
func NewMemory(log *slog.Logger) *Memory { return newMemory(log, memlimit.FromCgroup) }

func newMemory(log *slog.Logger, container memlimit.Provider) *Memory {
	_, ownLimit := os.LookupEnv("GOMEMLIMIT")
	_, ownPace := os.LookupEnv("GOGC")
	m := &Memory{log: log, paced: !ownPace}
	limit, err := memlimit.Set(memlimit.WithProvider(container), memlimit.WithRatio(limitShare))
	switch {
	case errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
	case err != nil:
		log.Warn("the memory limit of the container can't be told: set GOMEMLIMIT to nine tenths of it", "error", err)
	}
	from, size := "container", fmt.Sprintf("%d MiB", limit>>20)
	switch {
	case ownLimit:
		from = "GOMEMLIMIT"
	case limit == math.MaxInt64:
		from = "nobody"
	}
	if limit == math.MaxInt64 {
		size = "none"
	}
	pace := fmt.Sprintf("after %d to %d MiB of garbage", garbage>>20, garbageMost>>20)
	if ownPace {
		pace = "by GOGC"
	}
	log.Info("memory", "limit", size, "from", from, "collected", pace)
	return m
}

// Run keeps the pace of the collector until the context ends.
func (m *Memory) Run(ctx context.Context) error {
	if !m.paced {
		<-ctx.Done()
		return nil
	}
	// What opening the store has left behind goes back to the machine. It is a
	// collection too, so that what is alive is known from here on.
	debug.FreeOSMemory()
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	collected, stop := collections()
	defer stop()
	for {
		m.pace(currentHeap())
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
		}
	}
}

// collections returns a channel that gets a value after each collection, until
// it is stopped. To ask every so often would be too late: under a flood the heap
// doubles within milliseconds, and by an old pace so would its garbage.
func collections() (<-chan struct{}, func()) {
	collected := make(chan struct{}, 1)
	var stopped atomic.Bool
	// Nothing refers to it, so that each collection finds it dead, and brings it
	// back by its finalizer. Of smaller ones several would share a place, and die
	// together.
	type phoenix [16]byte
	var rise func(*phoenix)
	rise = func(p *phoenix) {
		select {
		case collected <- struct{}{}:
		default:
		}
		if !stopped.Load() {
			runtime.SetFinalizer(p, rise)
		}
	}
	runtime.SetFinalizer(&phoenix{}, rise)
	return collected, func() { stopped.Store(true) }
}

func (m *Memory) pace(h heap) {
	if m.paceOf.live > 0 && difference(h.live, m.paceOf.live) < paceStep && difference(h.scan+h.roots, m.paceOf.scan+m.paceOf.roots) < paceStep {
		return
	}
	m.paceOf = h
	debug.SetGCPercent(h.percent(h.garbage()))
}

func difference(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// heap is what the collector paces itself by, in bytes.
type heap struct {
	live  uint64 // as the last collection found
	scan  uint64 // of that, what may hold pointers
	roots uint64 // of stacks and global variables, which it reads too
}

// garbage returns how much of it may gather: what is collected seldom enough
// that scanning what is alive costs little beside what made the garbage.
func (h heap) garbage() uint64 {
	free := heapMost - min(h.live, heapMost)
	return max(garbage, min(free, garbageMost), h.scan)
}

// percent returns the GOGC with which as much garbage gathers before the next
// collection. Go collects when the heap has
//
//	max(live + (live+roots)·GOGC/100, smallestHeap·GOGC/100)
//
// bytes. The result is at least 1: beyond a live heap of a hundred times the
// garbage more of it gathers.
func (h heap) percent(garbage uint64) int {
	byLive := 100 * float64(garbage) / float64(max(1, h.live+h.roots))
	bySmallest := 100 * float64(h.live+garbage) / smallestHeap
	return max(1, int(math.Round(min(byLive, bySmallest))))
}

func currentHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(s)
	return heap{live: s[0].Value.Uint64(), scan: s[1].Value.Uint64(), roots: s[2].Value.Uint64() + s[3].Value.Uint64()}
}
