package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/internal/policytable"
)

// tableResult is what became of one table. It is printed as JSON.
type tableResult struct {
	File  string `json:"file"`
	Rows  int    `json:"rows"`
	Cells int    `json:"cells"`
	// Failures are the cells that came out otherwise than expected.
	Failures []failure `json:"failures"`
}

// failure is one cell of a table that came out otherwise than expected.
type failure struct {
	Place   string `json:"place"`
	Rule    string `json:"rule"`
	Key     string `json:"key,omitempty"`
	Request string `json:"request,omitempty"`
	As      string `json:"as,omitempty"`
	Action  string `json:"action,omitempty"`
	Want    string `json:"want"`
	Got     string `json:"got"`
	Detail  string `json:"detail,omitempty"`
}

func newPolicyTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test PATH... [flags]",
		Short: "Run tables of requests against their policies, without a server",
		Long: `Run tables of requests against their policies, without a server. PATH is a
requests.yaml or its folder; policy.yaml and directory.yaml lie beside it. Every
key with every request of a row is a cell, decided by the code that answers
Envoy; every action on a key is one, decided by the code of the admin API. The
exit code is 3 where a cell comes out otherwise than the table expects, and 1 where
a table can't be run: the others are told all the same.`,
		Example: "  latchkey policy test examples/kodey",
		Args:    atLeastOne("PATH"),
	}
	o := addOutput(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		var results []tableResult
		var errs []error
		failed := false
		for _, path := range args {
			r, err := runTable(cmd, path)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			failed = failed || len(r.Failures) > 0
			results = append(results, r)
		}
		// What could be run is told, whatever couldn't.
		if len(results) > 0 {
			errs = append(errs, printResults(cmd.OutOrStdout(), o, results))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if failed {
			return exit{code: exitDiffers}
		}
		return nil
	}
	return cmd
}

func printResults(w io.Writer, o *output, results []tableResult) error {
	if o.json() {
		text, err := json.Marshal(results)
		if err != nil {
			return err
		}
		return printJSON(w, text)
	}
	for _, r := range results {
		for _, f := range r.Failures {
			who := f.Key + " " + f.Request
			if f.Action != "" {
				who = f.Action
				if f.As != "" {
					who += " as " + f.As
				}
			}
			text := fmt.Sprintf("%s: %s\n    %s\n    want %s\n    got  %s\n", f.Place, f.Rule, who, f.Want, f.Got)
			if f.Detail != "" {
				text += "         " + f.Detail + "\n"
			}
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
		}
		outcome := "all as expected"
		if len(r.Failures) > 0 {
			outcome = fmt.Sprintf("%d otherwise than expected", len(r.Failures))
		}
		if _, err := fmt.Fprintf(w, "%s: %s, %s, %s\n", r.File, plural.Count(r.Rows, "row"), plural.Count(r.Cells, "cell"), outcome); err != nil {
			return err
		}
	}
	return nil
}

// runTable runs one table.
func runTable(cmd *cobra.Command, path string) (tableResult, error) {
	t, err := unlessInterrupted(cmd.Context(), func() (*policytable.Table, error) { return policytable.Load(path) })
	if err != nil {
		return tableResult{}, err
	}
	r := tableResult{File: t.File, Rows: t.Rows(), Failures: []failure{}}
	now := time.Now().UTC()
	w, err := newTableWorld(t, now)
	if err != nil {
		return tableResult{}, fmt.Errorf("%s: %w", t.File, err)
	}
	for _, c := range t.Cases() {
		r.Cells++
		f, err := w.decide(c)
		if err != nil {
			return tableResult{}, fmt.Errorf("%s: %w", c.Place, err)
		}
		if f != nil {
			r.Failures = append(r.Failures, *f)
		}
	}
	actions := t.Management()
	r.Cells += len(actions)
	failures, err := tryActions(cmd.Context(), t, actions)
	if err != nil {
		return tableResult{}, err
	}
	r.Failures = append(r.Failures, failures...)
	return r, nil
}
