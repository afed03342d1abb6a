package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/internal/netns"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
)

const (
	fleetSidecars = 3
	fleetLease    = 3 * time.Second // short, so that leases end all the time
	fleetTenant   = "team:t_1"
)

// fleet is a hub and its sidecars, each a real process in a network of its own, and clients of them.
type fleet struct {
	t       *testing.T
	ctx     context.Context
	dir     string
	began   time.Time
	network *netns.Network

	hub      *node
	sidecars []*node
	keys     adminv1connect.KeyServiceClient
	people   adminv1connect.DirectoryServiceClient
	about    adminv1connect.ServerServiceClient

	world  sync.RWMutex   // held for reading while the hub writes, and for writing while its world is another
	unload chan struct{}  // closed when the load ends
	timed  sync.WaitGroup // of checks that are to come

	// Of who makes backups.
	made    int
	backups []string

	mu     sync.Mutex
	all    []*fleetKey
	counts map[string]int
	failed error
}

// TestFleetUnderFaults lets a hub and three sidecars live through partitions, delays, losses, kills, freezes, restored
// backups and lost folders, while keys are issued, disabled, enabled, revoked and checked everywhere; and holds all that was
// seen against what receipts and leases promise.
//
// LATCHKEY_CHAOS is how long it goes on, such as 20m (with a -timeout beyond that), and LATCHKEY_SEED decides which faults
// come and what is written; when exactly is chance.
func TestFleetUnderFaults(t *testing.T) {
	lasts := 30 * time.Second
	if testing.Short() {
		lasts = 10 * time.Second
	}
	if text := os.Getenv("LATCHKEY_CHAOS"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil || lasts <= 0 {
			t.Fatalf("LATCHKEY_CHAOS=%q: give a duration, such as 20m", text)
		}
	}
	seed := uint64(number(t, "LATCHKEY_SEED", int(time.Now().UnixNano()&0xffffffff)))
	f := newFleet(t, seed)
	t.Logf("LATCHKEY_SEED=%d, for %s", seed, lasts)

	var load, faults sync.WaitGroup
	chance := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	for n := range uint64(fleetWriters) {
		load.Go(func() { f.keepWriting(chance(n)) })
	}
	for i, n := range f.nodes() {
		for half := range uint64(2) {
			load.Go(func() { f.keepChecking(n, chance(100+2*uint64(i)+half)) })
		}
	}
	over, end := context.WithTimeout(f.ctx, lasts)
	defer end()
	faults.Go(func() { f.keepFailing(over.Done(), processFaults, chance(200)) })
	faults.Go(func() { f.keepFailing(over.Done(), networkFaults, chance(201)) })
	faults.Wait()
	if err := f.heal(); err != nil {
		t.Fatal(err)
	}
	healed := f.now()
	err := f.upToDate()
	took := f.now() - healed
	close(f.unload)
	load.Wait()
	f.timed.Wait()
	if err != nil {
		t.Error(err)
	}
	f.farewell()
	f.mu.Lock()
	if f.failed != nil {
		t.Error(f.failed)
	}
	f.mu.Unlock()
	judged := time.Now()
	histories, operations := f.judge()
	f.report(took)
	t.Logf("%d histories of %d operations judged in %s", histories, operations, time.Since(judged).Round(time.Millisecond))
}

// add makes a key known to those who check.
func (f *fleet) add(k *fleetKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, k)
}

func (f *fleet) allKeys() []*fleetKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// pick chooses a key: now and then any, and else one of the last that lived a moment ago; nil for none.
func (f *fleet) pick(r *rand.Rand) *fleetKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) == 0 {
		return nil
	}
	const last = 60
	recent := f.all[max(0, len(f.all)-last):]
	for range 10 {
		k := recent[r.IntN(len(recent))]
		k.mu.Lock()
		ended := k.ended
		k.mu.Unlock()
		if ended == 0 || f.now()-ended < recentFor {
			if r.IntN(8) > 0 {
				return k
			}
			break
		}
	}
	return f.all[r.IntN(len(f.all))]
}

func (f *fleet) count(what string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what] += n
}

// fail notes what mustn't be, other than what histories tell.
func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = errors.Join(f.failed, err)
}

func (f *fleet) report(healed time.Duration) {
	var lines strings.Builder
	for _, what := range slices.Sorted(maps.Keys(f.counts)) {
		fmt.Fprintf(&lines, "\n  %-60s %8d", what, f.counts[what])
	}
	f.t.Logf("%d keys; up to date %s after everything was well%s", len(f.all), healed.Round(time.Millisecond), lines.String())
	for _, what := range []string{"issue", "revoked", "receipt: complete", "check at sidecars: live", "check at sidecars: revoked", "check at hub: revoked"} {
		if f.counts[what] == 0 {
			f.t.Errorf("in all that time nothing was counted under %q", what)
		}
	}
}
