package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/admin"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

func newDBRestore() *cobra.Command {
	var data string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "restore BACKUP [flags]",
		Short: "Put a copy of a backup in the place of the store, and keep revoked what was revoked since",
		Long: `Put a copy of a backup in the place of the store. What keys, tenants and people
have lost since the backup was made is taken from them again, as far as the
watermark and the former file know it, and printed. All other writes since are
given up. The former file is kept beside the new one.

No process may have the store meanwhile. Nothing is asked, and either all of it is
done or nothing; to do it again does no harm. With --dry-run the backup is checked as
a whole, and what would be given up and taken away is told; all files stay as they are.`,
		Example: `  latchkey db restore /backup/latchkey-2030-01-31.db --data /var/lib/latchkey --dry-run
  latchkey db restore /backup/latchkey-2030-01-31.db --data /var/lib/latchkey`,
		Args: exactly("BACKUP"),
	}
	o, check := addOutput(cmd, "table", "json"), addData(cmd, &data)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(o.check(), check()); err != nil {
			return err
		}
		restore := storage.Restore
		if dryRun {
			restore = storage.TryRestore
		}
		done, err := restore(data, args[0], storageOptions(&admin.Compiler{}))
		if errors.Is(err, storage.ErrLocked) {
			return fmt.Errorf("a process has the store in %s open: stop it (latchkey serve), and restore then", data)
		}
		if err != nil {
			return err
		}
		m := shownRestore(filepath.Join(data, storeName), done)
		if m.DryRun = dryRun; dryRun {
			m.Position = nil
		}
		noteDryRun(cmd, dryRun)
		return o.print(cmd.OutOrStdout(), m, func(t *tabwriter.Writer) { restoreTable(t, m) })
	}
	addDryRun(cmd, &dryRun)
	return cmd
}

// shownRestore is what a restore did, as it is shown.
func shownRestore(path string, r *storage.Restored) *adminv1.RestoreReport {
	m := &adminv1.RestoreReport{
		Path: path, Backup: shownPosition(r.Backup), Known: shownPosition(r.Known), Position: shownPosition(r.At),
		Incomplete: r.Unknown, Replaced: r.Replaced,
	}
	if r.Backup.Epoch == r.Known.Epoch {
		lost := uint64(0)
		if r.Backup.Before(r.Known) {
			lost = r.Known.Revision - r.Backup.Revision
		}
		m.GivenUp = &lost
	}
	for _, w := range r.Withdrawn {
		m.Withdrawn = append(m.Withdrawn, &adminv1.Withdrawn{Kind: w.Kind, Name: w.Name, What: w.What})
	}
	return m
}

func restoreTable(t *tabwriter.Writer, m *adminv1.RestoreReport) {
	row(t, "store", m.GetPath())
	row(t, "backup", fmt.Sprintf("revision %d of epoch %d", m.GetBackup().GetRevision(), m.GetBackup().GetEpoch()))
	row(t, "known before", fmt.Sprintf("revision %d of epoch %d", m.GetKnown().GetRevision(), m.GetKnown().GetEpoch()))
	if at := m.GetPosition(); at != nil {
		row(t, "now", fmt.Sprintf("revision %d of epoch %d", at.GetRevision(), at.GetEpoch()))
		row(t, "digest", at.GetDigest())
	}
	unknown := nothingKnown(m)
	switch {
	case unknown:
		row(t, "revisions given up", "not known")
	case m.GivenUp != nil:
		row(t, "revisions given up", fmt.Sprint(m.GetGivenUp()))
	default:
		row(t, "revisions given up", "all since the backup, which is of another epoch: they can't be counted")
	}
	row(t, "former file", m.GetReplaced())
	if unknown {
		row(t, "WARNING", "nothing is known of what was revoked since the backup, and keys may be valid again. Before you serve it, put latchkey.watermark of the former folder beside the store and restore again, or revoke those keys again")
		return
	}
	if m.GetIncomplete() {
		row(t, "WARNING", "the watermark doesn't reach back to the backup: of what was withdrawn since, the revoked keys are known that it or the former file has. Look through the rest before you serve it")
	}
	withdrawnRows(t, m.GetWithdrawn())
}

// nothingKnown reports whether neither a watermark nor a former file told of anything after the backup. That they tell
// of nothing is no news where one of them is missing.
func nothingKnown(m *adminv1.RestoreReport) bool {
	return m.GetIncomplete() && len(m.GetWithdrawn()) == 0 && m.GivenUp != nil && m.GetGivenUp() == 0
}

// withdrawnRows names what was withdrawn again, keys that stay revoked first.
func withdrawnRows(t *tabwriter.Writer, all []*adminv1.Withdrawn) {
	revoked := func(w *adminv1.Withdrawn) bool {
		return w.GetKind() == "key" && strings.HasPrefix(w.GetWhat(), "revoked")
	}
	n := 0
	for _, w := range all {
		if revoked(w) {
			n++
		}
	}
	row(t, "keys kept revoked", fmt.Sprint(n))
	row(t, "other withdrawals", fmt.Sprint(len(all)-n))
	for _, w := range all {
		if revoked(w) {
			row(t, "  "+w.GetKind()+" "+w.GetName(), w.GetWhat())
		}
	}
	for _, w := range all {
		if !revoked(w) {
			row(t, "  "+w.GetKind()+" "+w.GetName(), w.GetWhat())
		}
	}
}
