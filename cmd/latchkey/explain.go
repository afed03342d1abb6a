package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func newExplain() *cobra.Command {
	q := &adminv1.ExplainRequest{}
	var tokenFile, token string
	var headers []string
	cmd := &cobra.Command{
		Use:   "explain METHOD URL [flags]",
		Short: "Decide a request as Envoy's would be, and say how",
		Long: `Decide a request as Envoy's would be, and say how. The exit code is 0 where it is
allowed and 4 where it is denied.`,
		Example: `  latchkey explain --key key_0123456789abcdef0123456789abcdef GET https://api.kodey.example/v1/agents
  latchkey explain --token - POST https://api.kodey.example/v1/chat <token.txt`,
		Args: exactly("METHOD", "URL"),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, args []string) error {
		if err := atMostOne(cmd, "token", "token-file", "key"); err != nil {
			return err
		}
		if cmd.Flags().Changed("token") && token != "-" {
			return usagef("tokens don't belong on a command line, where others can read them: give --token - and the token on stdin, or --token-file FILE")
		}
		q.Method, q.Url = args[0], args[1]
		if err := c.addHeaders(cmd, q, headers, token == "-" || tokenFile == "-"); err != nil {
			return err
		}
		if _, err := question(q); err != nil {
			return usagef("%w", err)
		}
		from := tokenFile
		if token == "-" {
			from = "-"
		}
		if from != "" {
			t, err := readToken(cmd, from)
			if err != nil {
				return err
			}
			q.Token = t.Reveal()
		}
		a, err := ask(cmd.Context(), c.server.Explain, q)
		if err != nil {
			return err
		}
		err = c.print(cmd.OutOrStdout(), a, func(t *tabwriter.Writer) { explainTable(t, a) })
		if err == nil && !a.GetAllowed() {
			err = exit{code: exitDenied}
		}
		return err
	})
	f := cmd.Flags()
	f.StringVar(&tokenFile, "token-file", "", "file with the token that is presented")
	f.StringVar(&token, "token", "", "- to read the token from stdin")
	f.StringVar(&q.KeyId, "key", "", "id of the key that is presented, in place of its token")
	f.StringArrayVarP(&headers, "header", "H", nil, "further header, as 'name: value', or a file of them, one a line, as @FILE; repeat it for more")
	f.StringToStringVar(&q.ContextExtensions, "extension", nil, "what the Envoy route says in context_extensions, as latchkey.policy=NAME")
	return cmd
}

func explainTable(t *tabwriter.Writer, a *adminv1.ExplainResponse) {
	for _, s := range a.GetSteps() {
		mark := "✗"
		if s.GetPassed() {
			mark = "✓"
		}
		row(t, mark+" "+s.GetCheck(), s.GetDetail())
	}
	answer := "denied"
	if a.GetAllowed() {
		answer = "allowed"
	}
	_, _ = fmt.Fprintf(t, "\n%s\t%s, %d: %s\n", answer, a.GetReason(), a.GetStatus(), strictyaml.Printable(a.GetMessage()))
	fact(t, "policy", a.GetPolicy())
	fact(t, "endpoint", a.GetEndpoint())
	fact(t, "route", a.GetRoute())
	fact(t, "key", strings.TrimSpace(a.GetKeyId()+" "+a.GetKeyType()))
	fact(t, "required", strings.Join(a.GetRequired(), " "))
	fact(t, "held", strings.Join(a.GetHeld(), " "))
	fact(t, "missing", strings.Join(a.GetMissing(), " "))
	for _, cut := range a.GetCuts() {
		fact(t, "cut", cut)
	}
	for _, name := range slices.Sorted(maps.Keys(a.GetIdentity())) {
		row(t, name, a.GetIdentity()[name])
	}
	fact(t, "revision", fmt.Sprint(a.GetPosition().GetRevision()))
}
