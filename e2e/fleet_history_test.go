package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// fleetKey is a key that the fleet was asked about, and what was seen of it.
type fleetKey struct {
	id, token string

	mu     sync.Mutex
	ended  time.Duration // when it was revoked or was gone; 0 while it lives
	writes []*fleetWrite
	seen   map[string][]sight // by place
}

// fleetWrite is a write to a key whose fate is known. Times are those of the fleet's clock.
type fleetWrite struct {
	change
	call, acked time.Duration
	known       map[string]time.Duration // by place: when it must know the write
}

// sight is what a check or a show saw.
type sight struct {
	call, answered time.Duration
	is             standing
}

// now is the fleet's clock.
func (f *fleet) now() time.Duration { return time.Since(f.began) }

// moment is a time of the wall clock by the fleet's.
func (f *fleet) moment(wall time.Time) time.Duration {
	now := time.Now()
	return now.Sub(f.began) + wall.Sub(now.Round(0))
}

// wrote notes a write that the hub has done for sure, and returns it.
func (f *fleet) wrote(k *fleetKey, c change, call time.Duration) *fleetWrite {
	acked := f.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	c.n = len(k.writes) + 1
	w := &fleetWrite{change: c, call: call, acked: acked, known: map[string]time.Duration{}}
	w.known[f.hub.name] = acked
	for _, s := range f.sidecars {
		w.known[s.name] = acked + fleetLease
	}
	if c.to == live || c.to == disabled {
		k.ended = 0
	} else if k.ended == 0 {
		k.ended = acked
	}
	k.writes = append(k.writes, w)
	return w
}

// promised notes what a receipt says of a write, and returns when each replica must know it.
func (f *fleet) promised(k *fleetKey, w *fleetWrite, r *adminv1.Receipt) map[string]time.Duration {
	got := f.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	promise := map[string]time.Duration{}
	for _, s := range f.sidecars {
		promise[s.name] = got
	}
	for _, m := range r.GetMissing() {
		// One name may stand for the replica of a folder that was lost, too.
		if end := f.moment(m.GetLeaseEnds().AsTime()); m.GetLeaseEnds() != nil && promise[m.GetName()] < end {
			promise[m.GetName()] = end
		}
	}
	for name, at := range promise {
		w.known[name] = min(w.known[name], at)
	}
	return promise
}

// saw notes what was seen.
func (k *fleetKey) saw(place string, s sight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[place] = append(k.seen[place], s)
}

// operations are the history of the key at a place.
func (k *fleetKey) operations(place string) []porcupine.Operation {
	var ops []porcupine.Operation
	for _, w := range k.writes {
		ops = append(ops, porcupine.Operation{Input: w.change, Call: int64(w.call), Return: int64(w.known[place])})
	}
	for i, s := range k.seen[place] {
		ops = append(ops, porcupine.Operation{ClientId: 1 + i%8, Input: look{}, Output: s.is, Call: int64(s.call), Return: int64(s.answered)})
	}
	return ops
}

// judge checks the histories of all keys at all places, and returns how many there are.
func (f *fleet) judge() (histories, operations int) {
	wrong, all := 0, &strings.Builder{}
	for _, k := range f.allKeys() {
		for _, n := range f.nodes() {
			ops := k.operations(n.name)
			histories++
			operations += len(ops)
			result, info := porcupine.CheckOperationsVerbose(keyModel, ops, time.Minute)
			if result == porcupine.Ok {
				continue
			}
			wrong++
			fmt.Fprintf(all, "%s at %s: %s\n%s", k.id, n.name, result, told(ops))
			if wrong > 3 {
				continue
			}
			drawn := filepath.Join(f.dir, fmt.Sprintf("violation-%d.html", wrong))
			if err := porcupine.VisualizePath(keyModel, info, drawn); err != nil {
				f.t.Log(err)
			}
			f.t.Errorf("%s at %s isn't linearizable (%s), drawn in %s:\n%s", k.id, n.name, result, drawn, told(ops))
		}
	}
	if wrong > 0 {
		file := filepath.Join(f.dir, "violations.txt")
		if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
			f.t.Error(err)
		}
		f.t.Errorf("%d histories of %d are not linearizable: all are in %s", wrong, histories, file)
	}
	return histories, operations
}

// told is a history as text. Looks that say the same one after the other are one line.
func told(ops []porcupine.Operation) string {
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var text strings.Builder
	for i, op := range ops {
		if _, wrote := op.Input.(change); !wrote && i > 0 && i+1 < len(ops) && ops[i-1].Output == op.Output && ops[i+1].Output == op.Output {
			continue
		}
		fmt.Fprintf(&text, "  %12s to %12s  %s\n", time.Duration(op.Call).Round(time.Microsecond), time.Duration(op.Return).Round(time.Microsecond),
			keyModel.DescribeOperation(op.Input, op.Output))
	}
	return text.String()
}
