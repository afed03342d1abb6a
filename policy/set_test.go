package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/policy"
)

// Sets against the same operations on maps.
func TestSetIsASet(t *testing.T) {
	indexes := rapid.SliceOfDistinct(rapid.IntRange(0, 255), rapid.ID[int])
	build := func(list []int) (policy.Set, map[int]bool) {
		var s policy.Set
		m := map[int]bool{}
		for _, i := range list {
			s, m[i] = s.With(i), true
		}
		return s, m
	}
	rapid.Check(t, func(r *rapid.T) {
		a, inA := build(indexes.Draw(r, "a"))
		b, inB := build(indexes.Draw(r, "b"))
		covers := true
		for i := range 256 {
			for what, pair := range map[string][2]bool{
				"Has":   {a.Has(i), inA[i]},
				"Union": {a.Union(b).Has(i), inA[i] || inB[i]},
				"And":   {a.And(b).Has(i), inA[i] && inB[i]},
				"Minus": {a.Minus(b).Has(i), inA[i] && !inB[i]},
				"With":  {a.With(i).Has(i), true},
			} {
				if pair[0] != pair[1] {
					r.Fatalf("%s, index %d: got %v", what, i, pair[0])
				}
			}
			if a.With(i).Minus(policy.Set{}.With(i)) != a.Minus(policy.Set{}.With(i)) {
				r.Fatalf("With(%d) changed another index", i)
			}
			covers = covers && (inA[i] || !inB[i])
		}
		if a.Covers(b) != covers {
			r.Fatalf("Covers: got %v", a.Covers(b))
		}
		if a.Empty() != (len(inA) == 0) {
			r.Fatalf("Empty: got %v", a.Empty())
		}
	})
}

// As many scopes and permissions as a policy may have, each in its place.
func TestNamesOfSets(t *testing.T) {
	var doc strings.Builder
	var want []string
	for i := range 256 {
		name := fmt.Sprintf("s%d", (i*37)%256) // not in order
		want = append(want, name)
		fmt.Fprintf(&doc, "scopes { name: %q }\npermissions: %q\n", name, "p"+name)
	}
	slices.Sort(want)
	p := compile(t, named, hasOrg, `key_types { name: "secret" format: "sk_{secret:32}" owner: "org" grantable: "all" }`,
		doc.String(), `endpoints { name: "x" scopes: "s0" permissions: "ps0" routes: "GET /x" }`)
	if got := p.ScopeNames(p.Scopes()); !slices.Equal(got, want) {
		t.Errorf("all scopes are %v", got)
	}
	for _, name := range want {
		set, unknown := p.ScopeSet([]string{name})
		if got := p.ScopeNames(set); len(unknown) != 0 || len(got) != 1 || got[0] != name {
			t.Errorf("the set of %q is %v, unknown %v", name, got, unknown)
		}
	}
	set, unknown := p.ScopeSet([]string{"s9", "nope", "s10", "", "s9"})
	if got := fmt.Sprint(p.ScopeNames(set), len(unknown), unknown); got != "[s10 s9] 2 [nope ]" {
		t.Errorf("a mixed list gives %s", got)
	}
	if got := p.ScopeNames(policy.Set{}); len(got) != 0 {
		t.Errorf("the empty set is %v", got)
	}
	e := p.Endpoints()[0]
	if got := fmt.Sprint(p.ScopeNames(e.Scopes), p.PermissionNames(e.Permissions)); got != "[s0] [ps0]" {
		t.Errorf("the endpoint asks for %s", got)
	}
}
