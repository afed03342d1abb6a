package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// maxHeaders is how large a file of headers may be, in bytes. Envoy takes far fewer.
const maxHeaders = 1 << 20

// addHeaders adds the headers of a command line to a question, and those of the files that it names. taken says that stdin
// is read for something else.
func (c *client) addHeaders(cmd *cobra.Command, q *adminv1.ExplainRequest, given []string, taken bool) error {
	var typed []string
	for _, h := range given {
		file, ok := strings.CutPrefix(h, "@")
		if !ok {
			typed = append(typed, h)
			continue
		}
		if file == "" || file == "-" && taken {
			return usagef("the value of --header is wrong: name a file after the @, and stdin for one thing alone")
		}
		taken = taken || file == "-"
		text, err := readInput(cmd, file, maxHeaders)
		if err != nil {
			return fmt.Errorf("headers: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				q.Headers = append(q.Headers, line)
			}
		}
	}
	if err := c.checkTyped(cmd, typed); err != nil {
		return err
	}
	q.Headers = append(typed, q.Headers...)
	return nil
}

// checkTyped is the check that no header on a command line is one that holds credentials by any policy in use.
func (c *client) checkTyped(cmd *cobra.Command, headers []string) error {
	var names []string
	for _, h := range headers {
		name, _, ok := strings.Cut(h, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" {
			return usagef("the value of --header is wrong: write 'name: value', or @FILE")
		}
		names = append(names, name)
	}
	holding := []string{"authorization"} // of every policy that declares no other, also before there is one
	if err := refuseTyped(names, holding); err != nil || len(names) == 0 {
		return err
	}
	a, err := ask(cmd.Context(), c.policies.ListPolicies, &adminv1.ListPoliciesRequest{})
	if err != nil {
		return err
	}
	for _, p := range a.GetPolicies() {
		holding = append(holding, p.GetCredentialHeaders()...)
	}
	return refuseTyped(names, holding)
}

func refuseTyped(names, holding []string) error {
	for _, name := range names {
		if slices.Contains(holding, name) {
			return usagef("tokens don't belong on a command line, where others can read them, and the header %s holds one: use --token-file, --token - or --key in its place, or -H @FILE", name)
		}
	}
	return nil
}
