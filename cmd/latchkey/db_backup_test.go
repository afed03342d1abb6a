package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/directory"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// sender sends parts of a backup, true or not.
type sender struct {
	adminv1connect.UnimplementedStoreServiceHandler
	parts []*adminv1.BackupStoreResponse
	err   error
}

func (s *sender) BackupStore(_ context.Context, _ *connect.Request[adminv1.BackupStoreRequest], to *connect.ServerStream[adminv1.BackupStoreResponse]) error {
	for _, p := range s.parts {
		if err := to.Send(p); err != nil {
			return err
		}
	}
	return s.err
}

func chunkOf(b []byte) *adminv1.BackupStoreResponse {
	return &adminv1.BackupStoreResponse{Part: &adminv1.BackupStoreResponse_Chunk{Chunk: b}}
}

func endOf(b []byte, at storage.Position) *adminv1.BackupStoreResponse {
	sum := sha256.Sum256(b)
	return &adminv1.BackupStoreResponse{Part: &adminv1.BackupStoreResponse_End{End: &adminv1.BackupEnd{
		Bytes: uint64(len(b)), Sha256: hex.EncodeToString(sum[:]), Position: shownPosition(at),
	}}}
}

// Only what arrived whole, and is a store that is whole, gets its name.
func TestABackupIsWholeOrNotThere(t *testing.T) {
	db := storagetest.New(t)
	at, err := db.Commit(t.Context(), storage.Change{Action: "test", Tenants: []*directory.Tenant{{ID: "team:t_1"}}})
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source.db")
	if _, err := db.Backup(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	half := whole[:len(whole)/2]
	spoilt := slices.Clone(whole)
	spoilt[strings.Index(string(whole), "team:t_1")] ^= 1
	other := at
	other.Revision++
	changed := at
	changed.Digest[0] ^= 1
	type parts = []*adminv1.BackupStoreResponse
	for name, tc := range map[string]struct {
		parts parts
		err   error
		want  string // in the error; empty: it succeeds
	}{
		"whole":             {parts: parts{chunkOf(half), chunkOf(whole[len(half):]), endOf(whole, at)}},
		"nothing":           {parts: nil, want: "didn't arrive whole"},
		"no end":            {parts: parts{chunkOf(whole)}, want: "didn't arrive whole"},
		"half of it":        {parts: parts{chunkOf(half), endOf(whole, at)}, want: "didn't arrive whole"},
		"another sum":       {parts: parts{chunkOf(spoilt), endOf(whole, at)}, want: "didn't arrive whole"},
		"more than it said": {parts: parts{chunkOf(whole), endOf(whole, at), chunkOf(half)}, want: "more than it said"},
		"a spoilt store":    {parts: parts{chunkOf(spoilt), endOf(spoilt, at)}, want: "isn't whole"},
		"no store":          {parts: parts{chunkOf(half), endOf(half, at)}, want: "isn't whole"},
		"another revision":  {parts: parts{chunkOf(whole), endOf(whole, other)}, want: "the process copied revision 2"},
		"other objects":     {parts: parts{chunkOf(whole), endOf(whole, changed)}, want: "the process copied revision 1"},
		"an error after it": {
			parts: parts{chunkOf(whole), endOf(whole, at)},
			err:   connect.NewError(connect.CodeUnavailable, os.ErrDeadlineExceeded), want: os.ErrDeadlineExceeded.Error(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, handler := adminv1connect.NewStoreServiceHandler(&sender{parts: tc.parts, err: tc.err})
			server := httptest.NewServer(handler)
			defer server.Close()
			p := &place{client: &client{store: adminv1connect.NewStoreServiceClient(server.Client(), server.URL)}}
			dir := t.TempDir()
			path := filepath.Join(dir, "backup.db")
			report, err := p.fetch(t.Context(), path)
			entries, readErr := os.ReadDir(dir)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || len(entries) > 0 {
					t.Errorf("got %v with %v in the folder, want %q and nothing", err, entries, tc.want)
				}
				return
			}
			info, statErr := os.Stat(path)
			if err != nil || statErr != nil || len(entries) != 1 || info.Mode().Perm() != 0o600 || report.Position != at || report.Path != path {
				t.Errorf("got %+v, %v, %v with %v in the folder", report, err, statErr, entries)
			}
		})
	}
}

// A file that appears while the backup is fetched is nobody's to replace.
func TestABackupReplacesNothing(t *testing.T) {
	db := storagetest.New(t)
	source, path := filepath.Join(t.TempDir(), "source.db"), filepath.Join(t.TempDir(), "backup.db")
	at, err := db.Backup(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, handler := adminv1connect.NewStoreServiceHandler(&sender{parts: []*adminv1.BackupStoreResponse{chunkOf(content), endOf(content, at)}})
	server := httptest.NewServer(handler)
	defer server.Close()
	p := &place{client: &client{store: adminv1connect.NewStoreServiceClient(server.Client(), server.URL)}}
	if _, err := p.fetch(t.Context(), path); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != "mine" {
		t.Errorf("the file holds %q, %v", now, err)
	}
}
