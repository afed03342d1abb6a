package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	replicav1 "github.com/latchkey/latchkey/proto/latchkey/replica/v1"
	"github.com/latchkey/latchkey/storage"
)

// liar is a hub that says what a test tells it to say, in its first session, and waits until that is ended by the replica.
// It refuses all sessions after the first.
type liar struct {
	replicav1.UnimplementedReplicaServiceServer
	says  []*replicav1.FollowResponse
	calls atomic.Int64
	ended chan struct{} // closed by the second session: the first is dealt with
	once  sync.Once
}

func (l *liar) Locate(context.Context, *replicav1.LocateRequest) (*replicav1.LocateResponse, error) {
	return nil, errors.New("nobody asks: there is one hub")
}

func (l *liar) Follow(stream grpc.BidiStreamingServer[replicav1.FollowRequest, replicav1.FollowResponse]) error {
	if l.calls.Add(1) > 1 {
		l.once.Do(func() { close(l.ended) })
		return status.Error(codes.Unavailable, "it has said what it had to say")
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	for _, m := range l.says {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

func startLiar(t testing.TB, says []*replicav1.FollowResponse) (*liar, Target) {
	t.Helper()
	l := &liar{says: says, ended: make(chan struct{})}
	socket := filepath.Join(shortDir(t), "liar.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	replicav1.RegisterReplicaServiceServer(s, l)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	return l, dial(t, socket)
}

func dial(t testing.TB, socket string) Target {
	t.Helper()
	c, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return Target{Name: socket, Connection: c}
}

// route is a way to a hub that can be changed: each call takes the one of that moment.
type route struct{ to atomic.Pointer[Target] }

func newRoute(to Target) *route {
	r := &route{}
	r.to.Store(&to)
	return r
}

func (r *route) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	return r.to.Load().Connection.Invoke(ctx, method, args, reply, options...)
}

func (r *route) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return r.to.Load().Connection.NewStream(ctx, d, method, options...)
}

// story is a session as an honest hub would have it. Tests change it.
type story struct {
	at      storage.Position // of the snapshot
	latest  *timestamppb.Timestamp
	puts    []*logv1.Put
	packed  []byte // of them; made anew by pack
	entries []*logv1.Entry
	course  replicav1.Course
}

// tell returns the story of a store, for a replica at a position in its history.
func tell(t testing.TB, db *storage.DB, after storage.Position) *story {
	t.Helper()
	var b bytes.Buffer
	e, err := db.Export(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{at: e.Position, latest: timestamppb.New(e.Latest), course: replicav1.Course_COURSE_SNAPSHOT}
	for b.Len() > 0 {
		p := &logv1.Put{}
		if err := protodelim.UnmarshalFrom(&b, p); err != nil {
			t.Fatal(err)
		}
		s.puts = append(s.puts, p)
	}
	s.pack(t)
	if s.entries, err = db.Since(after, 1<<30); err != nil {
		t.Fatal(err)
	}
	return s
}

// pack packs the objects as a hub does.
func (s *story) pack(t testing.TB) {
	t.Helper()
	var b bytes.Buffer
	for _, p := range s.puts {
		if _, err := protodelim.MarshalTo(&b, p); err != nil {
			t.Fatal(err)
		}
	}
	s.packed = packed(t, b.Bytes(), snapshotWindow)
}

func packed(t testing.TB, raw []byte, window int) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(raw, nil)
}

func (s *story) welcome() *replicav1.FollowResponse { return welcomed(s.at, s.course) }

func (s *story) begin() *replicav1.FollowResponse {
	return &replicav1.FollowResponse{Message: &replicav1.FollowResponse_SnapshotBegin{SnapshotBegin: &replicav1.SnapshotBegin{
		Position: wirePosition(s.at), At: s.latest, Bytes: uint64(len(s.packed)),
	}}}
}

// chunks are the parts, of a size that makes some of a small store.
func (s *story) chunks() (all []*replicav1.FollowResponse) {
	for part := range slices.Chunk(s.packed, max(len(s.packed)/4, 1)) {
		all = append(all, chunk(part))
	}
	return all
}

func chunk(part []byte) *replicav1.FollowResponse {
	return &replicav1.FollowResponse{Message: &replicav1.FollowResponse_SnapshotChunk{SnapshotChunk: &replicav1.SnapshotChunk{
		Data: slices.Clone(part), Crc32C: crc32.Checksum(part, castagnoli),
	}}}
}

func (s *story) end() *replicav1.FollowResponse {
	sum := sha256.Sum256(s.packed)
	return &replicav1.FollowResponse{Message: &replicav1.FollowResponse_SnapshotEnd{SnapshotEnd: &replicav1.SnapshotEnd{Sha256: sum[:], Objects: uint64(len(s.puts))}}}
}

// snapshot is the whole session of one.
func (s *story) snapshot() []*replicav1.FollowResponse {
	return append(append([]*replicav1.FollowResponse{s.welcome(), s.begin()}, s.chunks()...), s.end())
}

// log is a session of entries, each in a message of its own.
func (s *story) log() []*replicav1.FollowResponse {
	all := []*replicav1.FollowResponse{welcomed(s.at, replicav1.Course_COURSE_ENTRIES)}
	for _, e := range s.entries {
		all = append(all, told(e))
	}
	return all
}

func told(entries ...*logv1.Entry) *replicav1.FollowResponse {
	m := &replicav1.Entries{}
	for _, e := range entries {
		m.Entries = append(m.Entries, proto.CloneOf(e))
	}
	return &replicav1.FollowResponse{Message: &replicav1.FollowResponse_Entries{Entries: m}}
}

func welcomed(at storage.Position, course replicav1.Course) *replicav1.FollowResponse {
	return &replicav1.FollowResponse{Message: &replicav1.FollowResponse_Welcome{Welcome: &replicav1.Welcome{Position: wirePosition(at), Course: course}}}
}

func currently(at storage.Position, number uint64) *replicav1.FollowResponse {
	return &replicav1.FollowResponse{Message: &replicav1.FollowResponse_Current{Current: &replicav1.Current{Position: wirePosition(at), Number: number, Now: timestamppb.Now()}}}
}
