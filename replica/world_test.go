package replica

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/latchkey/latchkey/storage"
)

// A model of everything around the protocol's core: hubs with their histories and backups, replicas with their disks, and
// a network. The core itself (State, Peer, CourseFor) is the product's own. Each key is revoked by one write, and what the
// model watches is that no replica answers for a key of which a hub said that it is dead there.

// keysMost is how many keys a run may revoke.
const keysMost = 16

// contents is what a store holds: which keys are revoked, and the revision of the last write.
type contents struct {
	revoked uint16
	last    uint64
}

// epoch is that of the hub that wrote them.
func (c contents) epoch() uint64 { return c.last & 255 }

// version is a store at a position.
type version struct {
	at   storage.Position
	what contents
}

// protections are what each must be there: the tests take them away in turn.
type protections struct {
	noEpoch      bool // positions are told apart by revision alone
	noLease      bool // a replica answers however old its store is
	noWatermark  bool // a replica forgets how far it was when its file is put back
	noTombstones bool // a restored hub forgets what was revoked since the backup
	noHello      bool // a hub doesn't ask what lease a replica has of another
	noQuestion   bool // a hub notes a question when it answers it
	noShortening bool // a shorter limit isn't written down before a hub is told
}

// position returns the position of contents.
func (p *protections) position(epoch, revision uint64, what contents) storage.Position {
	if p.noEpoch {
		return storage.Position{Epoch: 1, Revision: revision}
	}
	at := storage.Position{Epoch: epoch, Revision: revision}
	binary.LittleEndian.PutUint16(at.Digest[:], what.revoked)
	binary.LittleEndian.PutUint64(at.Digest[8:], what.last)
	return at
}

// hub is the model of a hub.
type hub struct {
	protections *protections
	epoch       uint64
	history     []version // oldest first; the last one is the present
	kept        int       // how many versions of it the log has
	revoked     uint16    // keys that ever were, whatever the history has: the tombstones
	peers       []Peer
	known       []bool // whether the replica is on the roster, which is durable
	written     [keysMost]Instant
	at          [keysMost]storage.Position // of each revocation
	receipts    uint16                     // keys whose receipt was whole at some time
}

func newHub(p *protections, replicas, kept int) *hub {
	h := &hub{protections: p, epoch: 1, kept: kept, peers: make([]Peer, replicas), known: make([]bool, replicas)}
	h.history = []version{{p.position(1, 1, contents{last: 1}), contents{last: 1}}}
	return h
}

func (h *hub) now() version { return h.history[len(h.history)-1] }

func (h *hub) write(what contents) {
	revision := h.now().at.Revision + 1
	what.last = revision<<8 | h.epoch
	h.history = append(h.history, version{h.protections.position(h.epoch, revision, what), what})
}

// revoke revokes a key.
func (h *hub) revoke(k int, now Instant) {
	what := h.now().what
	what.revoked |= 1 << k
	h.revoked |= 1 << k
	h.write(what)
	h.written[k], h.at[k] = now, h.now().at
}

// restore goes back to a backup, in a new epoch, and withdraws again.
func (h *hub) restore(backup []version, epoch uint64) {
	h.history = append([]version(nil), backup...)
	h.epoch = epoch
	what := h.now().what
	if !h.protections.noTombstones {
		what.revoked |= h.revoked
	}
	h.write(what)
}

// elsewhere is another hub that begins as a backup of this one, with its tombstones, and with its roster or without.
func (h *hub) elsewhere(backup []version, epoch uint64, roster bool, now Instant) *hub {
	other := *h
	other.peers, other.known = append([]Peer(nil), h.peers...), append([]bool(nil), h.known...)
	if !roster {
		clear(other.known)
	}
	other.restore(backup, epoch)
	other.restart(now)
	return &other
}

// restart forgets all but that replicas were there.
func (h *hub) restart(now Instant) {
	for i, p := range h.peers {
		h.peers[i] = Peer{}
		if h.known[i] {
			h.peers[i] = Peer{Leased: true, Limit: p.Limit, Asked: now}
		}
	}
}

// since is what storage.DB.Since is: the versions that follow a position.
func (h *hub) since(at storage.Position) ([]version, error) {
	first := max(len(h.history)-h.kept, 0)
	for i := len(h.history) - 1; i >= first; i-- {
		if h.history[i].at == at {
			return h.history[i+1:], nil
		}
	}
	if at.Revision < h.history[first].at.Revision {
		return nil, storage.ErrTrimmed
	}
	return nil, storage.ErrDiverged
}

// already is when what is dead by now was dead.
const already = Instant(-1)

// ends returns when the hub says that each key is dead at a replica, and which are by now because the replica has
// applied that.
func (h *hub) ends(replica int, now Instant) (ends [keysMost]Instant, has uint16) {
	p := &h.peers[replica]
	for k := range keysMost {
		ends[k] = math.MaxInt64
		if h.revoked&(1<<k) == 0 || !h.known[replica] {
			continue
		}
		switch p.Standing(h.at[k], h.written[k], now) {
		case Applied:
			has |= 1 << k
			ends[k] = already
		case Gone:
			ends[k] = already
		case Missing:
			if end, never := p.End(h.at[k], h.written[k]); !never {
				ends[k] = end
			}
		}
	}
	return ends, has
}

// remembered is what a replica's disk has beside its store.
type remembered struct {
	floor storage.Position
	lease Lease
	at    storage.Position // that the lease was proven at
}

// node is the model of a replica.
type node struct {
	protections *protections
	state       State
	limit       time.Duration
	what        contents // of its store
	copies      []version
	disk        remembered
	words       words
}

// stored makes a version the replica's, durably.
func (n *node) stored(v version) {
	n.what = v.what
	n.state.Stored(v.at)
	n.disk.floor = n.state.Floor
}

// longAgo is when a question was asked of which nobody knows when it was: no limit is as long.
const longAgo = 1e6 * Instant(time.Hour)

// restart begins a process on what the disk has.
func (n *node) restart(v version, limit time.Duration, rebooted bool, now Instant) {
	n.what, n.limit = v.what, limit
	floor := n.disk.floor
	if n.protections.noWatermark || floor.Before(v.at) {
		floor = v.at
	}
	n.state = State{At: v.at, Floor: floor}
	lease := n.disk.lease
	if rebooted { // its clock began anew
		if lease.Limit > 0 {
			lease = Lease{}
		}
		lease.Asked = now - longAgo
	}
	lease.Shorten(limit)
	if !n.protections.noShortening {
		n.disk.lease = lease
	}
	// A lease is that of a store at its position, or later: what it remembers of that is a watermark too.
	if n.protections.noWatermark || !v.at.Before(n.disk.at) {
		n.state.Lease = lease
	}
}

// remember writes the lease down.
func (n *node) remember() { n.disk.lease, n.disk.at = n.state.Lease, n.state.At }

// present is what the replica's store is.
func (n *node) present() version { return version{n.state.At, n.what} }

// answers reports whether the replica answers requests from its store.
func (n *node) answers(now Instant) bool {
	return n.state.Fresh(now) || n.protections.noLease && n.state.At.Revision > 0 && !n.state.At.Before(n.state.Floor)
}
