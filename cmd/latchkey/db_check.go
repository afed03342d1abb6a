package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"connectrpc.com/connect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

func newDBCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE] [flags]",
		Short: "Tell whether the store, or a copy of it, is whole",
		Long: `Tell whether the store is whole: every page is read, all in it is compared with
each other and, where no process has it, with the watermark beside it. The exit
code is 1 if it isn't.

` + placeHelp + `
A process goes on working meanwhile: it makes a copy in its data folder.

With FILE only that file is looked at: a backup, or one in quarantine.`,
		Example: `  latchkey db check
  latchkey db check /backup/latchkey.db -o json`,
		Args: atMostOneFile,
	}
	addPlace(cmd, func(cmd *cobra.Command, p *place, args []string) error {
		if len(args) == 1 {
			if err := noneOf(cmd, "data", "admin"); err != nil {
				return err
			}
			return p.checkFile(cmd, args[0])
		}
		return p.either(
			func(dir string) error { return p.checkFolder(cmd, dir) },
			func() error { return p.checkProcess(cmd) },
		)
	})
	return cmd
}

func atMostOneFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return exactly("FILE")(cmd, args)
	}
	return nil
}

// noneOf is the check that no flag is given that says where the store is.
func noneOf(cmd *cobra.Command, flags ...string) error {
	for _, f := range flags {
		if cmd.Flags().Changed(f) {
			return usagef("FILE and --%s exclude each other: give one of them", f)
		}
	}
	return nil
}

func (p *place) checkFile(cmd *cobra.Command, path string) error {
	if inFolder(path) {
		return usagef("%s is the store of a data folder, and a process may have it: check it with --data %s", path, filepath.Dir(path))
	}
	found, err := storage.Verify(path)
	if err != nil {
		return fmt.Errorf("checking a file: %w", err)
	}
	return p.found(cmd, shownReport(found), "don't restore it: take a copy that is whole")
}

// inFolder reports whether a file is the store of a data folder and no copy.
func inFolder(path string) bool {
	_, err := os.Lstat(filepath.Join(filepath.Dir(path), "latchkey.lock"))
	return filepath.Base(path) == storeName && err == nil
}

func (p *place) checkFolder(cmd *cobra.Command, dir string) error {
	found, err := storage.VerifyFolder(dir, glance)
	if err != nil {
		return missingStore(dir, err)
	}
	return p.found(cmd, shownReport(found), "do what the problem says; a file that is damaged is replaced by a backup: latchkey db restore BACKUP --data "+dir)
}

// missingStore says of a folder that it holds no store, where that is all.
func missingStore(dir string, err error) error {
	if errors.Is(err, os.ErrNotExist) && !errors.Is(err, storage.ErrMissing) {
		return fmt.Errorf("there is no store in %s: name its folder with --data, or the process that has it with --admin: %w", dir, err)
	}
	return err
}

func (p *place) checkProcess(cmd *cobra.Command) error {
	// The process bounds what it does. Large stores take their time.
	answer, err := p.store.CheckStore(cmd.Context(), connect.NewRequest(&adminv1.CheckStoreRequest{}))
	if err != nil {
		return p.whoAsked(cmd.Context(), err)
	}
	found := answer.Msg.GetReport()
	return p.found(cmd, found, "put right what stands above; if the file is damaged, stop the process and restore a backup: latchkey db restore BACKUP --data "+
		filepath.Dir(found.GetPath()))
}

// whoAsked tells an interruption by the user from one on the way.
func (p *place) whoAsked(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted: nothing was changed")
	}
	return err
}

// found prints a report, and fails, with a remedy, if the file isn't whole.
func (p *place) found(cmd *cobra.Command, m *adminv1.StoreReport, remedy string) error {
	err := p.print(cmd.OutOrStdout(), m, func(t *tabwriter.Writer) { reportTable(t, m) })
	if err == nil && !m.GetWhole() {
		err = fmt.Errorf("%s isn't as it should be: %s", m.GetPath(), remedy)
	}
	return err
}
