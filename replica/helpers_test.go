package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// A hub and its replicas here are real stores and real gRPC over sockets. Only keys and contents are made up.

// quiet is the log of what a test doesn't look at.
var quiet = slog.New(slog.DiscardHandler)

// soon is how long anything here may take on a machine that is busy.
const soon = 30 * time.Second

// running is something that runs until the test ends, or until it is stopped.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func run(t testing.TB, f func(context.Context) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.done <- f(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) stop(t testing.TB) {
	t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(soon):
		t.Error("it doesn't end")
	}
}

// hubProcess is a hub on a socket.
type hubProcess struct {
	*Hub
	db     *storage.DB
	dir    string
	socket string
	server *grpc.Server
	run    *running
}

func startHub(t testing.TB, dir string, options ...storage.Options) *hubProcess {
	t.Helper()
	p := &hubProcess{db: storagetest.Open(t, dir, options...), dir: dir, socket: filepath.Join(shortDir(t), "hub.sock")}
	var err error
	p.Hub, err = NewHub(HubOptions{DB: p.db, Folder: dir, Log: quiet, Identify: func(context.Context) (string, bool) { return "test", true }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	p.server = serve.NewStreams(ServerOptions()...).Server // with the limits that it has in a process
	p.Register(p.server)
	go func() { _ = p.server.Serve(l) }()
	p.run = run(t, p.Run)
	t.Cleanup(p.server.Stop)
	return p
}

func (p *hubProcess) stop(t testing.TB) {
	p.server.Stop()
	p.run.stop(t)
	storagetest.Close(t, p.db)
}

func (p *hubProcess) target(t testing.TB) Target {
	t.Helper()
	c, err := grpc.NewClient("unix:"+p.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return Target{Name: p.socket, Connection: c}
}

// replicaProcess is a follower with its store.
type replicaProcess struct {
	*Follower
	db  *storage.DB
	dir string
	run *running
	log *testLog
}

// said reports whether the replica has logged a text.
func (p *replicaProcess) said(text string) bool {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return strings.Contains(p.log.text.String(), text)
}

func startReplica(t testing.TB, dir string, limit time.Duration, hubs ...Target) *replicaProcess {
	t.Helper()
	var more []any
	for _, hub := range hubs {
		more = append(more, hub)
	}
	return startReplicaWith(t, dir, func(o *FollowerOptions) { o.Limit = limit }, more...)
}

// startReplicaWith starts a replica with options of its own: hubs, and at most one set of options of the store.
func startReplicaWith(t testing.TB, dir string, set func(*FollowerOptions), more ...any) *replicaProcess {
	t.Helper()
	store := storage.Options{Replica: true}
	o := FollowerOptions{Folder: dir, Limit: time.Minute, Name: filepath.Base(dir), Version: "test"}
	for _, one := range more {
		switch one := one.(type) {
		case Target:
			o.Hubs = append(o.Hubs, one)
		case storage.Options:
			store = one
		}
	}
	p := &replicaProcess{db: storagetest.Open(t, dir, store), dir: dir, log: &testLog{TB: t}}
	o.DB, o.Log = p.db, slog.New(slog.NewTextHandler(p.log, nil))
	set(&o)
	var err error
	if p.Follower, err = NewFollower(o); err != nil {
		t.Fatal(err)
	}
	p.run = run(t, p.Run)
	return p
}

type testLog struct {
	testing.TB
	mu   sync.Mutex
	text strings.Builder
}

func (l *testLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Logf("%s", b)
	return l.text.Write(b)
}

// copied is a copy of a data folder that no process uses. Whoever runs on it is a replica of its own.
func copied(t testing.TB, dir string) string {
	t.Helper()
	to := storagetest.Dir(t)
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, rememberedName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return to
}

func (p *replicaProcess) stop(t testing.TB) {
	p.run.stop(t)
	storagetest.Close(t, p.db)
}

// await waits until a store is at a position.
func await(t testing.TB, db *storage.DB, at storage.Position) {
	t.Helper()
	late := time.After(soon)
	for {
		changed := db.Changed()
		if db.Position() == at {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the store is at %s, and should come to %s", db.Position(), at)
		}
	}
}

// eventually waits until something that raises no signal is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(soon); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: it doesn't come to it", what)
		}
	}
}

// record is a key of a test.
func record(n int) *key.Record {
	return &key.Record{
		ID: fmt.Sprintf("key_%032x", n), Policy: "p", Type: "t", Tenant: "team:t_1",
		Created: time.Unix(1_700_000_000, 0).UTC(),
		Secrets: []key.Secret{{Digest: key.NewToken(fmt.Sprint("token ", n)).Digest(), Prefix: "k_", Last4: "abcd"}},
	}
}

func commit(t testing.TB, db *storage.DB, c storage.Change) storage.Position {
	t.Helper()
	c.Operator, c.Acting, c.Note = "uid:0", "user:ada", "why"
	at, err := db.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// revoke revokes a key.
func revoke(t testing.TB, db *storage.DB, id string) storage.Position {
	t.Helper()
	var next *key.Record
	db.View(func(v *storage.View) {
		r, err := v.Key(id)
		if err != nil || r == nil {
			t.Fatalf("%s: %v", id, err)
		}
		next = r.Revoke(time.Now())
	})
	return commit(t, db, storage.Change{Action: "keys.revoke", Keys: []*key.Record{next}})
}

// revoked reports whether a store has a key as revoked.
func revoked(db *storage.DB, n int) bool {
	var f key.Facts
	return db.Now().Lookup(record(n).Secrets[0].Digest, &f) && f.Revoked
}
