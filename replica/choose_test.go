package replica

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// signpost is a connection to a hub that only says where it is.
type signpost struct {
	grpc.ClientConnInterface
	at    storage.Position
	err   error
	hangs bool
}

func (s *signpost) Invoke(ctx context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	if s.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.err == nil {
		reply.(*replicav1.LocateResponse).Position = wirePosition(s.at)
	}
	return s.err
}

func TestChoose(t *testing.T) {
	at := func(epoch, revision uint64) *signpost {
		return &signpost{at: storage.Position{Epoch: epoch, Revision: revision}}
	}
	db := storagetest.New(t, storage.Options{Replica: true})
	dead := &signpost{err: status.Error(codes.Unavailable, "nobody is there")}
	hangs := &signpost{hangs: true}
	for _, c := range []struct {
		name string
		hubs []*signpost
		want []int // any of these
	}{
		{"the one that is further", []*signpost{at(1, 5), at(1, 6), at(1, 4)}, []int{1}},
		{"a newer epoch is further, at whatever revision", []*signpost{at(1, 500), at(2, 3)}, []int{1}},
		{"any of those that are equal", []*signpost{at(1, 5), at(1, 6), at(1, 6)}, []int{1, 2}},
		{"one is dead", []*signpost{dead, at(1, 5)}, []int{1}},
		{"one doesn't answer", []*signpost{hangs, at(1, 5), at(1, 4)}, []int{1}},
		{"one has nothing", []*signpost{at(0, 0), at(1, 1)}, []int{1}},
		{"all are dead", []*signpost{dead, dead}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			// How long others have once one has answered doesn't pass while one of them can go on.
			synctest.Test(t, func(t *testing.T) {
				chosen := map[string]int{}
				names := "abc"
				for range 40 {
					var hubs []Target
					for i, h := range c.hubs {
						hubs = append(hubs, Target{names[i : i+1], h})
					}
					ctx, cancel := context.WithTimeout(t.Context(), soon)
					got, err := (&Follower{o: FollowerOptions{DB: db, Hubs: hubs}}).choose(ctx)
					cancel()
					if (err != nil) != (c.want == nil) {
						t.Fatal(err)
					}
					if err != nil {
						if text := err.Error(); strings.Count(text, "nobody is there") != len(hubs) || !strings.Contains(text, "a: ") {
							t.Errorf("it doesn't tell of each: %v", err)
						}
						return
					}
					chosen[got.Name]++
				}
				for _, i := range c.want {
					if chosen[names[i:i+1]] == 0 {
						t.Errorf("%s is never chosen: %v", names[i:i+1], chosen)
					}
					delete(chosen, names[i:i+1])
				}
				if len(chosen) > 0 {
					t.Errorf("chosen: %v", chosen)
				}
			})
		})
	}
}

// A replica goes over to a hub that is further ahead when it has seen that twice, and not because both are a write apart.
func TestGoingOver(t *testing.T) {
	db := storagetest.New(t, storage.Options{Replica: true})
	own := storage.Position{Epoch: 1, Revision: 5}
	ahead, newer := storage.Position{Epoch: 1, Revision: 6}, storage.Position{Epoch: 2, Revision: 1}
	hubs := func(a, b storage.Position) []located {
		return []located{{Target: Target{Name: "a"}, at: a}, {Target: Target{Name: "b"}, at: b}}
	}
	for _, c := range []struct {
		name string
		seen [][]located
		goes bool
	}{
		{"once", [][]located{hubs(own, ahead)}, false},
		{"twice", [][]located{hubs(own, ahead), hubs(own, ahead)}, true},
		{"a newer epoch", [][]located{hubs(own, newer), hubs(own, newer)}, true},
		{"with a pause", [][]located{hubs(own, ahead), hubs(ahead, ahead), hubs(own, ahead)}, false},
		{"its own hub is as far, and it isn't yet", [][]located{hubs(ahead, ahead), hubs(ahead, ahead)}, false},
		{"its own hub is further", [][]located{hubs(ahead, own), hubs(ahead, own)}, false},
		{"its own hub doesn't answer", [][]located{hubs(own, ahead)[1:], hubs(own, ahead)[1:]}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &connection{hub: Target{Name: "a"}, f: &Follower{o: FollowerOptions{DB: db}, state: State{At: own}}}
			var err error
			for _, found := range c.seen {
				if err != nil {
					t.Fatalf("it goes over early: %v", err)
				}
				err = l.compare(found)
			}
			if errors.Is(err, errAhead) != c.goes {
				t.Error(err)
			}
		})
	}
}

// later is a hub that says where it is once another has said so: however busy the machine is, both are heard in time.
type later struct {
	grpc.ClientConnInterface
	than grpc.ClientConnInterface
}

func (l later) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	if err := l.than.Invoke(ctx, method, args, &replicav1.LocateResponse{}, options...); err != nil {
		return err
	}
	return l.ClientConnInterface.Invoke(ctx, method, args, reply, options...)
}

// A copy of a hub that was restored, in a newer epoch, takes all replicas over; the former hub doesn't get them back,
// whichever is named first, and however far it goes on.
func TestFailover(t *testing.T) {
	former := hubWith(t, 20)
	targets := []Target{former.target(t)}
	dirs := []string{storagetest.Dir(t), storagetest.Dir(t)}
	for _, dir := range dirs {
		r := startReplica(t, dir, time.Hour, targets...)
		await(t, r.db, former.db.Position())
		r.stop(t)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := former.db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	at := revoke(t, former.db, record(3).ID) // lost by the restore
	dir := storagetest.Dir(t)
	if _, err := storage.Restore(dir, backup, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	newer := startHub(t, dir)
	if !at.Before(newer.db.Position()) {
		t.Fatalf("the restored hub is at %s, and the former at %s", newer.db.Position(), at)
	}
	for i, dir := range dirs {
		both := []Target{former.target(t), newer.target(t)}
		both[0].Connection = later{both[0].Connection, both[1].Connection}
		if i == 1 {
			both[0], both[1] = both[1], both[0]
		}
		r := startReplica(t, dir, time.Hour, both...)
		await(t, r.db, newer.db.Position())
		eventually(t, "fresh", func() bool { return r.Status().Fresh })
		r.stop(t)
		// The former one alone, and further: never back.
		for n := range 30 {
			commit(t, former.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(100 + 30*i + n)}})
		}
		r = startReplica(t, dir, time.Hour, former.target(t))
		eventually(t, "it refuses", func() bool { return strings.Contains(r.Status().Problem, ErrOlder.Error()) })
		if got := r.db.Position(); got != newer.db.Position() {
			t.Errorf("it went over to %s, and was at %s", got, newer.db.Position())
		}
		if !r.Status().Fresh {
			t.Error("its lease of the newer hub ended by that")
		}
		r.stop(t)
		r = startReplica(t, dir, time.Hour, both...)
		want := commit(t, newer.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(200 + i)}})
		await(t, r.db, want)
	}
}

// Two processes that write to copies of one store in one epoch are told apart at the first revision that differs.
func TestTwoHubsOfOneEpoch(t *testing.T) {
	one := hubWith(t, 5)
	dir := one.dir
	at := one.db.Position()
	r := startReplica(t, storagetest.Dir(t), time.Minute, one.target(t))
	await(t, r.db, at)
	one.stop(t)
	other := startHub(t, copied(t, dir))
	one = startHub(t, dir)
	r.stop(t)
	r = startReplica(t, r.dir, time.Minute, one.target(t))
	await(t, r.db, commit(t, one.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(50)}}))
	commit(t, other.db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(51)}})
	r.stop(t)
	r = startReplica(t, r.dir, time.Minute, other.target(t))
	eventually(t, "it refuses", func() bool { return strings.Contains(r.Status().Problem, ErrOther.Error()) })
	if r.db.Position() != one.db.Position() {
		t.Errorf("it is at %s", r.db.Position())
	}
}

// A hub of a name that nobody knows, or that isn't there, keeps nobody from answering by what is on the disk.
func TestStartsWithEveryHubDown(t *testing.T) {
	h := hubWith(t, 5)
	dir := storagetest.Dir(t)
	r := startReplica(t, dir, time.Minute, h.target(t))
	eventually(t, "fresh", func() bool { return r.Status().Fresh })
	at := r.db.Position()
	r.stop(t)
	unknown, err := grpc.NewClient("dns:///hub.invalid:443", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unknown.Close() }()
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and nothing more
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	mute, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	absent := dial(t, filepath.Join(os.TempDir(), "lk-nobody.sock"))
	began := time.Now()
	r = startReplica(t, dir, time.Minute, Target{"unknown", unknown}, Target{"mute", mute}, absent)
	if s := r.Status(); !s.Fresh || r.db.Position() != at {
		t.Errorf("it doesn't answer: %+v at %s", s, r.db.Position())
	}
	t.Logf("it answered after %v", time.Since(began).Round(time.Millisecond))
	eventually(t, "it tells why it follows none", func() bool { return r.Status().Problem != "" })
}
