package e2e

import (
	"fmt"
	"testing"

	"github.com/anishathalye/porcupine"
)

// standing is what a key is to who looks at it.
type standing uint8

const (
	absent standing = iota
	live
	disabled
	revoked
	unavailable // no answer about the key; it says nothing, and isn't part of a history
)

func (s standing) String() string {
	return [...]string{"absent", "live", "disabled", "revoked", "unavailable"}[s]
}

// What happens to one key, as one place sees it: the hub or a replica. A place knows the writes to a key in the order in
// which they were made, and never forgets one. A write is an operation of the place too: it begins when the client calls,
// and ends when the place must know it, which is
//
//   - at the hub, when the client has its answer;
//   - at a replica that a receipt counts as one that has applied the write, or whose lease is over, when the client has
//     the receipt;
//   - at a replica that it names as missing, at the instant that it names;
//   - at every replica, once a lease has gone by since the answer.
//
// So who sees a key live after that has seen something that can't be put in order, and so has who sees it revoked and then
// live, whenever that is. A write that a client doesn't know the fate of isn't here: it looks at the hub first.
type (
	// change is the nth write to a key, counted from 1.
	change struct {
		n       int
		to      standing
		restore bool // of a backup
		unsure  bool // whether that said that what was withdrawn since isn't known, but for revocations
	}
	// look is a check or a show. Its output is a standing.
	look struct{}
	// known is what a place knows of a key.
	known struct {
		n    int
		is   standing
		made standing // what clients last made of it, whatever was restored since
	}
)

// keyModel is one key at one place.
var keyModel = porcupine.Model{
	Init: func() any { return known{} },
	Step: func(state, input, output any) (bool, any) {
		now := state.(known)
		c, wrote := input.(change)
		if !wrote {
			return output.(standing) == now.is, now
		}
		next := known{c.n, c.to, c.to}
		if c.restore {
			next.made = now.made
		}
		return c.n == now.n+1 && c.follows(now.made), next
	},
	DescribeOperation: func(input, output any) string {
		if c, wrote := input.(change); wrote {
			by := "write"
			if c.restore {
				by = "restore, as write"
			}
			return fmt.Sprintf("%s %d: %s", by, c.n, c.to)
		}
		return fmt.Sprintf("seen %s", output)
	},
	DescribeState: func(state any) string { return fmt.Sprintf("%d: %s", state.(known).n, state.(known).is) },
}

// follows reports whether a write may come after what clients made of a key. Nothing brings back what is revoked, nor a
// backup what was disabled since. That a key isn't there is always possible after a restore, and that it is there again
// after the next one, of another backup.
func (c change) follows(made standing) bool {
	switch {
	case c.to == absent:
		return c.restore
	case made == revoked:
		return c.to == revoked
	case c.restore:
		return c.to == made || c.to == disabled || c.to == live && c.unsure
	}
	return true
}

// The checker itself, with histories that were made up. Times are in any unit.
func TestFleetModel(t *testing.T) {
	write := func(n int, to standing, call, known int64) porcupine.Operation {
		return porcupine.Operation{Input: change{n: n, to: to}, Call: call, Return: known}
	}
	restore := func(n int, to standing, call, known int64) porcupine.Operation {
		return porcupine.Operation{Input: change{n: n, to: to, restore: true}, Call: call, Return: known}
	}
	see := func(is standing, call, answered int64) porcupine.Operation {
		return porcupine.Operation{Input: look{}, Output: is, Call: call, Return: answered}
	}
	issued := write(1, live, 0, 10)
	for _, c := range []struct {
		name string
		ops  []porcupine.Operation
		good bool
	}{
		{"a life", []porcupine.Operation{issued, see(live, 11, 12), write(2, revoked, 20, 30), see(revoked, 31, 32)}, true},
		{"not there yet", []porcupine.Operation{issued, see(absent, 5, 6), see(live, 7, 8)}, true},
		{"before the receipt either may be seen", []porcupine.Operation{issued, write(2, revoked, 20, 60), see(live, 30, 31), see(revoked, 40, 41)}, true},
		{"a check that began before the receipt", []porcupine.Operation{issued, write(2, revoked, 20, 60), see(live, 59, 70)}, true},
		{"two checks at the same time", []porcupine.Operation{issued, write(2, revoked, 20, 60), see(revoked, 30, 40), see(live, 30, 40)}, true},
		{"changes that came together", []porcupine.Operation{issued, write(2, disabled, 20, 90), write(3, live, 30, 90), write(4, revoked, 40, 90), see(live, 50, 51), see(revoked, 52, 53)}, true},
		{"a backup without the key", []porcupine.Operation{issued, write(2, revoked, 20, 30), restore(3, absent, 40, 50), see(absent, 60, 61)}, true},
		{"a backup of before it was enabled", []porcupine.Operation{issued, write(2, disabled, 20, 30), write(3, live, 40, 50), restore(4, disabled, 60, 70), see(disabled, 80, 81)}, true},
		{"a newer backup after an older one", []porcupine.Operation{issued, restore(2, absent, 20, 30), see(absent, 31, 32), restore(3, live, 40, 50), see(live, 51, 52)}, true},
		{"a backup that can't know better", []porcupine.Operation{issued, write(2, disabled, 20, 30), {Input: change{3, live, true, true}, Call: 40, Return: 50}, see(live, 51, 52)}, true},

		{"live after the receipt", []porcupine.Operation{issued, write(2, revoked, 20, 30), see(live, 31, 32)}, false},
		{"live after revoked, before the receipt", []porcupine.Operation{issued, write(2, revoked, 20, 90), see(revoked, 30, 31), see(live, 40, 41)}, false},
		{"live after disabled, never enabled", []porcupine.Operation{issued, write(2, disabled, 20, 90), see(disabled, 30, 31), see(live, 40, 41)}, false},
		{"disabled after revoked", []porcupine.Operation{issued, write(2, disabled, 20, 90), write(3, revoked, 30, 90), see(revoked, 40, 41), see(disabled, 50, 51)}, false},
		{"revoked before anybody revoked it", []porcupine.Operation{issued, see(revoked, 12, 13), write(2, revoked, 20, 30)}, false},
		{"unknown after the receipt", []porcupine.Operation{issued, see(absent, 11, 12)}, false},
		{"unknown again", []porcupine.Operation{write(1, live, 0, 90), see(live, 10, 11), see(absent, 20, 21)}, false},
		{"a backup that revives", []porcupine.Operation{issued, write(2, revoked, 20, 30), restore(3, live, 40, 50)}, false},
		{"a backup that can't know better, and revives", []porcupine.Operation{issued, write(2, revoked, 20, 30), {Input: change{3, live, true, true}, Call: 40, Return: 50}}, false},
		{"a backup that revives after one without the key", []porcupine.Operation{issued, write(2, revoked, 20, 30), restore(3, absent, 40, 50), restore(4, live, 60, 70)}, false},
		{"a backup that enables after one without the key", []porcupine.Operation{issued, write(2, disabled, 20, 30), restore(3, absent, 40, 50), restore(4, live, 60, 70)}, false},
		{"a backup that revokes", []porcupine.Operation{issued, restore(2, revoked, 20, 30)}, false},
		{"a backup that enables", []porcupine.Operation{issued, write(2, disabled, 20, 30), restore(3, live, 40, 50)}, false},
		{"the world before a backup, after its lease", []porcupine.Operation{issued, restore(2, absent, 20, 30), see(live, 31, 32)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := porcupine.CheckOperations(keyModel, c.ops); got != c.good {
				t.Errorf("it passes (%t), and should (%t)", got, c.good)
			}
		})
	}
}
