package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

func newDBBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE [flags]",
		Short: "Keep a verified copy of the store, while it is in use or not",
		Long: `Write a copy of the store, as it is at one revision, to a new file, and see that it
is whole. It holds all that the store holds, tokens that may be shown again
included: the file is for its owner's eyes (0600).

` + placeHelp,
		Example: `  latchkey db backup /backup/latchkey-$(date +%F).db`,
		Args:    exactly("FILE"),
	}
	addPlace(cmd, func(cmd *cobra.Command, p *place, args []string) error {
		path := args[0]
		if err := vacant(path); err != nil {
			return err
		}
		var done *storage.Report
		err := p.either(
			func(dir string) (err error) {
				done, err = storage.BackupFolder(dir, path, glance)
				return missingStore(dir, err)
			},
			func() (err error) {
				done, err = p.fetch(cmd.Context(), path)
				return err
			},
		)
		if err != nil {
			return err
		}
		m := shownReport(done)
		return p.print(cmd.OutOrStdout(), m, func(t *tabwriter.Writer) { reportTable(t, m) })
	})
	return cmd
}

// fetch writes a copy of the process's store to a file that isn't there yet.
// There is one only once the copy was seen to be whole.
func (p *place) fetch(ctx context.Context, path string) (found *storage.Report, err error) {
	var end *adminv1.BackupEnd
	err = writeNew(path, func(f *os.File) (err error) {
		end, err = p.receive(ctx, f)
		return err
	}, func(name string) (err error) {
		found, err = storage.Verify(name)
		switch at := end.GetPosition(); {
		case err != nil:
			return err
		case len(found.Problems) > 0:
			return fmt.Errorf("what arrived isn't whole: try again: %w", errors.Join(found.Problems...))
		case found.Position.Revision != at.GetRevision() || found.Position.Digest.String() != at.GetDigest():
			return fmt.Errorf("what arrived is at %s, and the process copied revision %d: try again", found.Position, at.GetRevision())
		}
		return nil
	})
	if err != nil {
		return nil, p.whoAsked(ctx, err)
	}
	found.Path = path
	return found, nil
}

// receive writes what the process sends, and sees that all of it arrived.
func (p *place) receive(ctx context.Context, f io.Writer) (_ *adminv1.BackupEnd, err error) {
	stream, err := p.store.BackupStore(ctx, connect.NewRequest(&adminv1.BackupStoreRequest{}))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	sum, size := sha256.New(), uint64(0)
	var end *adminv1.BackupEnd
	for stream.Receive() {
		if end != nil {
			return nil, errors.New("the process sent more than it said: is it of the same version?")
		}
		if end = stream.Msg().GetEnd(); end != nil {
			continue
		}
		chunk := stream.Msg().GetChunk()
		_, _ = sum.Write(chunk) // never fails
		size += uint64(len(chunk))
		if _, err := f.Write(chunk); err != nil {
			return nil, err
		}
	}
	switch err := stream.Err(); {
	case err != nil:
		return nil, err
	case end == nil || end.GetBytes() != size || end.GetSha256() != hex.EncodeToString(sum.Sum(nil)):
		return nil, fmt.Errorf("the copy didn't arrive whole (%d bytes): try again", size)
	}
	return end, nil
}
