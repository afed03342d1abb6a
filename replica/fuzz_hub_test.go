package replica

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// reader is a connection on which messages come that are there already, and nothing is heard of what is said.
type reader struct {
	grpc.ClientStream
	ctx  context.Context
	says []*replicav1.FollowResponse
}

func (r *reader) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	r.ctx = ctx
	return r, nil
}

func (r *reader) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return io.EOF }

func (r *reader) Context() context.Context { return r.ctx }

func (r *reader) Header() (metadata.MD, error) { return nil, nil }
func (r *reader) SendMsg(any) error            { return nil }
func (r *reader) CloseSend() error             { return nil }

func (r *reader) RecvMsg(into any) error {
	if len(r.says) == 0 {
		return io.EOF
	}
	proto.Merge(into.(proto.Message), r.says[0])
	r.says = r.says[1:]
	return nil
}

// fuzzed is what the fuzzer's messages are made of: the history of a hub, and a replica in the midst of it.
type fuzzed struct {
	story   *story
	old     *story
	at      []storage.Position       // that the hub was at, each
	revoked map[storage.Position]int // how many keys were
	dir     string                   // of the replica's store, as it is before
	start   storage.Position
}

func newFuzzed(t testing.TB) *fuzzed {
	f := &fuzzed{dir: storagetest.Dir(t), revoked: map[storage.Position]int{}}
	db := storagetest.New(t)
	note := func(n int) {
		f.at = append(f.at, db.Position())
		f.revoked[db.Position()] = n
	}
	for n := range 4 {
		commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(n)}})
		note(0)
	}
	f.old = tell(t, db, f.at[0])
	revoke(t, db, record(0).ID)
	note(1)
	f.start = db.Position()
	r := storagetest.Open(t, f.dir, storage.Options{Replica: true})
	follower := newFollower(t, r, f.dir)
	if err := hear(t, follower, tell(t, db, f.at[0]).snapshot()); r.Position() != f.start {
		t.Fatal(err)
	}
	storagetest.Close(t, r)
	for n := range 3 {
		revoke(t, db, record(n+1).ID)
		note(n + 2)
	}
	f.story = tell(t, db, f.start)
	return f
}

func newFollower(t testing.TB, db *storage.DB, dir string) *Follower {
	t.Helper()
	f, err := NewFollower(FollowerOptions{DB: db, Folder: dir, Limit: time.Minute, Name: "fuzzed", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// hear is one session of a follower with a hub that says so.
func hear(t testing.TB, f *Follower, says responses) error {
	t.Helper()
	c, err := f.connect(t.Context(), Target{Name: "hub", Connection: &reader{says: says}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	return c.run()
}

// messages makes a session of bytes: each message takes two, which say what it is and how it is wrong.
func (f *fuzzed) messages(b []byte) (all responses) {
	for ; len(b) >= 2 && len(all) < 24; b = b[2:] {
		what, how := b[0], int(b[1])
		from := f.story
		if what&0x80 != 0 {
			from = f.old
		}
		position := f.at[how%len(f.at)]
		var m *replicav1.FollowResponse
		switch what & 0x0f {
		case 0:
			m = welcomed(position, replicav1.Course(how>>4&3))
		case 1, 2, 3:
			first := how % len(from.entries)
			m = told(from.entries[first:min(len(from.entries), first+1+how>>4&3)]...)
		case 4:
			m = from.begin()
		case 5:
			parts := from.chunks()
			m = parts[how%len(parts)]
		case 6:
			all = append(all, from.chunks()...)
			continue
		case 7:
			m = from.end()
		case 8, 9:
			m = currently(position, uint64(how>>4))
		case 10:
			all = append(all, from.snapshot()...)
			continue
		case 11:
			all = append(all, from.log()...)
			continue
		case 12:
			m = &replicav1.FollowResponse{}
		default:
			m = from.welcome()
		}
		if what&0x40 != 0 {
			m = bent(m, how)
		}
		all = append(all, m)
	}
	return all
}

// bent is a message with one bit of its bytes turned over, or cut off, where it still is a message.
func bent(m *replicav1.FollowResponse, how int) *replicav1.FollowResponse {
	b, err := proto.Marshal(m)
	if err != nil || len(b) == 0 {
		return m
	}
	i := how * 31 % len(b)
	if how&1 == 0 {
		b = slices.Clone(b[:i])
	} else {
		b[i] ^= 1 << (how % 8)
	}
	other := &replicav1.FollowResponse{}
	if proto.Unmarshal(b, other) != nil {
		return m
	}
	return other
}

// check runs a session, and looks at the store after it.
func (f *fuzzed) check(t *testing.T, dir string, b []byte) {
	db, err := storage.Open(dir, storage.Options{Replica: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	follower := newFollower(t, db, dir)
	_ = hear(t, follower, f.messages(b))
	at := db.Position()
	want, known := f.revoked[at]
	switch {
	case !known:
		t.Fatalf("the store is at %s, where the hub never was", at)
	case at.Before(f.start):
		t.Fatalf("the store went back to %s", at)
	}
	got := 0
	for n := range 4 {
		if revoked(db, n) {
			got++
		}
	}
	if got != want {
		t.Fatalf("at %s %d keys are revoked, and should be %d", at, got, want)
	}
	if err := db.Check(); err != nil {
		t.Fatal(err)
	}
	if follower.state.At != at || follower.state.Floor != at {
		t.Fatalf("the state is at %s, floor %s, and the store at %s", follower.state.At, follower.state.Floor, at)
	}
}

// FuzzHub lets a hub say anything to a replica. The replica doesn't panic, and its store is where it was or goes on to a
// position that the hub was at, with what the hub had there.
func FuzzHub(f *testing.F) {
	world := newFuzzed(f)
	f.Add([]byte{10, 0})                                  // a snapshot
	f.Add([]byte{11, 0, 8, 0x17})                         // entries, and the answer
	f.Add([]byte{13, 0, 4, 0, 6, 0, 7, 0})                // a snapshot, by parts
	f.Add([]byte{13, 0, 4, 0, 5, 0, 5, 1, 5, 3, 5, 2, 7}) // parts change places
	f.Add([]byte{0, 0x17, 3, 0x34})
	f.Add([]byte{0x8a, 0})
	f.Add([]byte{0x4a, 3, 0x41, 9, 12, 0})
	scratch := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := filepath.Join(scratch, fmt.Sprint(os.Getpid()))
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(world.dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		world.check(t, dir, b)
	})
}

// What the fuzzer begins with is believed where it is true.
func TestFuzzedSeeds(t *testing.T) {
	world := newFuzzed(t)
	newest := world.at[len(world.at)-1]
	for _, b := range [][]byte{{10, 0}, {11, 0}, {13, 0, 4, 0, 6, 0, 7, 0}} {
		dir := copied(t, world.dir)
		db := storagetest.Open(t, dir, storage.Options{Replica: true})
		follower := newFollower(t, db, dir)
		err := hear(t, follower, world.messages(b))
		if db.Position() != newest {
			t.Errorf("%v: the store is at %s, after %v", b, db.Position(), err)
		}
	}
}
