package replica

import (
	"errors"
	"fmt"
	"math"
)

// What hubs have said of a replica, and when it counts.
//
// With one hub at a time all that it says counts for good, across its restarts and restores. An old hub that comes back
// beside a restored one goes on to give out leases that the other can't know of, so then less can be promised:
//
//   - What a hub says of a replica counts if the replica had by then stored something of that hub's epoch, since it
//     takes nothing older any more; or if no hub of an older epoch answers it. Once one does, what the newer hub had
//     said of it before is void.
//   - What a hub says of its own writes, after a newer one was made of a backup, is about its own world: a replica that
//     has gone over to the newer one never hears of them.
//   - A hub says nothing of replicas that never spoke to it.
//
// And by AcceptOlder, the operator's word, all is void that any hub had said of the replica; a hub's word counts again
// once the replica has spoken to it.

var errAllowed = errors.New("a key is allowed that a hub had said to be dead")

// word is what one hub has said of a replica: from when on each key is dead there.
type word struct {
	loose [keysMost]Instant // said before the replica had stored anything of the hub's epoch
	firm  [keysMost]Instant // said since
	// astray is whether a hub of an older epoch answered the replica, and it has stored nothing of this one since.
	astray bool
	// unsaid is whether the hub hasn't heard of the replica since AcceptOlder.
	unsaid bool
}

// words are what all hubs have said of one replica, by the hub's epoch.
type words []word

// of returns what the hub of an epoch has said.
func (w *words) of(epoch uint64) *word {
	for uint64(len(*w)) <= epoch {
		var none word
		for k := range none.loose {
			none.loose[k], none.firm[k] = math.MaxInt64, math.MaxInt64
		}
		*w = append(*w, none)
	}
	return &(*w)[epoch]
}

// heeds reports whether the word of an epoch's hub counts, for all that the operator said.
func (n *node) heeds(epoch uint64) bool { return !n.words.of(epoch).unsaid && !n.state.AcceptOlder }

// give takes a hub's word, and returns how many keys it says something new of.
func (n *node) give(epoch uint64, ends [keysMost]Instant) (news int) {
	w := n.words.of(epoch)
	to := &w.firm
	switch firm := n.state.Floor.Epoch >= epoch; {
	case !n.heeds(epoch) || w.astray && !firm:
		return 0
	case !firm:
		to = &w.loose
	}
	for k, end := range ends {
		if end < to[k] {
			to[k] = end
			news++
		}
	}
	return news
}

// answeredBy notes that the hub of an epoch answered the replica, and which is the newest epoch there is.
func (w *words) answeredBy(epoch, newest uint64) {
	for newer := epoch + 1; newer <= newest; newer++ {
		one := w.of(newer)
		one.astray = true
		for k := range one.loose {
			one.loose[k] = math.MaxInt64
		}
	}
}

// inherit notes that the hub of an epoch begins with what that of another knew, and no more.
func (w *words) inherit(epoch, from uint64) {
	of := *w.of(from)
	w.of(epoch).astray, w.of(epoch).unsaid = of.astray, of.unsaid
}

// stored notes that the replica has stored something of an epoch.
func (w *words) stored(epoch uint64) {
	for older := range epoch + 1 {
		w.of(older).astray = false
	}
}

// void notes that the operator lets the replica go back in time.
func (w *words) void(newest uint64) {
	for epoch := range newest + 1 {
		one := w.of(epoch)
		for k := range one.loose {
			one.loose[k], one.firm[k] = math.MaxInt64, math.MaxInt64
		}
		one.unsaid = true
	}
}

// dead returns the keys that the replica mustn't answer for when its store is of an epoch. carried are the keys that
// were revoked when the hub of that epoch began.
func (w *words) dead(epoch uint64, carried uint16, now Instant) (keys uint16) {
	for of := range *w {
		said := uint16(0)
		for k := range keysMost {
			if min((*w)[of].loose[k], (*w)[of].firm[k]) < now {
				said |= 1 << k
			}
		}
		if uint64(of) < epoch {
			said &= carried
		}
		keys |= said
	}
	return keys
}

// violation says which word a replica breaks now. clock is the time on its own clock.
func (n *node) violation(carried []uint16, now, clock Instant) error {
	if !n.answers(clock) {
		return nil
	}
	epoch := n.what.epoch()
	if broken := n.words.dead(epoch, carried[epoch], now) &^ n.what.revoked; broken != 0 {
		return fmt.Errorf("%w: keys %016b at %s (floor %s, lease %+v, now %v)",
			errAllowed, broken, n.state.At, n.state.Floor, n.state.Lease, clock)
	}
	return nil
}
