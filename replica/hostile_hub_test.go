package replica

import (
	"bytes"
	"slices"
	"testing"
	"time"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"

	"github.com/latchkey/latchkey/key"
)

type responses = []*replicav1.FollowResponse

// lies are sessions of hubs that are broken or mean harm: made of an honest story, of what the store was before, and of
// where the replica is.
var lies = []struct {
	name string
	lie  func(t *testing.T, s, old *story, at storage.Position) responses
	why  error  // that the session ends with
	text string // that it tells, where there is no such value
}{
	{"a part is damaged", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		m[3].GetSnapshotChunk().Data[5] ^= 1
		return m
	}, errSnapshot, "the checksum of a part"},
	{"a part is damaged, and its checksum fits", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		data := m[len(m)-2].GetSnapshotChunk().GetData()
		data[len(data)-1] ^= 1
		m[len(m)-2] = chunk(data)
		return m
	}, errSnapshot, ""},
	{"the sum of all is wrong", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		m[len(m)-1].GetSnapshotEnd().Sha256[0] ^= 1
		return m
	}, errSnapshot, "its checksum is wrong"},
	{"there is no sum", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		m[len(m)-1].GetSnapshotEnd().Sha256 = nil
		return m
	}, errSnapshot, "its checksum is wrong"},
	{"the last part is missing", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		return slices.Delete(m, len(m)-2, len(m)-1)
	}, errSnapshot, " bytes of "},
	{"it is cut off, and the announcement fits", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.packed = s.packed[:len(s.packed)-7]
		return s.snapshot()
	}, errSnapshot, ""},
	{"its objects are cut off", func(t *testing.T, s, _ *story, _ storage.Position) responses {
		s.puts = s.puts[:len(s.puts)-1]
		s.pack(t)
		return s.snapshot()
	}, nil, "whole"},
	{"two parts change places", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		m[2], m[3] = m[3], m[2]
		return m
	}, errSnapshot, ""},
	{"more comes than was announced", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		return slices.Insert(m, len(m)-1, chunk([]byte("more")))
	}, errSnapshot, "more came"},
	{"more was packed than belongs to it", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.packed = append(s.packed, "more"...)
		return s.snapshot()
	}, errSnapshot, ""},
	{"it is announced with more than anybody fetches", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		m[1].GetSnapshotBegin().Bytes = maxSnapshot + 1
		return m
	}, errSnapshot, "it says that it has"},
	{"it is empty", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.packed, s.puts = nil, nil
		return s.snapshot()
	}, nil, "whole"},
	{"objects are out of order", func(t *testing.T, s, _ *story, _ storage.Position) responses {
		s.puts[3], s.puts[4] = s.puts[4], s.puts[3]
		s.pack(t)
		return s.snapshot()
	}, errSnapshot, "out of order"},
	{"an object comes twice", func(t *testing.T, s, _ *story, _ storage.Position) responses {
		s.puts = slices.Insert(s.puts, 3, s.puts[3])
		s.pack(t)
		return s.snapshot()
	}, errSnapshot, "twice"},
	{"an object is of no kind", func(t *testing.T, s, _ *story, _ storage.Position) responses {
		s.puts[len(s.puts)-1].Kind = 77
		s.pack(t)
		return s.snapshot()
	}, errSnapshot, "unknown kind"},
	{"an object is another", func(t *testing.T, s, old *story, _ storage.Position) responses {
		i := slices.IndexFunc(s.puts, func(p *logv1.Put) bool { return !bytes.Equal(p.GetValue(), valueOf(old, p)) && valueOf(old, p) != nil })
		s.puts[i].Value = valueOf(old, s.puts[i]) // a revoked key as it was before
		s.pack(t)
		return s.snapshot()
	}, nil, "whole"},
	{"it unpacks to nothing but zeros", func(t *testing.T, s, _ *story, _ storage.Position) responses {
		s.packed = packed(t, make([]byte, 256<<20), snapshotWindow)
		return s.snapshot()
	}, errSnapshot, ""},
	{"unpacking takes much memory", func(t *testing.T, s, _ *story, _ storage.Position) responses {
		s.packed = packed(t, make([]byte, 96<<20), 64<<20)
		return s.snapshot()
	}, errSnapshot, "window"},
	{"it is no zstd", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.packed = bytes.Repeat([]byte("not zstd "), 100)
		return s.snapshot()
	}, errSnapshot, ""},
	{"its objects are of another number", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.snapshot()
		m[len(m)-1].GetSnapshotEnd().Objects++
		return m
	}, errSnapshot, "objects"},
	{"its digest is that of other objects", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.at.Digest[0] ^= 1
		return s.snapshot()
	}, nil, "whole"},
	{"an old one is sent again", func(_ *testing.T, _, old *story, _ storage.Position) responses { return old.snapshot() }, ErrOlder, ""},
	{"an old one is sent under a new welcome", func(_ *testing.T, s, old *story, _ storage.Position) responses {
		return append(responses{s.welcome()}, old.snapshot()[1:]...)
	}, ErrOlder, ""},
	{"an old one is sent as a new one", func(_ *testing.T, s, old *story, _ storage.Position) responses {
		old.at = s.at
		return old.snapshot()
	}, nil, "whole"},
	{"it is of this position, and has other objects", func(_ *testing.T, s, _ *story, at storage.Position) responses {
		s.at = at
		s.at.Digest[31] ^= 1
		return append(responses{welcomed(at, replicav1.Course_COURSE_SNAPSHOT)}, s.snapshot()[1:]...)
	}, ErrOther, ""},
	{"it begins twice", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return responses{s.welcome(), s.begin(), s.begin()}
	}, ErrOrder, ""},
	{"it ends without a beginning", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return responses{s.welcome(), s.end()}
	}, ErrOrder, ""},
	{"a part comes without a beginning", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return append(responses{s.welcome()}, s.chunks()...)
	}, ErrOrder, ""},
	{"it begins before the welcome", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return s.snapshot()[1:]
	}, ErrOrder, ""},
	{"entries come within it", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return slices.Insert(s.snapshot(), 3, told(s.entries...))
	}, ErrOrder, ""},
	{"nothing but a welcome that is repeated", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return responses{s.welcome(), s.welcome()}
	}, ErrOrder, ""},
	{"the course is none", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.course = replicav1.Course_COURSE_UNSPECIFIED
		return s.snapshot()
	}, ErrOrder, ""},
	{"the course is of a later version", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.course = 9
		return s.snapshot()
	}, ErrOrder, ""},
	{"the hub is behind", func(_ *testing.T, _, old *story, _ storage.Position) responses {
		return responses{welcomed(old.at, replicav1.Course_COURSE_BEHIND)}
	}, ErrOlder, ""},
	{"the hub is behind, and says that it goes on with entries", func(_ *testing.T, _, old *story, _ storage.Position) responses {
		return responses{welcomed(old.at, replicav1.Course_COURSE_ENTRIES)}
	}, ErrOlder, ""},
	{"the hub has this revision with other contents", func(_ *testing.T, _, _ *story, at storage.Position) responses {
		at.Digest[0] ^= 1
		return responses{welcomed(at, replicav1.Course_COURSE_ENTRIES)}
	}, ErrOther, ""},
	{"a digest of three bytes", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		m := s.welcome()
		m.GetWelcome().Position.Digest = []byte("abc")
		return responses{m}
	}, nil, "digest of 3 bytes"},
	{"nothing is in a message", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return responses{s.welcome(), {}}
	}, ErrOrder, ""},
	{"entries before the welcome", func(_ *testing.T, s, _ *story, _ storage.Position) responses { return s.log()[1:] }, ErrOrder, ""},
	{"no entries", func(_ *testing.T, s, _ *story, _ storage.Position) responses { return responses{s.log()[0], told()} }, ErrOrder, ""},
	{"a gap", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return append(s.log()[:1], s.log()[2:]...)
	}, ErrGap, ""},
	{"a gap within a message", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return responses{s.log()[0], told(s.entries[0], s.entries[2])}
	}, storage.ErrGap, ""},
	{"entries that were applied already", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		e := s.entries[0]
		e.Revision--
		return responses{s.log()[0], told(e)}
	}, ErrGap, ""},
	{"a digest that doesn't come out", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.entries[0].Digest[7] ^= 1
		return s.log()
	}, storage.ErrDiverged, ""},
	{"a write is left out of an entry", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.entries[0].Puts = nil
		return s.log()
	}, storage.ErrDiverged, ""},
	{"the epoch goes back", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.entries = s.entries[:1]
		s.entries[0].Epoch--
		return s.log()
	}, ErrGap, ""},
	{"time goes back", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		s.entries[0].At.Seconds -= 1000
		return s.log()
	}, storage.ErrDiverged, ""},
	{"an answer to what wasn't asked", func(_ *testing.T, s, _ *story, at storage.Position) responses {
		return responses{s.log()[0], currently(at, 77)}
	}, ErrOrder, ""},
	{"an answer before the welcome", func(_ *testing.T, _, _ *story, at storage.Position) responses { return responses{currently(at, 0)} }, ErrOrder, ""},
	{"up to date somewhere else", func(_ *testing.T, s, _ *story, _ storage.Position) responses {
		return responses{s.log()[0], currently(s.at, 1)}
	}, ErrGap, "sent nothing after"},
	{"up to date here, with other contents", func(_ *testing.T, s, _ *story, at storage.Position) responses {
		at.Digest[9] ^= 1
		return responses{s.log()[0], currently(at, 1)}
	}, ErrOther, ""},
	{"up to date in the past", func(_ *testing.T, s, old *story, _ storage.Position) responses {
		return responses{s.log()[0], currently(old.at, 1)}
	}, ErrOlder, ""},
	{"silence", func(*testing.T, *story, *story, storage.Position) responses { return nil }, ErrSilent, ""},
	{"silence after the welcome", func(_ *testing.T, s, _ *story, _ storage.Position) responses { return s.log()[:1] }, ErrSilent, ""},
	{"silence within a snapshot", func(_ *testing.T, s, _ *story, _ storage.Position) responses { return s.snapshot()[:3] }, ErrSilent, ""},
	{"answers to old questions alone", func(_ *testing.T, s, _ *story, at storage.Position) responses {
		return append(s.log()[:1], slices.Repeat(responses{currently(at, 0)}, 50)...)
	}, ErrSilent, ""},
}

func valueOf(s *story, p *logv1.Put) []byte {
	for _, one := range s.puts {
		if one.GetKind() == p.GetKind() && one.GetName() == p.GetName() {
			return one.GetValue()
		}
	}
	return nil
}

// Whatever a hub says: nothing of it is applied that isn't whole, newer and in turn; the session ends; and with an honest
// hub the replica goes on.
func TestHostileHubs(t *testing.T) {
	h, r, old := liedTo(t)
	at := r.db.Position()
	r.stop(t)
	for _, n := range []int{1, 2, 3} {
		revoke(t, h.db, record(n).ID)
	}
	for _, c := range lies {
		t.Run(c.name, func(t *testing.T) {
			if (c.why == ErrSilent) && testing.Short() {
				t.Skip("it takes ten seconds")
			}
			t.Parallel()
			s, before := tell(t, h.db, at), *old
			before.puts = slices.Clone(old.puts)
			l, target := startLiar(t, c.lie(t, s, &before, at))
			way := newRoute(target)
			limit := time.Hour // by which the replica is patient, but where the lie is silence
			if c.why == ErrSilent {
				limit = time.Second
			}
			r := startReplica(t, copied(t, r.dir), limit, Target{Name: "hub", Connection: way})
			select {
			case <-l.ended:
			case <-time.After(soon):
				t.Fatal("the session doesn't end")
			}
			// The problem of the second session may have taken its place already; the log of the test has both.
			if got := r.db.Position(); got != at || !revoked(r.db, 0) || revoked(r.db, 1) || revoked(r.db, 2) {
				t.Errorf("it is at %s after it, and was at %s", got, at)
			}
			if err := r.db.Check(); err != nil {
				t.Error(err)
			}
			if c.why != nil && !r.said(c.why.Error()) || !r.said(c.text) {
				t.Errorf("it doesn't tell %q, %q", c.why, c.text)
			}
			honest := h.target(t)
			way.to.Store(&honest)
			await(t, r.db, h.db.Position())
			eventually(t, "fresh", func() bool { return r.Status().Fresh })
			if !revoked(r.db, 1) {
				t.Error("what the honest hub has didn't come")
			}
		})
	}
}

// What the lies are made of is a session that is believed.
func TestAnHonestStoryIsBelieved(t *testing.T) {
	h, r, _ := liedTo(t)
	at := r.db.Position()
	r.stop(t)
	revoke(t, h.db, record(1).ID)
	for name, says := range map[string]func(*story) responses{"snapshot": (*story).snapshot, "entries": (*story).log} {
		s := tell(t, h.db, at)
		_, target := startLiar(t, says(s))
		r := startReplica(t, copied(t, r.dir), time.Hour, target) // which is patient: there is one session alone
		await(t, r.db, h.db.Position())
		if !revoked(r.db, 1) {
			t.Errorf("%s: it isn't applied", name)
		}
	}
}

// liedTo is a hub, a replica that is where it is, and what the hub was before.
func liedTo(t *testing.T) (*hubProcess, *replicaProcess, *story) {
	t.Helper()
	h := startHub(t, storagetest.Dir(t))
	for n := range 40 {
		commit(t, h.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n)}})
	}
	old := tell(t, h.db, storage.Position{Epoch: h.db.Position().Epoch})
	revoke(t, h.db, record(0).ID)
	r := startReplica(t, storagetest.Dir(t), time.Second, h.target(t))
	await(t, r.db, h.db.Position())
	return h, r, old
}
