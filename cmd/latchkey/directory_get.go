package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

func newDirectoryGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [flags]",
		Short: "Print all tenants and principals",
		Long: `Print all tenants and principals. With -o json the document is one that
"directory apply" reads: JSON is YAML too.`,
		Example: `  latchkey directory get
  latchkey directory get -o json >directory.json`,
		Args: exactly(),
	}
	addClient(cmd, func(cmd *cobra.Command, c *client, _ []string) error {
		a, err := ask(cmd.Context(), c.directory.GetDirectory, &adminv1.GetDirectoryRequest{})
		if err != nil {
			return err
		}
		d := a.GetDirectory()
		if d == nil {
			d = &directoryv1.Directory{}
		}
		if c.json() {
			return printDirectory(cmd, d)
		}
		err = printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			row(t, "TENANT", "PARENT", "PLAN", "STATUS")
			for _, one := range d.GetTenants() {
				row(t, one.GetId(), one.GetParent(), one.GetPlan(), orActive(one.GetStatus()))
			}
		})
		if err != nil {
			return err
		}
		return printTable(cmd.OutOrStdout(), func(t *tabwriter.Writer) {
			_, _ = fmt.Fprintln(t)
			row(t, "PRINCIPAL", "ROLES", "FURTHER PERMISSIONS", "STATUS")
			for _, one := range d.GetPrincipals() {
				row(t, one.GetId(), roles(one), permissions(one), orActive(one.GetStatus()))
			}
		})
	})
	return cmd
}

// printDirectory leaves out what a file may not have: revisions, and what is
// empty.
func printDirectory(cmd *cobra.Command, d *directoryv1.Directory) error {
	document := struct {
		Tenants    []json.RawMessage `json:"tenants"`
		Principals []json.RawMessage `json:"principals"`
	}{[]json.RawMessage{}, []json.RawMessage{}}
	form := protojson.MarshalOptions{UseProtoNames: true}
	for _, t := range d.GetTenants() {
		t.Revision = 0
		text, err := form.Marshal(t)
		if err != nil {
			return err
		}
		document.Tenants = append(document.Tenants, text)
	}
	for _, p := range d.GetPrincipals() {
		p.Revision = 0
		text, err := form.Marshal(p)
		if err != nil {
			return err
		}
		document.Principals = append(document.Principals, text)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), text)
}

func orActive(status string) string {
	if status == "" {
		return "active"
	}
	return status
}

func roles(p *directoryv1.Principal) string {
	var list []string
	for _, tenant := range slices.Sorted(maps.Keys(p.GetMemberships())) {
		list = append(list, p.GetMemberships()[tenant]+" in "+tenant)
	}
	return strings.Join(list, ", ")
}

func permissions(p *directoryv1.Principal) string {
	var list []string
	for _, tenant := range slices.Sorted(maps.Keys(p.GetPermissions())) {
		var names []string
		for _, v := range p.GetPermissions()[tenant].GetValues() {
			names = append(names, v.GetStringValue())
		}
		list = append(list, strings.Join(names, " ")+" in "+tenant)
	}
	return strings.Join(list, ", ")
}
