package policy_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// TestNewerDocuments: a field or a word that a newer version added could
// forbid something, so that a document that holds one isn't read at all.
func TestNewerDocuments(t *testing.T) {
	newer := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "only on Sundays")
	for _, c := range []struct {
		name   string
		change func(*policyv1.Policy)
		at     string
	}{
		{"a field of the policy", func(p *policyv1.Policy) { p.ProtoReflect().SetUnknown(newer) }, ""},
		{"a field of a key type", func(p *policyv1.Policy) { p.GetKeyTypes()[0].ProtoReflect().SetUnknown(newer) }, "key_types.0"},
		{"a field of a role grant", func(p *policyv1.Policy) {
			grant := &policyv1.RoleGrant{}
			grant.ProtoReflect().SetUnknown(newer)
			p.GetKeyTypes()[0].Role = grant
		}, "key_types.0.role"},
		{"a ceiling", func(p *policyv1.Policy) { p.GetKeyTypes()[0].Ceiling = 7 }, "key_types.0.ceiling"},
		{"a tenancy", func(p *policyv1.Policy) { p.GetEndpoints()[0].Tenant = 9 }, "endpoints.0.tenant"},
	} {
		doc := &policyv1.Policy{
			Name: "p", Hosts: []string{"h.example"}, Tenants: []*policyv1.TenantKind{{Name: "org"}}, Scopes: []*policyv1.Scope{{Name: "s"}},
			KeyTypes:  []*policyv1.KeyType{{Name: "k", Format: "k_{secret:32}", Owner: "org", Scopes: []string{"s"}}},
			Endpoints: []*policyv1.Endpoint{{Name: "E", Scopes: []string{"s"}, Routes: []string{"GET /e"}}},
		}
		if _, err := policy.Compile(doc); err != nil {
			t.Fatal(err)
		}
		c.change(doc)
		_, err := policy.Compile(doc)
		var problems policy.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if at := strings.Join(problems[0].Path, "."); at != c.at || !strings.Contains(problems[0].Remedy, "newer version") {
			t.Errorf("%s: %q at %q, want it at %q", c.name, problems[0], at, c.at)
		}
	}
}
