package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

// Parts of documents. Those of one document are joined: what is repeated adds up.
const (
	named     = `name: "demo" hosts: "api.demo.example"`
	hasOrg    = `tenants { name: "org" }`
	hasScopes = `scopes { name: "read" } scopes { name: "write" }`
	hasType   = `key_types { name: "secret" format: "sk_{secret:32}" owner: "org" grantable: "all" }`
	hasRoute  = `endpoints { name: "Things" scopes: "read" routes: "GET /things" }`

	// minimal is a document with nothing wrong in it and nothing to spare.
	minimal = named + "\n" + hasOrg + "\n" + hasScopes + "\n" + hasType + "\n" + hasRoute
)

// document reads a document from its parts, written as protobuf text.
func document(t testing.TB, parts ...string) *policyv1.Policy {
	t.Helper()
	doc := &policyv1.Policy{}
	if err := prototext.Unmarshal([]byte(strings.Join(parts, "\n")), doc); err != nil {
		t.Fatalf("the test's document can't be read: %v", err)
	}
	return doc
}

// compile compiles a document that has nothing wrong in it.
func compile(t testing.TB, parts ...string) *policy.Policy {
	t.Helper()
	p, err := policy.Compile(document(t, parts...))
	if err != nil {
		t.Fatalf("the test's document does not compile:\n%v", err)
	}
	return p
}

// problems compiles a document that has something wrong in it.
func problems(t testing.TB, parts ...string) policy.Problems {
	t.Helper()
	p, err := policy.Compile(document(t, parts...))
	if err == nil {
		return nil
	}
	var found policy.Problems
	if !errors.As(err, &found) {
		t.Fatalf("the error is %T and not Problems: %v", err, err)
	}
	if p != nil {
		t.Fatal("a policy came back beside the problems")
	}
	return found
}

// routed compiles a policy whose endpoints are the given routes, each an
// endpoint of its own that is called like its route's index.
func routed(t testing.TB, routes ...string) *policy.Policy {
	t.Helper()
	return compile(t, named, hasOrg, hasScopes, hasType, endpoints(routes))
}

func endpoints(routes []string) string {
	var b strings.Builder
	for i, r := range routes {
		fmt.Fprintf(&b, "endpoints { name: \"%d\" scopes: \"read\" routes: %q }\n", i, r)
	}
	return b.String()
}

// matched returns the text of the route that is matched, or nothing.
func matched(p *policy.Policy, method, path string) string {
	if r := p.Match(method, path); r != nil {
		return r.Text
	}
	return ""
}

// people is a directory in memory.
type people struct {
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
}

func (d people) Tenant(id string) (directory.Tenant, bool) {
	return directory.Maps{Tenants: d.tenants, Principals: d.principals}.Tenant(id)
}

func (d people) Principal(id string) (directory.Person, bool) {
	return directory.Maps{Tenants: d.tenants, Principals: d.principals}.Principal(id)
}

// inhabited returns a directory of the given tenants and principals.
func inhabited(all ...any) people {
	d := people{map[string]*directory.Tenant{}, map[string]*directory.Principal{}}
	for _, one := range all {
		switch one := one.(type) {
		case directory.Tenant:
			d.tenants[one.ID] = &one
		case directory.Principal:
			d.principals[one.ID] = &one
		default:
			panic(fmt.Sprintf("a directory holds no %T", one))
		}
	}
	return d
}
