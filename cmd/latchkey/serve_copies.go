package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/internal/serve"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	"github.com/latchkey/latchkey/storage"
)

const (
	// copyName is the file in the data folder that a copy is made to. Its
	// beginning says whose it is.
	copyName = "latchkey.db.copy"
	// chunkSize is how many bytes of a copy are sent at once.
	chunkSize = 128 << 10
)

// storeCopies copies the store for those who check it or keep a backup, one
// after the other. The store is read for no longer than a copy in its own folder
// takes; who asks is served from that copy, however slow he is.
type storeCopies struct {
	store  *serve.StoreHealth
	db     *storage.DB
	folder string
	log    *slog.Logger

	turn chan struct{} // held, by having sent to it, from the copy to the last byte
	wait time.Duration // for one's turn
	time time.Duration // that a copy may take
	idle time.Duration // that a client may take for a chunk
}

var _ adminv1connect.StoreServiceHandler = (*storeCopies)(nil)

func newStoreCopies(store *serve.StoreHealth, db *storage.DB, folder string, log *slog.Logger) *storeCopies {
	return &storeCopies{
		store: store, db: db, folder: folder, log: log,
		turn: make(chan struct{}, 1), wait: 10 * time.Second, time: time.Minute, idle: time.Minute,
	}
}

// handler returns the service, with its path.
func (c *storeCopies) handler(o ...connect.HandlerOption) (string, http.Handler) {
	path, handler := adminv1connect.NewStoreServiceHandler(c, o...)
	return path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), responseKey{}, http.NewResponseController(w))
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

type responseKey struct{}

// within bounds what is written to the client from now on; zero: no more.
func within(ctx context.Context, limit time.Duration) error {
	response, ok := ctx.Value(responseKey{}).(*http.ResponseController)
	if !ok {
		return errors.New("the listener can't bound its answers")
	}
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	return response.SetWriteDeadline(deadline)
}

// CheckStore reads a copy of the store and compares all in it with each other.
func (c *storeCopies) CheckStore(ctx context.Context, _ *connect.Request[adminv1.CheckStoreRequest]) (*connect.Response[adminv1.CheckStoreResponse], error) {
	done, err := c.begin(ctx)
	if err != nil {
		return nil, admin.Status(err)
	}
	defer done()
	found, err := c.check(ctx)
	if err != nil {
		return nil, admin.Status(fmt.Errorf("checking the store: %w", err))
	}
	report := shownReport(found)
	report.Path = filepath.Join(c.folder, storeName)
	if err := c.store.Problem(); err != nil {
		report.Problems = append(report.Problems, fmt.Sprintf("the store takes no writes: %v", err))
		report.Whole = false
	}
	return connect.NewResponse(&adminv1.CheckStoreResponse{Report: report}), nil
}

func (c *storeCopies) check(ctx context.Context) (*storage.Report, error) {
	path, _, err := c.copy(ctx)
	var damage *storage.DamageError
	switch {
	case errors.As(err, &damage): // no copy is left of what isn't whole
		return &storage.Report{Problems: damage.Problems}, nil
	case err != nil:
		return nil, err
	}
	found, err := storage.Verify(path)
	return found, errors.Join(err, os.Remove(path))
}

// BackupStore sends a copy of the store, which was verified.
func (c *storeCopies) BackupStore(ctx context.Context, _ *connect.Request[adminv1.BackupStoreRequest], to *connect.ServerStream[adminv1.BackupStoreResponse]) error {
	done, err := c.begin(ctx)
	if err != nil {
		return admin.Status(err)
	}
	defer done()
	sent, err := c.backup(ctx, to)
	if err != nil {
		return admin.Status(fmt.Errorf("backing up the store: %w", err))
	}
	c.log.Info("a backup of the store was handed out", "operator", admin.Operator(ctx), "revision", sent.GetPosition().GetRevision(), "bytes", sent.GetBytes())
	return nil
}

func (c *storeCopies) backup(ctx context.Context, to *connect.ServerStream[adminv1.BackupStoreResponse]) (_ *adminv1.BackupEnd, err error) {
	path, at, err := c.copy(ctx)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	// Whatever happens from here on, nothing of it is left in the folder.
	gone := os.Remove(path)
	if err != nil {
		return nil, errors.Join(err, gone)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if gone != nil {
		return nil, gone
	}
	return c.send(ctx, f, at, to)
}

// send sends a file and what it was.
func (c *storeCopies) send(ctx context.Context, f io.Reader, at storage.Position, to *connect.ServerStream[adminv1.BackupStoreResponse]) (_ *adminv1.BackupEnd, err error) {
	defer func() { err = errors.Join(err, within(ctx, 0)) }() // the connection may serve others
	sum, end := sha256.New(), &adminv1.BackupEnd{Position: shownPosition(at)}
	chunk := make([]byte, chunkSize)
	for {
		n, err := io.ReadFull(f, chunk)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		_, _ = sum.Write(chunk[:n]) // never fails
		end.Bytes += uint64(n)
		if err := within(ctx, c.idle); err != nil {
			return nil, err
		}
		if err := to.Send(&adminv1.BackupStoreResponse{Part: &adminv1.BackupStoreResponse_Chunk{Chunk: chunk[:n]}}); err != nil {
			return nil, err
		}
	}
	end.Sha256 = hex.EncodeToString(sum.Sum(nil))
	return end, to.Send(&adminv1.BackupStoreResponse{Part: &adminv1.BackupStoreResponse_End{End: end}})
}

// begin waits for one's turn, for a while.
func (c *storeCopies) begin(ctx context.Context) (done func(), err error) {
	patience := time.NewTimer(c.wait)
	defer patience.Stop()
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-patience.C:
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("another check or backup of the store is under way: try again once it is done"))
	}
}

// copy makes a copy of the store in its folder, which is whole.
func (c *storeCopies) copy(ctx context.Context) (path string, at storage.Position, err error) {
	if err := c.clear(); err != nil {
		return "", storage.Position{}, err
	}
	limit, cancel := context.WithTimeout(ctx, c.time)
	defer cancel()
	path = filepath.Join(c.folder, copyName)
	at, err = c.db.Backup(limit, path)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		// In words of its own: the caller's time isn't over.
		err = connect.NewError(connect.CodeUnavailable, fmt.Errorf("a copy in %s takes longer than %s, and was broken off, so that the store doesn't grow: "+
			"try again when the disk is less busy, or stop the process and do it without one", c.folder, c.time))
	}
	return path, at, err
}

// clear removes what a copy left that a crash broke off.
func (c *storeCopies) clear() error {
	var errs []error
	for _, suffix := range []string{"", ".new"} {
		if err := os.Remove(filepath.Join(c.folder, copyName+suffix)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
