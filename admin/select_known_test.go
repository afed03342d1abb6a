package admin

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// A name that nobody knows is no selection without keys, wherever keys are selected.
func TestSelectionOfWhatIsUnknown(t *testing.T) {
	b := start(t)
	b.make(as("user:owner"), chosenKey)
	stranded := b.make(operator, plainKey)
	b.make(operator, `{"policy":"desk","type":"personal","environment":"live","principal":"user:boss"}`)
	hidden := minted(t, key.Format{Prefix: "sp_", SecretLength: 30})
	type S = adminv1.KeySelection
	for name, tc := range map[string]struct {
		caller Caller
		sel    *S
		says   []string // nothing: it is known
	}{
		"a policy":                            {operator, &S{Policy: "sparse"}, nil},
		"a type of any policy":                {operator, &S{Type: "role"}, nil},
		"a tenant without keys":               {operator, &S{Tenant: "project:p1"}, nil},
		"a principal without keys":            {operator, &S{Principal: "user:member", Creator: "user:boss"}, nil},
		"no keys of all that":                 {operator, &S{Policy: "desk", Type: "role", Tenant: "org:free", Environment: "test", Status: "active"}, nil},
		"a mistyped policy":                   {operator, &S{Policy: "spares"}, []string{`policy: "spares" is not in use, and no key belongs to it: did you mean "sparse"?`}},
		"a mistyped type":                     {operator, &S{Type: "rolle"}, []string{`type: no policy in use has the key type "rolle", and no key has it: did you mean "role"?`}},
		"a type of another policy":            {operator, &S{Policy: "sparse", Type: "role"}, []string{`type: the policy "sparse" has no key type "role"`, "name one of plain"}},
		"an environment":                      {operator, &S{Environment: "prod"}, []string{`environment: no policy in use has the environment "prod"`, "name one of live, test"}},
		"an environment of a policy's none":   {operator, &S{Policy: "sparse", Environment: "live"}, []string{`the policy "sparse" has no environment "live"`, "leave it out"}},
		"a mistyped tenant":                   {operator, &S{Tenant: "org:payd"}, []string{`tenant: "org:payd" isn't in the directory, and no key belongs to it: did you mean "org:paid"?`}},
		"a tenant that is a principal":        {operator, &S{Tenant: "user:owner"}, []string{"tenant:"}},
		"a mistyped principal":                {operator, &S{Principal: "user:bos"}, []string{`principal: "user:bos" isn't in the directory`, `"user:boss"`}},
		"a mistyped creator":                  {operator, &S{Creator: "user:ownr"}, []string{`creator: "user:ownr" isn't in the directory, and it made no key`, `"user:owner"`}},
		"all at once":                         {operator, &S{Policy: "x", Tenant: "org:x", Principal: "user:x"}, []string{"policy:", "tenant:", "principal:"}},
		"a token":                             {operator, &S{Policy: hidden}, []string{"[redacted]"}},
		"names are for the operator":          {as("user:member"), &S{Tenant: "org:payd"}, []string{"correct the name"}},
		"those of policies are for everybody": {as("user:member"), &S{Type: "rolle"}, []string{`"role"`}},
	} {
		t.Run(name, func(t *testing.T) {
			list := &adminv1.ListKeysRequest{Policy: tc.sel.Policy, Type: tc.sel.Type, Tenant: tc.sel.Tenant, Principal: tc.sel.Principal, Environment: tc.sel.Environment}
			all := map[string]error{
				"change": second(b.changeKeys(t.Context(), tc.caller, &adminv1.ChangeKeysRequest{
					Selection: tc.sel, DryRun: true, Change: &adminv1.ChangeKeysRequest_Disable{Disable: &adminv1.DisableKeyRequest{}},
				})),
			}
			if tc.caller.Acting == "" {
				all["export"] = second(b.exportKeys(t.Context(), tc.caller, &adminv1.ExportKeysRequest{Selection: tc.sel}))
			}
			if tc.sel.Creator == "" {
				all["list"] = second(b.listKeys(t.Context(), tc.caller, list))
			}
			for how, err := range all {
				t.Run(how, func(t *testing.T) {
					var kind error
					if tc.says != nil {
						kind = ErrAbsent
					}
					expect(t, err, kind, tc.says...)
					if err != nil && (strings.Contains(err.Error(), hidden) || tc.caller.Acting != "" && strings.Contains(err.Error(), "org:paid")) {
						t.Errorf("it tells too much: %v", err)
					}
				})
			}
		})
	}

	// What was removed is known as long as keys hang on it.
	if _, err := b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{
		Directory: directoryOf(t, `{"tenants": [{"id": "org:paid", "plan": "paid"}], "principals": []}`), Prune: true, Force: true,
	}); err != nil {
		t.Fatal(err)
	}
	for _, sel := range []*S{{Tenant: "org:free"}, {Creator: "user:owner"}, {Principal: "user:boss"}} {
		if _, err := b.exportKeys(t.Context(), operator, &adminv1.ExportKeysRequest{Selection: sel}); err != nil {
			t.Errorf("%v: keys have it: %v", sel, err)
		}
	}
	if _, err := b.exportKeys(t.Context(), operator, &adminv1.ExportKeysRequest{Selection: &S{Tenant: "project:p1"}}); err == nil {
		t.Error("a tenant that is gone, and no key has it, is known")
	}
	if _, err := b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "sparse", Strand: true}); err != nil {
		t.Fatal(err)
	}
	found, err := b.listKeys(t.Context(), operator, &adminv1.ListKeysRequest{Policy: "sparse", Type: "plain"})
	if err != nil || len(found.GetKeys()) != 1 || found.GetKeys()[0].GetId() != stranded.GetId() {
		t.Errorf("the key of a policy that was removed: %v, %v", found, err)
	}
}
