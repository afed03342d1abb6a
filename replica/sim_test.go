package replica

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

const (
	simReplicas = 3
	simSteps    = 350
	simPatience = 3 * time.Second
)

// simLimits are how long leases may run; 0 is without limit.
var simLimits = []time.Duration{10 * time.Second, 10 * time.Second, 4 * time.Second, 20 * time.Second, 0}

// sim is one run, by a seed.
type sim struct {
	*rand.Rand
	protections
	now     Instant
	hubs    []*hub // oldest first: one, or an old one beside the newest
	retired *hub   // an old one that may come back
	epoch   uint64 // the newest
	carried []uint16
	backups [][]version
	keys    int // that were revoked
	nodes   [simReplicas]*node
	links   [simReplicas]link
	cut     [simReplicas]bool // partitioned
	busy    [simReplicas]Instant
	rates   [simReplicas]float64 // of the replicas' clocks
	starts  [simReplicas]Instant // of them
	trace   []string
	figures
}

// figures are what runs came to.
type figures struct {
	words, receipts, refusals, snapshots, overtaken, rivals, older, healed int
}

func (f *figures) add(o figures) {
	f.words, f.receipts, f.refusals, f.snapshots = f.words+o.words, f.receipts+o.receipts, f.refusals+o.refusals, f.snapshots+o.snapshots
	f.overtaken, f.rivals, f.older, f.healed = f.overtaken+o.overtaken, f.rivals+o.rivals, f.older+o.older, f.healed+o.healed
}

func newSim(seed uint64, p protections) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 2)), protections: p, now: Instant(time.Hour), epoch: 1, carried: []uint16{0, 0}}
	s.hubs = []*hub{newHub(&s.protections, simReplicas, 2+s.IntN(6))}
	for i := range s.nodes {
		s.nodes[i] = &node{protections: &s.protections, limit: s.limit()}
		s.rates[i] = 1 + (s.Float64()-0.5)/drift
		s.starts[i] = Instant(s.Int64N(int64(1000 * time.Hour)))
	}
	return s
}

func (s *sim) limit() time.Duration { return simLimits[s.IntN(len(simLimits))] }

func (s *sim) newest() *hub { return s.hubs[len(s.hubs)-1] }

// clock is the time on a replica's own clock.
func (s *sim) clock(i int) Instant { return Instant(float64(s.now)*s.rates[i]) + s.starts[i] }

func (s *sim) tell(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%8.3f ", s.now.Seconds())+fmt.Sprintf(format, args...))
}

// run makes random steps, and then heals everything and waits until all agree.
func (s *sim) run() error {
	for range simSteps {
		s.step()
		if err := s.check(); err != nil {
			return err
		}
	}
	return s.heal()
}

// check notes what hubs say, and looks for a word that is broken.
func (s *sim) check() error {
	for _, h := range s.hubs {
		whole := h.revoked // keys whose receipt is whole: none of all the replicas is missing
		for i, n := range s.nodes {
			ends, has := h.ends(i, s.now)
			s.words += n.give(h.epoch, ends)
			for k, end := range ends {
				if end != already && h.known[i] {
					whole &^= 1 << k
				}
				if has&(1<<k) != 0 && n.heeds(h.epoch) && n.state.Floor.Before(h.at[k]) {
					return fmt.Errorf("replica %d: it has %s, says the hub, and was never further than %s", i, h.at[k], n.state.Floor)
				}
			}
		}
		s.receipts += bits.OnesCount16(whole &^ h.receipts)
		h.receipts |= whole
	}
	for i, n := range s.nodes {
		if err := n.violation(s.carried, s.now, s.clock(i)); err != nil {
			return fmt.Errorf("replica %d: %w", i, err)
		}
	}
	return nil
}

func (s *sim) step() {
	i := s.IntN(simReplicas)
	switch p := s.IntN(1000); {
	case p < 130:
		s.now += Instant(s.ExpFloat64() * float64(time.Second))
	case p < 150:
		s.now += 3 * time.Second
	case p < 240:
		s.atHub(p - 150)
	case p < 370:
		s.atReplica(i, p-240)
	case p < 380:
		s.disturb(&s.links[i])
	case p < 500:
		s.connect(i)
	case p < 560:
		s.question(i)
	case p < 700:
		s.serve(i)
	default:
		s.deliver(i)
	}
}

// atHub is what happens to hubs: 90 cases of equal weight.
func (s *sim) atHub(p int) {
	h := s.hubs[s.IntN(len(s.hubs))]
	switch {
	case p < 40:
		if s.keys < keysMost {
			h.revoke(s.keys, s.now)
			s.keys++
			s.tell("revoke: hub at %s", h.now().at)
		}
	case p < 50:
		for range 1 + s.IntN(4) {
			h.write(h.now().what)
		}
		s.tell("write: hub at %s", h.now().at)
	case p < 62:
		s.backups = append(s.backups, append([]version(nil), h.history...))
	case p < 76:
		s.restore()
	case p < 80:
		s.dropAll(h)
		h.restart(s.now)
		s.tell("hub at %s restarts", h.now().at)
	case p < 83:
		if len(s.hubs) > 1 {
			s.dropAll(s.hubs[0])
			s.retired, s.hubs = s.hubs[0], s.hubs[1:]
			s.tell("the old hub stops")
		}
	default:
		if s.retired != nil && len(s.hubs) == 1 {
			s.retired.restart(s.now)
			s.hubs, s.retired = []*hub{s.retired, s.hubs[0]}, nil
			s.rivals++
			s.tell("the old hub comes back at %s", s.hubs[0].now().at)
		}
	}
}

// restore restores a backup, in place of the newest hub or, with one, beside it.
func (s *sim) restore() {
	if len(s.backups) == 0 {
		return
	}
	h, backup := s.newest(), s.backups[s.IntN(len(s.backups))]
	s.epoch++
	s.carried = append(s.carried, h.revoked)
	for _, n := range s.nodes {
		n.words.inherit(s.epoch, h.epoch)
	}
	if len(s.hubs) == 1 && s.IntN(3) > 0 {
		other := h.elsewhere(backup, s.epoch, s.IntN(2) == 0, s.now)
		s.hubs, s.retired = append(s.hubs, other), nil
		s.rivals++
		s.tell("restore beside: hubs at %s and %s", h.now().at, other.now().at)
		return
	}
	h.restore(backup, s.epoch)
	s.dropAll(h)
	h.restart(s.now)
	s.tell("restore: hub at %s", h.now().at)
}

// atReplica is what happens to a replica: 130 cases of equal weight.
func (s *sim) atReplica(i, p int) {
	n, limit := s.nodes[i], s.nodes[i].limit
	switch {
	case p < 10:
		s.cut[i] = !s.cut[i]
		s.leave(i)
		s.tell("replica %d: cut %v", i, s.cut[i])
	case p < 25:
		s.leave(i)
	case p < 45:
		if n.state.At.Epoch > 0 {
			n.copies = append(n.copies, n.present())
		}
	case p < 55:
		n.remember()
	case p < 85:
		if s.IntN(3) > 0 {
			limit = s.limit()
		}
		s.restart(i, n.present(), limit, s.IntN(6) == 0)
	case p < 110:
		if len(n.copies) > 0 {
			s.restart(i, n.copies[s.IntN(len(n.copies))], limit, false)
			s.tell("replica %d: that was an older file", i)
		}
	case p < 113:
		s.restart(i, version{}, limit, false)
		s.tell("replica %d: its file is lost", i)
	case p < 117:
		s.restart(i, n.present(), limit, false)
		n.state.AcceptOlder, n.state.Whole = true, true
		s.tell("replica %d may go back, says the operator", i)
	default:
		s.busy[i] = s.now + Instant(s.ExpFloat64()*float64(time.Second))
	}
}

func (s *sim) dropAll(h *hub) {
	for i := range s.links {
		if s.links[i].hub == h {
			s.leave(i)
		}
	}
}

func (s *sim) restart(i int, v version, limit time.Duration, rebooted bool) {
	s.links[i] = link{}
	if rebooted {
		s.starts[i] = Instant(s.Int64N(int64(1000 * time.Hour)))
	}
	s.nodes[i].restart(v, limit, rebooted, s.clock(i))
	s.tell("replica %d restarts at %s, limit %v, rebooted %v", i, v.at, limit, rebooted)
}

// heal leaves one hub, mends the network, and waits until every replica is where the hub is, may answer, and is known
// to have every write.
func (s *sim) heal() error {
	s.cut, s.busy = [simReplicas]bool{}, [simReplicas]Instant{}
	s.hubs = s.hubs[len(s.hubs)-1:]
	h := s.hubs[0]
	for i := range s.links {
		s.leave(i)
	}
	for range 200 {
		done := true
		for i, n := range s.nodes {
			s.connect(i)
			s.question(i)
			for range 4 {
				s.serve(i)
				s.deliver(i)
			}
			done = done && n.present() == h.now() && n.state.Fresh(s.clock(i)) && h.peers[i].Standing(h.now().at, s.now, s.now) == Applied
		}
		s.now += Instant(20 * time.Millisecond)
		if err := s.check(); err != nil {
			return err
		}
		if done {
			s.healed++
			return nil
		}
	}
	return errors.New("after healing, not all are where the hub is")
}

// seeds is how many seeds are run: LATCHKEY_SEEDS, or a number that takes a second or two.
func seeds(t testing.TB, otherwise int) int {
	if text := os.Getenv("LATCHKEY_SEEDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("LATCHKEY_SEEDS: %v", err)
		}
		return n
	}
	return otherwise
}

// No replica allows a key after the hub said that it is dead there, and once the network is whole all agree.
func TestSimulation(t *testing.T) {
	n := seeds(t, 1000)
	var all figures
	for seed := range uint64(n) {
		s := newSim(seed, protections{})
		if err := s.run(); err != nil {
			for _, line := range s.trace {
				t.Log(line)
			}
			t.Fatalf("seed %d: %v", seed, err)
		}
		all.add(s.figures)
	}
	t.Logf("%d seeds: %+v", n, all)
	for what, few := range map[string]bool{
		"words": all.words < 10*n, "sessions refused": all.refusals < n/100, "snapshots": all.snapshots < n, "snapshots amid a session": all.overtaken < n/2,
		"two hubs": all.rivals < n/5, "replicas that went back": all.older < n/20, "healed": all.healed < n, "receipts": all.receipts < 2*n,
	} {
		if few {
			t.Errorf("the runs hardly come to what they are to show: %s", what)
		}
	}
}

// Each protection is needed: without it some seed shows a dead key allowed.
func TestSimulationFindsWhatIsMissing(t *testing.T) {
	for name, p := range map[string]protections{
		"epoch":     {noEpoch: true},
		"lease":     {noLease: true},
		"watermark": {noWatermark: true},
		"tombstone": {noTombstones: true},
		"hello":     {noHello: true},
		"question":  {noQuestion: true},
		"shorten":   {noShortening: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2000) {
				s := newSim(seed, p)
				if errors.Is(s.run(), errAllowed) {
					t.Logf("seed %d shows it", seed)
					return
				}
			}
			t.Error("no seed shows that it is needed")
		})
	}
}
