package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newReplicas() *cobra.Command {
	return group("replicas", "See who follows a hub, and wait for them", newReplicasList(), newReplicasAwait(), newReplicasForget())
}

func newReplicasList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the replicas that hold a lease, or did so within the hour",
		Example: `  latchkey replicas list
  latchkey replicas list -o json`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		a, err := ask(cmd.Context(), c.server.GetStatus, &adminv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		if c.json() {
			text, err := listJSON(a.GetReplicas())
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), text)
		}
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			row(t, "NAME", "STATE", "REVISION", "AGE", "LEASE", "VERSION", "IDENTITY", "ID")
			for _, r := range a.GetReplicas() {
				row(t, r.GetName(), stateOf(r), fmt.Sprint(r.GetPosition().GetRevision()), ageOf(r), leaseOf(r), r.GetVersion(), r.GetIdentity(), r.GetId())
			}
		})
	})
	return cmd
}

func newReplicasAwait() *cobra.Command {
	w := &waiting{}
	at := &adminv1.Position{}
	cmd := &cobra.Command{
		Use:     "await [flags]",
		Short:   "Wait until every replica that holds a lease knows a write",
		Long:    "Wait until every replica that holds a lease knows a write: the newest, or the one at\n--revision, of the present epoch or of --epoch. Of a write of a former epoch a replica\nknows what was kept once it is in the present one. The exit code is 1 where some are\nmissing in the end, or where the hub can't know, as its roster of replicas was damaged.",
		Example: "  latchkey replicas await --wait 1m",
		Args:    exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		if !w.on() {
			return usagef("--wait needs a value")
		}
		if err := w.check(false); err != nil {
			return err
		}
		asked := at
		switch f := cmd.Flags(); {
		case f.Changed("epoch") && !f.Changed("revision"):
			return usagef("--epoch needs the revision of the write too: add --revision")
		case !f.Changed("revision"):
			asked = nil
		}
		r, err := c.receipt(cmd.Context(), w, asked)
		if err != nil {
			return err
		}
		if c.json() {
			err = c.printWithReceipt(cmd, []byte("{}"), r)
		} else {
			err = printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) { receiptTable(t, r) })
		}
		if r.GetUncertain() {
			note(cmd, "WARNING: it isn't known whether every replica knows it: %s", uncertainUntil)
		}
		if err == nil && !r.GetComplete() {
			err = exit{code: exitFailed}
		}
		return err
	})
	f := cmd.Flags()
	f.StringVar(&w.text, "wait", defaultWait, "how long to wait at most")
	f.Uint64Var(&at.Epoch, "epoch", 0, "epoch of the write, as its answer told; without it, the present one")
	f.Uint64Var(&at.Revision, "revision", 0, "revision of the write, as its answer told")
	return cmd
}

func newReplicasForget() *cobra.Command {
	q := &adminv1.ForgetReplicaRequest{}
	cmd := &cobra.Command{
		Use:   "forget ID [flags]",
		Short: "Take a replica that is gone for good out of the count",
		Long: `Take a replica that is gone for good out of the count. One that is connected is never
forgotten, and one whose lease ends by itself only with --gone: receipts are wrong if
it is still there, and answers.`,
		Example: `  latchkey replicas forget 0123456789abcdef0123456789abcdef
  latchkey replicas forget 0123456789abcdef0123456789abcdef --gone --dry-run
  latchkey replicas forget 0123456789abcdef0123456789abcdef --gone`,
		Args: exactly("ID"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		q.Id = args[0]
		a, err := ask(cmd.Context(), c.server.ForgetReplica, q)
		if err != nil {
			return err
		}
		noteDryRun(cmd, q.DryRun)
		return c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) {
			what := "forgotten"
			if q.DryRun {
				what = "would be forgotten"
			}
			r := a.GetReplica()
			row(t, what, args[0])
			row(t, "name", r.GetName())
			row(t, "identity", r.GetIdentity())
			row(t, "last seen", moment(r.GetSeenAt()))
			row(t, "lease", leaseOf(r))
		})
	})
	f := cmd.Flags()
	f.StringVar(&q.Identity, "identity", "", "identity of its connection, where several have the ID")
	f.BoolVar(&q.Gone, "gone", false, "it is known to be gone for good: don't wait for the end of its lease")
	addDryRun(cmd, &q.DryRun)
	return cmd
}

func stateOf(r *adminv1.Replica) string {
	switch {
	case r.GetProblem() != "":
		return "in trouble"
	case r.GetConnected():
		return "connected"
	}
	return "away"
}

func leaseOf(r *adminv1.Replica) string {
	switch {
	case !r.GetHoldsLease():
		return "none"
	case r.GetLeaseEnds() == nil:
		return "without end"
	}
	return "until " + ending(r.GetLeaseEnds())
}
