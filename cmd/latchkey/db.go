package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/serve"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// storeName is the store's file in a data folder.
const storeName = "latchkey.db"

// glance is how long the lock of a folder is waited for before the process that
// has it is asked.
const glance = 200 * time.Millisecond

func newDB() *cobra.Command {
	return group("db", "See whether the store is whole, keep a copy of it, and go back to one",
		newDBCheck(), newDBBackup(), newDBRestore())
}

// place is where a command finds the store that it is about: in a data folder,
// or with the process that has it.
type place struct {
	*client
	data string // empty: the process is asked, whatever its folder
}

const placeHelp = `The store is that of the process at --admin, or the one in the folder --data: a
process that has the folder is asked at its socket there. Without either it is
that of the process at $LATCHKEY_ADMIN, and else the one in ` + defaultData + `.`

// addPlace makes a command one about a store: it gets the flags --data, --admin
// and -o, and its work is done by f.
func addPlace(cmd *cobra.Command, f func(*cobra.Command, *place, []string) error) {
	p := &place{client: &client{output: addOutput(cmd, "table", "json")}}
	data := addData(cmd, &p.data)
	cmd.Flags().Var(&adminValue{p.client}, "admin", "admin address of the process that has the store (default $LATCHKEY_ADMIN, or unix:<data>/admin.sock)")
	p.link.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(p.check(), data(), p.link.load(cmd.Context())); err != nil {
			return err
		}
		named := p.named(cmd)
		if named != "" && (!cmd.Flags().Changed("data") || cmd.Flags().Changed("admin")) {
			p.data, p.admin = "", named
		} else {
			p.admin = "unix:" + filepath.Join(p.data, "admin.sock")
		}
		if err := p.connect(cmd.Context(), cmd.ErrOrStderr()); err != nil {
			return err
		}
		return f(cmd, p, args)
	}
}

// addData gives a command the flag --data, and returns the check of it.
func addData(cmd *cobra.Command, data *string) func() error {
	cmd.Flags().StringVar(data, "data", defaultData, "folder of the store")
	return func() error {
		if *data == "" {
			return usagef("--data is given and empty: name a folder, or leave the flag out")
		}
		*data = filepath.Clean(*data)
		return nil
	}
}

// either does something to the folder, and has the process do it if one has
// the folder.
func (p *place) either(folder func(dir string) error, process func() error) error {
	if p.data == "" {
		return p.explain(process())
	}
	err := folder(p.data)
	if !errors.Is(err, storage.ErrLocked) {
		return err
	}
	if err = process(); err != nil && serve.NobodyListens(err) {
		return fmt.Errorf("a process has the store in %s open, and nobody answers at %s: name its admin address with --admin, or wait if it is just starting", p.data, p.admin)
	}
	return p.explain(err)
}

// shownReport is what a file was found to be, as it is shown.
func shownReport(r *storage.Report) *adminv1.StoreReport {
	m := &adminv1.StoreReport{
		Path: r.Path, Whole: len(r.Problems) == 0, LogFloor: r.LogFloor, Format: r.Format,
		Bytes: uint64(r.Bytes), Pages: r.Pages, FreePages: r.Free,
		Keys: uint64(r.Keys), Tenants: uint64(r.Tenants), Principals: uint64(r.Principals), Policies: uint64(r.Policies),
	}
	if r.Position != (storage.Position{}) {
		m.Position = shownPosition(r.Position)
	}
	for _, p := range r.Problems {
		m.Problems = append(m.Problems, p.Error())
	}
	return m
}

func reportTable(t *tabwriter.Writer, m *adminv1.StoreReport) {
	whole := "no"
	if m.GetWhole() {
		whole = "yes"
	}
	row(t, "file", m.GetPath())
	row(t, "whole", whole)
	problemRows(t, m.GetProblems())
	if at := m.GetPosition(); at != nil {
		positionRows(t, at)
		row(t, "log since", fmt.Sprint(m.GetLogFloor()))
		row(t, "keys", fmt.Sprintf("%d, revoked ones included", m.GetKeys()))
		row(t, "tenants", fmt.Sprint(m.GetTenants()))
		row(t, "principals", fmt.Sprint(m.GetPrincipals()))
		row(t, "policies", fmt.Sprint(m.GetPolicies()))
		row(t, "pages", fmt.Sprintf("%d in use, %d free", m.GetPages(), m.GetFreePages()))
	}
	if m.GetFormat() > 0 {
		row(t, "format", fmt.Sprint(m.GetFormat()))
		row(t, "bytes", fmt.Sprint(m.GetBytes()))
	}
}

func positionRows(t *tabwriter.Writer, at *adminv1.Position) {
	row(t, "revision", fmt.Sprint(at.GetRevision()))
	row(t, "epoch", fmt.Sprint(at.GetEpoch()))
	row(t, "digest", at.GetDigest())
}
