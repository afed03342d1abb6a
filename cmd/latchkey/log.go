package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const (
	// logLimit is how many entries are shown where nobody says how many.
	logLimit = 100
	// logPage is how many are asked for at a time.
	logPage = 500
	// logNamed is how many objects of an entry a table names.
	logNamed = 2
)

func newLog() *cobra.Command {
	h := &history{q: &adminv1.ListEntriesRequest{}, since: &span{}, page: logPage}
	cmd := &cobra.Command{
		Use:   "log [ID] [flags]",
		Short: "Show what was written, when, by whom and why",
		Long: `Show what was written, when, by whom and why, the newest first: of one key, or of the
tenant, principal or policy of that name, or of all. OPERATOR is who called the admin
API, or the process itself for policies of files; AS on whose behalf (--as); NOTE the
reason that was given (keys revoke --note). In brackets stands what an object was
right after.

The store keeps the newest 100,000 writes, of at most 256 MiB. Where older ones are
gone, how far back it goes is said on stderr; serve's own log has a line for each.`,
		Example: `  latchkey log key_0123456789abcdef0123456789abcdef
  latchkey log --action keys.revoke --since 24h
  latchkey log team:t_1 -o json
  latchkey log --as user:ada --limit 0 -o json | jq -r '.[].objects[].name'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactly("ID")(cmd, args)
			}
			return nil
		},
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if cmd.Flags().Changed("before") && h.q.GetBefore() == 0 {
			return usagef("--before 0: revisions begin with 1")
		}
		if len(args) == 1 {
			if h.q.Object = args[0]; h.q.Object == "" {
				return usagef("ID is given and empty: name one, or leave it out")
			}
		}
		h.q.Since = h.since.Duration
		return h.show(cmd, c)
	})
	f := cmd.Flags()
	f.StringVar(&h.q.Action, "action", "", "only what was done so, such as keys.revoke, or keys for all that is done with keys")
	f.StringVar(&h.q.Acting, "as", "", "only what was done on behalf of this principal, such as user:ada")
	f.Var(h.since, "since", "only what was written in so long a time, such as 1h, 24h or 30d")
	f.Uint64Var(&h.q.Before, "before", 0, "only what was written before this revision")
	f.UintVar(&h.limit, "limit", logLimit, "how many writes at most; 0 for all that fit")
	return cmd
}

// history shows entries of the log, as they come: they may be more than memory has room for.
type history struct {
	q     *adminv1.ListEntriesRequest
	since *span
	limit uint // 0: none
	page  int  // how many are asked for at a time, and make up one table

	shown uint
	rows  []*adminv1.LogEntry // of the table that is next
	array *arrayWriter
}

func (h *history) show(cmd *cobra.Command, c *client) error {
	h.array = &arrayWriter{w: cmd.OutOrStdout()}
	last, err := h.pages(cmd, c)
	if h.shown == 0 && err != nil {
		return err // and stdout has nothing
	}
	// Whatever happened, what there is is whole.
	if err := errors.Join(err, h.end(cmd, c)); err != nil {
		return err
	}
	oldest := last.GetOldestAt()
	asFar := h.q.GetSince() == nil || time.Since(oldest.AsTime()) < h.q.GetSince().AsDuration()
	switch {
	case last.GetNextBefore() > 0:
		note(cmd, "There may be more: add --before %d, or raise --limit (0 for all).", last.GetNextBefore())
	case last.GetOldestRevision() > 1 && asFar:
		note(cmd, "The log goes back to revision %d, of %s: what was written before isn't kept any more.", last.GetOldestRevision(), moment(oldest))
	case h.shown == 0:
		note(cmd, "The log has nothing of that.")
	}
	return nil
}

// pages asks for entries until there are enough, or no more, and returns the last answer.
func (h *history) pages(cmd *cobra.Command, c *client) (*adminv1.ListEntriesResponse, error) {
	for {
		h.q.PageSize = uint32(h.page)
		if h.limit > 0 {
			h.q.PageSize = uint32(min(h.limit-h.shown, uint(h.page)))
		}
		page, err := ask(cmd.Context(), c.log.ListEntries, h.q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetEntries() {
			if err := h.add(cmd, c, e); err != nil {
				return nil, err
			}
		}
		if page.GetNextBefore() == 0 || h.limit > 0 && h.shown >= h.limit {
			return page, nil
		}
		h.q.Before = page.GetNextBefore()
	}
}

func (h *history) add(cmd *cobra.Command, c *client, e *adminv1.LogEntry) error {
	h.shown++
	if !c.json() {
		if h.rows = append(h.rows, e); len(h.rows) == h.page {
			return h.table(cmd)
		}
		return nil
	}
	one, err := messageJSON(e)
	if err != nil {
		return err
	}
	return h.array.add(one)
}

// end ends the document, or prints the last table.
func (h *history) end(cmd *cobra.Command, c *client) error {
	if !c.json() {
		if len(h.rows) == 0 && h.shown > 0 {
			return nil
		}
		return h.table(cmd)
	}
	if err := h.array.end(); err != nil {
		return err
	}
	return newline(cmd.OutOrStdout())
}

func (h *history) table(cmd *cobra.Command) error {
	rows := h.rows
	h.rows = nil
	return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
		row(t, "REVISION", "TIME", "ACTION", "OPERATOR", "AS", "OBJECTS", "NOTE")
		for _, e := range rows {
			row(t, fmt.Sprint(e.GetRevision()), moment(e.GetAt()), e.GetAction(), e.GetOperator(), e.GetActing(), h.objects(e), e.GetNote())
		}
	})
}

// objects names some objects of an entry, the one that was asked for first.
func (h *history) objects(e *adminv1.LogEntry) string {
	all := e.GetObjects()
	if i := slices.IndexFunc(all, func(o *adminv1.LogObject) bool { return o.GetName() == h.q.GetObject() }); i > 0 {
		all = slices.Insert(slices.Delete(slices.Clone(all), i, i+1), 0, all[i])
	}
	var names []string
	for _, o := range all[:min(len(all), logNamed)] {
		name := o.GetName()
		if s := o.GetStatus(); s != "" && o.GetKind() != "policy" || s == "removed" {
			name += " (" + s + ")"
		}
		names = append(names, name)
	}
	text := strings.Join(names, ", ")
	if more := len(all) - len(names); more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}
