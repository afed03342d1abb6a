package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/serve"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// copying is a store larger than what a connection holds on its way, and who
// copies it for others.
type copying struct {
	*storeCopies
	client adminv1connect.StoreServiceClient
	place  *place
}

const marker = "the text of a policy"

func startCopying(t *testing.T, change func(*storeCopies)) *copying {
	t.Helper()
	dir := storagetest.Dir(t)
	db, err := storage.Open(dir, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // it may have been damaged on purpose
	document := make([]byte, 8<<20)
	if _, err := rand.Read(document); err != nil {
		t.Fatal(err)
	}
	copy(document, marker)
	if _, err := db.Commit(t.Context(), storage.Change{Action: "test", Policies: map[string][]byte{"large": document}}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c := newStoreCopies(serve.NewStoreHealth(db, func(bool) {}, log), db, dir, log)
	change(c)
	_, handler := c.handler()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	asks := adminv1connect.NewStoreServiceClient(server.Client(), server.URL)
	t.Cleanup(server.CloseClientConnections)
	return &copying{c, asks, &place{client: &client{store: asks}}}
}

func (c *copying) check(t *testing.T) (*adminv1.StoreReport, error) {
	answer, err := c.client.CheckStore(t.Context(), connect.NewRequest(&adminv1.CheckStoreRequest{}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetReport(), nil
}

// begun begins a backup and reads no more than its first bytes.
func (c *copying) begun(t *testing.T) *connect.ServerStreamForClient[adminv1.BackupStoreResponse] {
	t.Helper()
	stream, err := c.starts(t)
	if err != nil {
		t.Fatalf("the backup doesn't begin: %v", err)
	}
	return stream
}

func (c *copying) starts(t *testing.T) (*connect.ServerStreamForClient[adminv1.BackupStoreResponse], error) {
	stream, err := c.client.BackupStore(t.Context(), connect.NewRequest(&adminv1.BackupStoreRequest{}))
	if err == nil && !stream.Receive() {
		err = stream.Err()
	}
	return stream, err
}

// write makes a revision.
func (c *copying) write(t *testing.T, name string) {
	t.Helper()
	if _, err := c.db.Commit(t.Context(), storage.Change{Action: "test", Tenants: []*directory.Tenant{{ID: name}}}); err != nil {
		t.Fatal(err)
	}
}

// left returns the names of copies in the data folder.
func (c *copying) left(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(c.folder, copyName+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestASlowClientHoldsUpNoWriter(t *testing.T) {
	c := startCopying(t, func(c *storeCopies) { c.wait = time.Millisecond })
	at := c.db.Position()
	stream := c.begun(t)
	if left := c.left(t); len(left) > 0 {
		t.Errorf("the folder holds %v while the copy is sent", left)
	}
	c.write(t, "team:one")
	_, err := c.check(t)
	if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "under way: try again") {
		t.Errorf("a second one at the same time: %v", err)
	}
	// The copy is of before the write.
	var end *adminv1.BackupEnd
	for stream.Receive() {
		end = stream.Msg().GetEnd()
	}
	if stream.Err() != nil || end.GetPosition().GetRevision() != at.Revision || end.GetPosition().GetDigest() != at.Digest.String() {
		t.Errorf("the copy ends with %v, %v", end, stream.Err())
	}
	c.wait = patience
	if report, err := c.check(t); err != nil || !report.GetWhole() || report.GetPosition().GetRevision() != at.Revision+1 {
		t.Errorf("afterwards: %v, %v", report, err)
	}
}

func TestAClientThatStopsReadingIsCutOff(t *testing.T) {
	var c *copying
	var stream *connect.ServerStreamForClient[adminv1.BackupStoreResponse]
	err := errors.New("not tried")
	for idle := 50 * time.Millisecond; err != nil; idle *= 4 {
		c = startCopying(t, func(c *storeCopies) { c.wait, c.idle = patience, idle })
		// Once it has begun it has had its turn. A machine that is busy may be cut off before.
		if stream, err = c.starts(t); err != nil && idle > patience {
			t.Fatalf("the backup doesn't begin: %v", err)
		}
	}
	if report, err := c.check(t); err != nil || !report.GetWhole() {
		t.Fatalf("nobody else gets his turn: %v, %v", report, err)
	}
	var end *adminv1.BackupEnd
	for stream.Receive() {
		end = stream.Msg().GetEnd()
	}
	if stream.Err() == nil || end != nil {
		t.Errorf("it was told that all was sent: %v, %v", end, stream.Err())
	}
}

func TestACopyHasATimeLimit(t *testing.T) {
	c := startCopying(t, func(c *storeCopies) { c.time = time.Nanosecond })
	_, err := c.check(t)
	if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "takes longer than 1ns") {
		t.Errorf("a check: %v", err)
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	if _, err := c.place.fetch(t.Context(), path); err == nil || !strings.Contains(err.Error(), "takes longer") {
		t.Errorf("a backup: %v", err)
	}
	if left := c.left(t); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
		t.Errorf("%v is left of the backup, %v", entries, err)
	}
}

// The disk rots under a process that answers from memory.
func TestDamageUnderARunningProcessIsFound(t *testing.T) {
	c := startCopying(t, func(*storeCopies) {})
	path := filepath.Join(c.folder, storeName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("T"), int64(bytes.LastIndex(content, []byte(marker)))); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := c.check(t)
	if err != nil || report.GetWhole() || !strings.Contains(strings.Join(report.GetProblems(), ""), "checksum") || report.GetPath() != path {
		t.Fatalf("a check finds %v, %v", report, err)
	}
	if _, err := c.place.fetch(t.Context(), filepath.Join(t.TempDir(), "backup.db")); err == nil || !strings.Contains(err.Error(), "isn't whole") {
		t.Errorf("a backup of it: %v", err)
	}
}

// troubled is a store that takes no writes.
type troubled struct{}

func (troubled) Mend(context.Context) error { return storage.ErrDisk }
func (troubled) Trouble() error             { return storage.ErrDisk }
func (troubled) Failures() <-chan error     { return nil }

// A store that takes no writes isn't as it should be, however whole its file is.
func TestTroubleIsReported(t *testing.T) {
	c := startCopying(t, func(*storeCopies) {})
	c.store = serve.NewStoreHealth(troubled{}, func(bool) {}, slog.New(slog.DiscardHandler))
	if report, err := c.check(t); err != nil || report.GetWhole() || !strings.Contains(strings.Join(report.GetProblems(), ""), storage.ErrDisk.Error()) {
		t.Errorf("a check finds %v, %v", report, err)
	}
}
