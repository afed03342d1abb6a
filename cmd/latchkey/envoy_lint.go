package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/envoyconf"
	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

func newEnvoyLint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint FILE [flags]",
		Short: "Find what would open a hole in a configuration of Envoy",
		Long: `Find what would let requests pass unchecked or forged, or keys end up in logs, in a bootstrap of Envoy, the
answer of its /config_dump, or a fragment such as a listener; YAML or JSON, - for stdin. docs/envoy.md has the
rules.

Errors and warnings are findings, and the exit code is 3; notes alone leave it 0.`,
		Example: `  latchkey envoy lint envoy.yaml --policy examples/kodey/policy.yaml
  curl -s localhost:9901/config_dump | latchkey envoy lint - -o json`,
		Args: exactly("FILE"),
	}
	var policies, ignored []string
	cmd.Flags().StringArrayVar(&policies, "policy", nil, "file or folder of policies: the headers that these read must be shown to Latchkey; may be repeated")
	cmd.Flags().StringSliceVar(&ignored, "ignore", nil, "ids of rules that are known not to matter here, separated by commas")
	o := addOutput(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		for _, id := range ignored {
			if err := knownRule(id); err != nil {
				return err
			}
		}
		found, err := lintFile(cmd, args[0], policies)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(f lint.Finding) bool { return slices.Contains(ignored, f.Rule) })
		if o.json() {
			err = printFindings(cmd.OutOrStdout(), found)
		} else {
			err = tellFindings(cmd.OutOrStdout(), inputName(args[0]), found)
		}
		if err == nil && slices.ContainsFunc(found, func(f lint.Finding) bool { return f.Severity != lint.Note }) {
			return exit{code: exitDiffers}
		}
		return err
	}
	return cmd
}

// knownRule is the check that there is a rule of this id.
func knownRule(id string) error {
	var ids []string
	for _, r := range lint.Rules() {
		ids = append(ids, r.ID)
	}
	switch near := strictyaml.Nearest(id, ids); {
	case slices.Contains(ids, id):
		return nil
	case near != "":
		return usagef("--ignore: there is no rule %q: did you mean %q?", id, near)
	}
	return usagef("--ignore: there is no rule %q: there are %s", id, strings.Join(ids, ", "))
}

func lintFile(cmd *cobra.Command, name string, policies []string) ([]lint.Finding, error) {
	var reads *envoyconf.Reads
	if len(policies) > 0 {
		loaded, err := loadPolicies(cmd, policies...)
		if err != nil {
			return nil, err
		}
		reads = &envoyconf.Reads{}
		for _, l := range loaded {
			*reads = reads.With(envoyconf.ReadsOf(l.Policy))
		}
	}
	src, err := readInput(cmd, name, strictyaml.MaxTreeSize)
	if err != nil {
		return nil, fmt.Errorf("reading a configuration of Envoy: %w", err)
	}
	found, err := lint.File(inputName(name), src, reads)
	if errors.Is(err, lint.ErrNothing) {
		err = fmt.Errorf("%s: %w", inputName(name), err)
	}
	return found, err
}

// inputName is what a file that was named is called in what is said about it.
func inputName(name string) string {
	if name == "-" {
		return "stdin"
	}
	return name
}

func printFindings(w io.Writer, found []lint.Finding) error {
	text, err := json.Marshal(append([]lint.Finding{}, found...))
	if err != nil {
		return err
	}
	return printJSON(w, text)
}

// tellFindings writes each finding in the form that editors jump by, with its reason and remedy below.
func tellFindings(w io.Writer, name string, found []lint.Finding) error {
	var b strings.Builder
	counts := map[lint.Severity]int{}
	for _, f := range found {
		counts[f.Severity]++
		fmt.Fprintf(&b, "%s:%d:%d: %s: %s [%s]\n", f.File, f.Line, f.Column, f.Severity, strictyaml.Printable(f.Message), f.Rule)
		if f.Path != "" {
			fmt.Fprintf(&b, "    at   %s\n", strictyaml.Printable(f.Path))
		}
		fmt.Fprintf(&b, "    why  %s\n    fix  %s\n", f.Why, f.Fix)
	}
	if len(found) == 0 {
		fmt.Fprintf(&b, "%s: nothing found\n", name)
	} else {
		fmt.Fprintf(&b, "%s: %s, %s, %s\n", name, amount(counts, lint.Error), amount(counts, lint.Warning), amount(counts, lint.Note))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// amount is so many findings of a severity.
func amount(counts map[lint.Severity]int, s lint.Severity) string {
	if counts[s] == 1 {
		return "1 " + string(s)
	}
	return fmt.Sprintf("%d %ss", counts[s], s)
}
