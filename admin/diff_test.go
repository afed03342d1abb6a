package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

const shop = `
name: shop
hosts: [shop.example]
environments: [live, test]
tenants:
  org:
    roles:
      reader: {scopes: [orders:read]}
      clerk:  {scopes: [orders:read, orders:write]}
permissions: [order.delete]
scopes: [orders:read, orders:write, stock:read]
key_types:
  fixed:  {format: "fx_{environment}_{secret:30}", owner: org, scopes: [orders:read]}
  chosen: {format: "ch_{environment}_{secret:30}", owner: org, grantable: [all], longest_life: 90d}
  role:   {format: "ro_{environment}_{secret:30}", owner: org, role: {default: reader}}
endpoints:
  Read:   {scopes: [orders:read], routes: [GET /orders, "GET /orders/{id}"]}
  Write:  {scopes: [orders:write], routes: ["POST,PUT /orders/{id}"]}
  Report: {scopes: [orders:read, stock:read], routes: [GET /report]}
replies:
  KEY_REVOKED: {message: The key was revoked.}
`

func loaded(t testing.TB, text string) *policyfile.Loaded {
	t.Helper()
	l, err := policyfile.Load("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// told is a difference in lines.
func told(d *adminv1.PolicyDifference) (access, document []string) {
	for _, t := range d.GetTypes() {
		for _, a := range t.GetAccess() {
			who := strings.TrimSpace(t.GetType() + " " + a.GetRole() + strings.Join(a.GetScopes(), "&"))
			for _, one := range []struct {
				sign   string
				routes []*adminv1.RouteDifference
			}{{"+", a.GetGained()}, {"-", a.GetLost()}, {"~", a.GetChanged()}} {
				for _, r := range one.routes {
					access = append(access, fmt.Sprintf("%s: %s%s %s%s", who, one.sign, r.GetMethod(), r.GetPath(), with2(r.GetPermissions())))
				}
			}
		}
	}
	for _, one := range d.GetDocument() {
		line := one.GetPlace() + ":"
		for _, s := range one.GetOld() {
			line += " -" + s
		}
		for _, s := range one.GetNew() {
			line += " +" + s
		}
		document = append(document, line)
	}
	return access, document
}

func with2(permissions []string) string {
	if len(permissions) == 0 {
		return ""
	}
	return " with " + strings.Join(permissions, ",")
}

func TestDiff(t *testing.T) {
	for name, tc := range map[string]struct {
		old, new         string // what is replaced by what
		access, document []string
	}{
		"nothing": {"name: shop", "name: shop", nil, nil},
		"a route is added": {
			`GET /orders,`, `GET /orders, DELETE /orders,`,
			[]string{"fixed: +DELETE /orders", "chosen orders:read: +DELETE /orders", "role: +DELETE /orders"},
			[]string{"endpoints: Read: routes: +DELETE /orders"},
		},
		"an endpoint asks for more": {
			`Write:  {scopes: [orders:write]`, `Write:  {scopes: [orders:write, stock:read]`,
			[]string{"chosen orders:write: -POST,PUT /orders/{id}", "role clerk: -POST,PUT /orders/{id}"},
			[]string{"endpoints: Write: scopes: +stock:read"},
		},
		"two scopes together": {
			`Report: {scopes: [orders:read, stock:read], routes: [GET /report]}`, `Report: {scopes: [orders:read, stock:read], routes: [GET /report, GET /report/all]}`,
			[]string{"chosen orders:read&stock:read: +GET /report/all"},
			[]string{"endpoints: Report: routes: +GET /report/all"},
		},
		"a route that takes paths from another": {
			`routes: ["POST,PUT /orders/{id}"]`, `routes: ["POST,PUT /orders/{id}", "GET /orders/all"]`,
			[]string{"fixed: -GET /orders/all", "chosen orders:read: -GET /orders/all", "chosen orders:write: +GET /orders/all", "role reader: -GET /orders/all"},
			[]string{"endpoints: Write: routes: +GET /orders/all"},
		},
		"a permission is asked": {
			`Read:   {scopes: [orders:read]`, `Read:   {scopes: [orders:read], permissions: [order.delete]`,
			[]string{
				"fixed: ~GET /orders with order.delete", "fixed: ~GET /orders/{id} with order.delete",
				"chosen orders:read: ~GET /orders with order.delete", "chosen orders:read: ~GET /orders/{id} with order.delete",
				"role: -GET /orders", "role: -GET /orders/{id}",
			},
			[]string{"endpoints: Read: permissions: +order.delete"},
		},
		"a type goes and another comes": {
			`  fixed:  {format: "fx_`, `  other:  {format: "ot_`,
			[]string{"other: +GET /orders", "other: +GET /orders/{id}", "fixed: -GET /orders", "fixed: -GET /orders/{id}"},
			[]string{"key_types: -fixed +other"},
		},
		"a role is given less": {
			`clerk:  {scopes: [orders:read, orders:write]}`, `clerk:  {scopes: [orders:read]}`,
			[]string{"role clerk: -POST,PUT /orders/{id}"},
			[]string{"tenants: org: roles: clerk: scopes: -orders:write"},
		},
		"open to everybody": {
			`Report: {scopes: [orders:read, stock:read],`, `Report: {public: true,`,
			[]string{"fixed: +GET /report", "chosen: +GET /report", "role: +GET /report"},
			[]string{"endpoints: Report: scopes: -orders:read -stock:read", "endpoints: Report: public: +true"},
		},
		"a limit and a ceiling": {
			`longest_life: 90d}`, `longest_life: 30d, ceiling: creator}`, nil,
			[]string{"key_types: chosen: ceiling: +creator", "key_types: chosen: longest_life: -90d +30d"},
		},
		"a reply": {
			`{message: The key was revoked.}`, `{status: 401, message: Gone., body: {error: "{message}", n: 1}}`, nil,
			[]string{"replies: KEY_REVOKED: status: +401", "replies: KEY_REVOKED: message: -The key was revoked. +Gone.", `replies: KEY_REVOKED: body: +{"error":"{message}","n":1}`},
		},
		"hosts and environments": {
			"hosts: [shop.example]\nenvironments: [live, test]", "hosts: [shop.example, two.example]\nenvironments: [test, live]", nil,
			[]string{"hosts: +two.example", "environments: order: -live, test +test, live"},
		},
		"a rule": {
			`owner: org, role: {default: reader}}`, `owner: org, role: {default: reader}, management: [{actions: [create], rule: "true", message: never}]}`, nil,
			[]string{`key_types: role: management: +{"actions":["create"],"rule":"true","message":"never"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Count(shop, tc.old) != 1 {
				t.Fatalf("%q isn't once in the policy", tc.old)
			}
			d := Diff(loaded(t, shop), loaded(t, strings.Replace(shop, tc.old, tc.new, 1)))
			access, document := told(d)
			if !slices.Equal(access, tc.access) {
				t.Errorf("access:\n%s\nwant\n%s", strings.Join(access, "\n"), strings.Join(tc.access, "\n"))
			}
			if !slices.Equal(document, tc.document) {
				t.Errorf("document:\n%s\nwant\n%s", strings.Join(document, "\n"), strings.Join(tc.document, "\n"))
			}
			if d.GetCounted() {
				t.Error("keys were counted without a store")
			}
		})
	}
}

// Whatever a later version adds to the language, a change of it isn't silent.
func TestDocumentDiffLeavesNoFieldOut(t *testing.T) {
	old := loaded(t, shop).Doc
	var walk func(m protoreflect.Message, set func(func(protoreflect.Message)) *policyv1.Policy, place string)
	tried := 0
	walk = func(m protoreflect.Message, with func(func(protoreflect.Message)) *policyv1.Policy, place string) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			next := with(func(m protoreflect.Message) {
				switch {
				case m.Has(f):
					m.Clear(f)
				case f.IsMap() && f.MapValue().Kind() == protoreflect.StringKind:
					m.Mutable(f).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfString("v"))
				case f.IsList() && f.Message() != nil:
					m.Mutable(f).List().AppendMutable()
				case f.IsList():
					m.Mutable(f).List().Append(protoreflect.ValueOfString("x"))
				case f.Message() != nil:
					m.Set(f, m.NewField(f))
				case f.Kind() == protoreflect.StringKind:
					m.Set(f, protoreflect.ValueOfString("x"))
				case f.Kind() == protoreflect.BoolKind:
					m.Set(f, protoreflect.ValueOfBool(true))
				case f.Kind() == protoreflect.Uint32Kind:
					m.Set(f, protoreflect.ValueOfUint32(7))
				case f.Enum() != nil:
					m.Set(f, protoreflect.ValueOfEnum(1))
				default:
					t.Fatalf("%s: %s: the test can't change it", place, f.Name())
				}
			})
			tried++
			if len(documentDiff(old, next)) == 0 {
				t.Errorf("%s: %s: a change of it is silent", place, f.Name())
			}
			if f.IsList() && f.Message() != nil && m.Get(f).List().Len() > 0 {
				walk(m.Get(f).List().Get(0).Message(), func(change func(protoreflect.Message)) *policyv1.Policy {
					return with(func(m protoreflect.Message) { change(m.Mutable(f).List().Get(0).Message()) })
				}, place+": "+string(f.Name()))
			}
		}
	}
	walk(old.ProtoReflect(), func(change func(protoreflect.Message)) *policyv1.Policy {
		next := loaded(t, shop).Doc
		change(next.ProtoReflect())
		return next
	}, "policy")
	if tried < 50 {
		t.Errorf("only %d fields were tried", tried)
	}
}

func TestKeysAreCountedByWhatBecomesOfThem(t *testing.T) {
	b := start(t)
	b.make(as("user:reader"), chosenKey)
	for range 3 {
		b.make(operator, roleKey) // members
	}
	b.make(operator, `{"policy":"desk","type":"role","environment":"live","tenant":"org:paid","name":"ci","role":"owner"}`)
	gone := b.make(operator, roleKey).GetId()
	if _, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: gone}); err != nil {
		t.Fatal(err)
	}
	// Members lose what owners keep, and what is new is opened by owners alone.
	next := strings.Replace(desk, `Read: {scopes: [read]`, `Read: {scopes: [own]`, 1)
	next = strings.Replace(next, `["GET /v1/feed"]}`, `["GET /v1/feed"]}`+"\n  New: {scopes: [own], routes: [GET /v1/new]}", 1)
	out, err := b.diffPolicy(t.Context(), operator, &adminv1.DiffPolicyRequest{Old: &adminv1.DiffPolicyRequest_InUse{InUse: "desk"}, NewSource: next})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string][3]uint64{}
	for _, one := range out.GetDifference().GetTypes() {
		counts[one.GetType()] = [3]uint64{one.GetKeys(), one.GetKeysGaining(), one.GetKeysLosing()}
	}
	if want := [3]uint64{4, 1, 3}; counts["role"] != want || !out.GetDifference().GetCounted() {
		t.Errorf("keys, gaining, losing: %v, want %v", counts, want)
	}
	if _, touched := counts["chosen"]; touched {
		t.Errorf("chosen keys can't hold those scopes: %v", counts)
	}
	// A dry run tells the same, and applying what was shown does it, once.
	dry, err := b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: next, DryRun: true})
	if err != nil || !dry.GetDifference().GetCounted() {
		t.Fatal(err, dry)
	}
	shown := dry.GetDifference().GetOldVersion()
	_, err = b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: next, Replaces: replacesNone})
	expect(t, err, ErrUnfit, "has changed meanwhile")
	if _, err = b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: next, Replaces: shown}); err != nil {
		t.Fatal(err)
	}
	_, err = b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: desk, Replaces: shown})
	expect(t, err, ErrUnfit, "has changed meanwhile")
	for want, q := range map[string]*adminv1.DiffPolicyRequest{
		"old: it is missing":       {NewSource: desk},
		`did you mean "desk"`:      {NewSource: desk, Old: &adminv1.DiffPolicyRequest_InUse{InUse: "dsk"}},
		"old.yaml:1:":              {NewSource: desk, Old: &adminv1.DiffPolicyRequest_Source{Source: "nme: x"}, OldFile: "old.yaml"},
		"policy:1:1: the document": {Old: &adminv1.DiffPolicyRequest_InUse{InUse: "desk"}},
	} {
		if _, err := b.diffPolicy(t.Context(), operator, q); err == nil || want != "policy:1:1: the document" && !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
}

func TestRemovePolicyDry(t *testing.T) {
	b := start(t)
	before := b.store.Position()
	out, err := b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "sparse", DryRun: true})
	if err != nil || b.store.Position() != before || out.GetKeys() != 0 {
		t.Errorf("%v, %v", out, err)
	}
	b.make(operator, plainKey)
	_, err = b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "sparse", DryRun: true})
	expect(t, err, ErrUnfit, "1 live key")
}

func TestDetailsAndABoundedDirectory(t *testing.T) {
	b := start(t)
	out, err := b.listPolicies(t.Context(), operator, &adminv1.ListPoliciesRequest{Details: true})
	if err != nil {
		t.Fatal(err)
	}
	one := out.GetPolicies()[0]
	d := one.GetDetails()
	if !slices.Equal(one.GetEnvironments(), []string{"live", "test"}) || d.GetTypes()[0].GetName() != "chosen" || !slices.Equal(d.GetTypes()[0].GetScopes(), []string{"docs:read", "docs:write"}) ||
		!slices.Equal(d.GetTypes()[3].GetRoles(), []string{"member", "owner"}) {
		t.Errorf("details %v", d)
	}
	dir, err := b.getDirectory(t.Context(), operator, &adminv1.GetDirectoryRequest{Prefix: "user:", Limit: 2})
	if err != nil || len(dir.GetDirectory().GetTenants()) != 0 || len(dir.GetDirectory().GetPrincipals()) != 2 {
		t.Errorf("%v, %v", dir, err)
	}
}
