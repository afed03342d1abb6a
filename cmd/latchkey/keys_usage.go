package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newKeysUsage() *cobra.Command {
	q := &adminv1.GetKeyUsageRequest{}
	since := &span{}
	cmd := &cobra.Command{
		Use:   "usage ID [flags]",
		Short: "Show when and how often a key is used",
		Long: `Show when and how often a key is used: how its checks were answered, by secret and by
hour, and by day further back. Of a key that was rotated it says whether its old
secrets are still presented.

Checks at a sidecar are counted here once it has reported them, which it does every
few seconds (--usage-flush), or when it is connected again.`,
		Example: "  latchkey keys usage key_0651b9d6272126cce9d5c795b6390ff2 --since 1d",
		Args:    exactly("ID"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Id, q.Since = args[0], since.Duration
		a, err := ask(cmd.Context(), c.keys.GetKeyUsage, q)
		if err != nil {
			return err
		}
		return c.print(cmd.OutOrStdout(), a.GetUsage(), func(t *tabwriter.Writer) { usageTable(t, a.GetUsage()) })
	})
	cmd.Flags().Var(since, "since", "how far back counts go, such as 1h, 7d or 90d (default 7d)")
	addAs(cmd, &q.As)
	return cmd
}

func usageTable(t *tabwriter.Writer, u *adminv1.KeyUsage) {
	fact(t, "id", u.GetId())
	fact(t, "last used", everUsed(moment(u.GetLastUsedAt())))
	fact(t, "counted since", moment(u.GetSince()))
	if u.GetRecordedSince().AsTime().After(u.GetSince().AsTime()) {
		fact(t, "recorded since", moment(u.GetRecordedSince()))
	}
	heading(t, "SECRET", "STATUS", "LAST USED", "CHECKS", "SINCE IT WAS REPLACED")
	for _, s := range u.GetSecrets() {
		late := ""
		if s.GetReplacedAt() != nil {
			late = "none"
			if text := reasonsOf(s.GetSinceReplaced()); text != "" {
				late = text
			}
			late += " (replaced " + moment(s.GetReplacedAt()) + ")"
		}
		row(t, shownAs(s.GetPrefix(), s.GetLast4()), s.GetStatus(), everUsed(moment(s.GetLastUsedAt())), reasonsOf(s.GetCounts()), late)
	}
	if len(u.GetPeriods()) > 0 {
		heading(t, "FROM", "FOR", "CHECKS")
		for _, p := range u.GetPeriods() {
			length := "an hour"
			if p.GetLength().AsDuration() > time.Hour {
				length = "a day"
			}
			row(t, moment(p.GetStart()), length, reasonsOf(p.GetCounts()))
		}
	}
	if len(u.GetReports()) > 0 {
		heading(t, "REPLICA", "LAST REPORT", "IDENTITY", "ID")
		for _, r := range u.GetReports() {
			row(t, r.GetName(), moment(r.GetAt()), r.GetIdentity(), r.GetId())
		}
	}
}

// heading begins another table.
func heading(t *tabwriter.Writer, names ...string) {
	_, _ = fmt.Fprintln(t) // Flush returns the error
	row(t, names...)
}

// everUsed is when something was last used, in words where it never was.
func everUsed(moment string) string {
	if moment == "" {
		return "never"
	}
	return moment
}

func reasonsOf(counts []*adminv1.ReasonCount) string {
	texts := make([]string, len(counts))
	for i, c := range counts {
		texts[i] = fmt.Sprintf("%s %d", c.GetReason(), c.GetCount())
	}
	return strings.Join(texts, ", ")
}
