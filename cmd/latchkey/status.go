package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// statusTime is how long the status is waited for: it is told from memory, and who asks for it may be in need of it.
const statusTime = 5 * time.Second

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Tell whether every listener is open and the policies are in use",
		Long: `Tell whether every listener is open and the policies are in use. The exit code
is 1 until they are.

A store that takes no writes, as on a full disk, is degraded. Requests are decided
all the same, so that this alone doesn't change the exit code.`,
		Example: `  latchkey status
  until latchkey status >/dev/null 2>&1; do sleep 0.2; done`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), statusTime)
		defer cancel()
		a, err := ask(ctx, c.server.GetStatus, &adminv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		err = c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) { statusTable(t, a) })
		if err == nil && !a.GetReady() {
			err = exit{code: exitFailed}
		}
		return err
	})
	return cmd
}

func statusTable(t *tabwriter.Writer, a *adminv1.GetStatusResponse) {
	ready := "no"
	if a.GetReady() {
		ready = "yes"
	}
	row(t, "ready", ready)
	degraded := "no"
	if a.GetDegraded() {
		degraded = "yes"
	}
	row(t, "degraded", degraded)
	problemRows(t, a.GetProblems())
	row(t, "version", a.GetVersion())
	row(t, "started", moment(a.GetStartedAt()))
	row(t, "data", a.GetData())
	row(t, "revision", fmt.Sprint(a.GetPosition().GetRevision()))
	row(t, "epoch", fmt.Sprint(a.GetPosition().GetEpoch()))
	row(t, "digest", a.GetPosition().GetDigest())
	for _, l := range a.GetListeners() {
		row(t, l.GetName(), l.GetAddress())
	}
	for _, p := range a.GetPolicies() {
		row(t, "policy "+p.GetName(), fmt.Sprintf("%s, %s, %s", p.GetVersion(), plural.Count(p.GetKeys(), "key"), strings.Join(p.GetHosts(), " ")))
	}
	row(t, "keys", fmt.Sprint(a.GetKeys()))
	row(t, "tenants", fmt.Sprint(a.GetTenants()))
	row(t, "principals", fmt.Sprint(a.GetPrincipals()))
	for _, r := range a.GetReplicas() {
		row(t, "replica "+r.GetName(), replicaLine(r))
		if r.GetProblem() != "" {
			row(t, "", r.GetProblem())
		}
	}
}

// replicaLine tells of a replica on one line.
func replicaLine(r *adminv1.Replica) string {
	parts := []string{stateOf(r), fmt.Sprintf("revision %d", r.GetPosition().GetRevision())}
	if age := ageOf(r); age != "" {
		parts = append(parts, "up to date "+age+" ago")
	}
	return strings.Join(append(parts, "lease "+leaseOf(r), "version "+r.GetVersion()), ", ")
}

// ageOf is how long ago a replica was up to date; empty where that isn't known.
func ageOf(r *adminv1.Replica) string {
	if r.GetAge() == nil {
		return ""
	}
	return r.GetAge().AsDuration().Round(100 * time.Millisecond).String()
}

// problemRows writes what is wrong, each with all its lines.
func problemRows(t *tabwriter.Writer, problems []string) {
	for _, p := range problems {
		for i, line := range strings.Split(p, "\n") {
			name := ""
			if i == 0 {
				name = "problem"
			}
			_, _ = fmt.Fprintln(t, name+"\t"+strictyaml.Printable(line))
		}
	}
}
