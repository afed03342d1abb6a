package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	historyLife = 2000 // kills of one store, so that it stays about as large as it began
	restartBar  = time.Second
	barKeys     = 100_000
)

// tally is what the report is made of, over all stores.
type tally struct {
	mu                     sync.Mutex
	acks, done, undone     map[string]int
	kills, early, inFlight int
	presented              int
	restarts               []time.Duration
}

// TestKilledWhileWriting kills a real process while it writes, again and
// again, and compares what it has after each start with what it acknowledged.
//
// LATCHKEY_KILLS is how often, LATCHKEY_KEYS how many keys there are at first,
// and LATCHKEY_SEED decides what is written; when the kill comes is chance.
func TestKilledWhileWriting(t *testing.T) {
	kills, keys := number(t, "LATCHKEY_KILLS", 300), number(t, "LATCHKEY_KEYS", 1000)
	if testing.Short() && os.Getenv("LATCHKEY_KILLS") == "" {
		kills = 10
	}
	seed := uint64(number(t, "LATCHKEY_SEED", int(time.Now().UnixNano()&0xffffffff)))
	t.Logf("LATCHKEY_SEED=%d", seed)
	sum := &tally{acks: map[string]int{}, done: map[string]int{}, undone: map[string]int{}}
	began := time.Now()
	for n := uint64(0); sum.kills < kills && !t.Failed(); n++ {
		h := newHistory(t, sum, seed+n<<32)
		h.load(keys)
		for end := min(kills, sum.kills+historyLife); sum.kills < end && !t.Failed(); {
			h.round()
			if sum.kills%500 == 0 {
				t.Logf("%d kills in %s", sum.kills, time.Since(began).Round(time.Second))
			}
		}
		h.close()
	}
	sum.report(t, keys, time.Since(began))
}

func number(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: give a number from 1 on", name, text)
	}
	return n
}

// over ends the test where something went wrong.
func (h *history) over(v *victim, err error, ended bool) {
	if err == nil {
		return
	}
	if !ended {
		_ = v.kill()
	}
	h.t.Errorf("after %d kills: %v\nlatchkey said last:\n%s", h.kills, err, v.log.tail(30))
	h.t.FailNow()
}

// round starts the process, compares, writes, and kills it.
func (h *history) round() {
	if h.rand.IntN(8) == 0 {
		h.killEarly()
	}
	v := h.start(h.kills%50 == 49)
	for _, w := range h.all() {
		for k := range w.touched {
			if k.revoked() {
				h.ended = append(h.ended, k)
			}
		}
		clear(w.touched)
		w.revision = h.revision
	}
	h.ended = h.ended[max(0, len(h.ended)-100_000):]
	if err := h.writeUntilKilled(v); err != nil {
		h.over(v, err, true)
	}
	h.kills++
}

// start starts the process and compares what it has with the model.
func (h *history) start(all bool) *victim {
	v, err := startVictim(h.data)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
	defer cancel()
	status, took, err := v.answers(ctx)
	if err == nil && !status.GetReady() {
		err = fmt.Errorf("latchkey isn't ready after its start: %v", status.GetProblems())
	}
	if err == nil {
		h.restarts = append(h.restarts, took)
		err = h.settle(ctx, v)
	}
	if err == nil {
		err = h.verify(ctx, v, status)
	}
	others := 4
	if all {
		others = 200
		if err == nil {
			err = h.verifyAll(ctx, v)
		}
	}
	if err == nil {
		err = h.present(ctx, v, h.sample(h.rand, 12, others))
	}
	h.over(v, err, false)
	return v
}

// killEarly kills the process during its start.
func (h *history) killEarly() {
	if len(h.restarts) == 0 {
		return
	}
	v, err := startVictim(h.data)
	if err != nil {
		h.t.Fatal(err)
	}
	usual := h.restarts[len(h.restarts)-1]
	wait(time.Duration(h.rand.Int64N(int64(usual))))
	h.over(v, v.kill(), true)
	h.early++
}

// wait lets time pass, for a kill at an instant that nothing decides.
func wait(d time.Duration) { <-time.After(d) }

// writeUntilKilled lets all writers write, and kills the process some time
// after a number of acknowledgements.
func (h *history) writeUntilKilled(v *victim) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	left := &atomic.Int64{}
	left.Store(int64(h.rand.IntN(40)))
	enough, failed := make(chan struct{}), make(chan error, len(h.writers))
	if left.Load() == 0 {
		close(enough)
	}
	count := func(kind string) {
		h.mu.Lock()
		h.acks[kind]++
		h.revision++
		h.mu.Unlock()
		if left.Add(-1) == 0 {
			close(enough)
		}
	}
	var writing sync.WaitGroup
	for _, w := range h.writers {
		writing.Go(func() {
			if err := w.write(ctx, v, count); err != nil {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-enough:
		wait(time.Duration(h.rand.Int64N(int64(5 * time.Millisecond))))
	case err = <-failed:
	case <-v.exited:
	case <-ctx.Done():
		err = errors.New("the writers don't get on")
	}
	err = errors.Join(err, v.kill())
	cancel() // of what hangs, if anything does
	writing.Wait()
	close(failed)
	for one := range failed {
		err = errors.Join(err, one)
	}
	return err
}

// close compares everything once more.
func (h *history) close() {
	if h.t.Failed() {
		return
	}
	v := h.start(true)
	h.over(v, v.stop(), true)
}

func (s *tally) report(t *testing.T, keys int, took time.Duration) {
	var lines strings.Builder
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(s.acks)) {
		total += s.acks[kind]
		fmt.Fprintf(&lines, "\n  %-24s %7d acknowledged, in flight at a kill and found done %d, not done %d", kind, s.acks[kind], s.done[kind], s.undone[kind])
	}
	slices.Sort(s.restarts)
	longest, median := s.restarts[len(s.restarts)-1], s.restarts[len(s.restarts)/2]
	t.Logf("%d kills and %d during a start, of a store with %d keys at first, in %s", s.kills, s.early, keys, took.Round(time.Second))
	t.Logf("%d writes acknowledged, %d in flight; %d tokens presented:%s", total, s.inFlight, s.presented, lines.String())
	slow := 0
	for _, took := range s.restarts {
		if took > restartBar {
			slow++
		}
	}
	t.Logf("restart, from execution to ready: longest %s, median %s of %d, %d of them over %s",
		longest.Round(time.Millisecond), median.Round(time.Millisecond), len(s.restarts), slow, restartBar)
	if !t.Failed() {
		t.Log("0 acknowledged writes lost, 0 half-writes visible")
	}
	if keys >= barKeys && longest > restartBar {
		t.Errorf("a restart took %s with %d keys: at most %s", longest, keys, restartBar)
	}
}
