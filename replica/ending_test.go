package replica

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// ends is a hub that says something and ends the session, and hears nothing but the Hello.
type ends struct {
	reader
	sent int
	why  error
}

func (e *ends) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	e.ctx = ctx
	return e, nil
}

func (e *ends) SendMsg(any) error {
	if e.sent++; e.sent > 1 {
		return io.EOF
	}
	return nil
}

func (e *ends) RecvMsg(into any) error {
	if err := e.reader.RecvMsg(into); err != io.EOF {
		return err
	}
	return e.why
}

// Why a hub ends a session is told, also where the replica has something to say to it just then.
func TestWhyAHubEndsASession(t *testing.T) {
	db := storagetest.New(t)
	commit(t, db, storage.Change{Action: "keys.create", Keys: []*key.Record{record(1)}})
	s := tell(t, db, db.Position())
	why := status.Error(codes.Unavailable, "the hub is moved")
	for name, says := range map[string]responses{"at its welcome": s.snapshot()[:1], "at a snapshot": s.snapshot()} {
		dir := storagetest.Dir(t)
		f := newFollower(t, storagetest.Open(t, dir, storage.Options{Replica: true}), dir)
		c, err := f.connect(t.Context(), Target{Name: "hub", Connection: &ends{reader: reader{says: says}, why: why}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		c.close()
	}
}

// A hub hears why a session ends each time, although the replica breaks it off.
func TestAHubHearsWhyASessionEnds(t *testing.T) {
	h := hubWith(t, 5)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := h.db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	at := revoke(t, h.db, record(3).ID)
	r := startReplica(t, storagetest.Dir(t), time.Minute, h.target(t))
	await(t, r.db, at)
	r.stop(t)
	dir := storagetest.Dir(t)
	if _, err := storage.Restore(dir, backup, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	restored := startHub(t, dir)
	to := restored.target(t)
	f := newFollower(t, storagetest.Open(t, r.dir, storage.Options{Replica: true}), r.dir)
	for n := range 20 {
		c, err := f.connect(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		err = c.run()
		if all := restored.Replicas(); !refused(err) || len(all) != 1 || !strings.Contains(all[0].Trouble, record(3).ID) {
			t.Errorf("session %d ended with %v, and the hub has %+v", n, err, all)
		}
		c.close()
	}
}
