package policyfile

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// TestMatricesAreAsReviewed: these are the tables of the four systems' own
// documentation, and of one policy that has every kind of cell.
func TestMatricesAreAsReviewed(t *testing.T) {
	for _, path := range append(examples(t), "testdata/mixed.yaml") {
		all, err := LoadFiles(path)
		if err != nil {
			t.Fatal(err)
		}
		table := Matrix(all[0].Doc, all[0].Policy)
		golden(t, filepath.Join("testdata", "matrix", table.Policy+".md.golden"), table.Markdown())
		text, err := table.JSON()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", "matrix", table.Policy+".json.golden"), string(text)+"\n")
		var back Table
		if err := json.Unmarshal(text, &back); err != nil || back.Markdown() != table.Markdown() {
			t.Errorf("%s: the JSON says something else: %v", path, err)
		}
	}
}

// TestMatrixAgreesWithTheDecision: a cell is No exactly where the policy
// answers that no key of the type can ever reach the endpoint.
func TestMatrixAgreesWithTheDecision(t *testing.T) {
	all, err := LoadFiles(append(examples(t), "testdata/mixed.yaml")...)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		table := Matrix(l.Doc, l.Policy)
		for i, row := range table.Endpoints {
			for _, a := range row.Access {
				k, e := l.Policy.Type(a.Type), l.Policy.Endpoints()[i]
				if e.Name != row.Name {
					t.Fatalf("row %d is %s, want %s", i, row.Name, e.Name)
				}
				if !e.Public && (a.Answer == No) == k.Opens(e) {
					t.Errorf("%s: %s × %s says %s, the policy %v", table.Policy, e.Name, a.Type, a.Answer, k.Opens(e))
				}
				var roles []string
				for _, set := range table.Roles {
					for _, name := range set.Roles {
						held := l.Policy.Held(k, &key.Facts{Role: name}, "", nil) // made by the operator
						if set.Type == a.Type && !e.Public && k.Opens(e) && held.Scopes.Covers(e.Scopes) && held.Permissions.Covers(e.Permissions) {
							roles = append(roles, name)
						}
					}
				}
				if k.Grant == policy.ByRole && !reflect.DeepEqual(roles, a.Roles) {
					t.Errorf("%s: %s × %s: roles %v, want %v", table.Policy, e.Name, a.Type, a.Roles, roles)
				}
			}
		}
	}
}
