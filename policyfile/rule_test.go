package policyfile

import (
	"errors"
	"strings"
	"testing"
)

func compile(t *testing.T, expr string) *Rule {
	t.Helper()
	rule, err := CompileRule(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return rule
}

func TestRulesAnswer(t *testing.T) {
	ada := Caller{ID: "user:ada", Role: "admin", Permissions: []string{"agent.read", "agent.update"}}
	in := RuleInput{
		Action: "create",
		Caller: ada,
		Tenant: Tenant{ID: "team:t_1", Kind: "team", Plan: "pro", Status: "active", Parent: "org:o_1"},
		Key: Key{
			ID: "k1", Policy: "kodey", Type: "secret", Environment: "live", Tenant: "team:t_1", Principal: "user:bob",
			Creator: "user:ada", Role: "member", Scopes: []string{"chat"}, Name: "ci", System: true,
		},
	}
	for _, c := range []struct {
		rule string
		want bool
	}{
		{`caller.id == "user:ada"`, true},
		{`caller.id == key.creator`, true},
		{`caller.id == key.principal`, false},
		{`caller.role in ["admin", "owner"]`, true},
		{`caller.role == "owner" || key.role in ["member", "admin"]`, true},
		{`"agent.update" in caller.permissions`, true},
		{`"agent.delete" in caller.permissions`, false},
		{`size(key.scopes) < 2`, true},
		{`key.scopes[0] == "chat"`, true},
		{`action == "create" && tenant.plan != "trial"`, true},
		{`action == "rotate" ? false : key.system`, true},
		{`tenant.id == key.tenant && tenant.kind == "team" && tenant.status == "active" && tenant.parent == "org:o_1"`, true},
		{`key.policy + "/" + key.type == "kodey/secret"`, true},
		{`key.id == "k1" && key.environment == "live" && key.name.startsWith("c")`, true},
		{`key.name.matches("^[a-z]+$") && !key.name.contains("x") && key.name.endsWith("i")`, true},
		{`has(caller.id) && has(tenant.plan) && has(key.system) && has(key.scopes)`, true},
	} {
		got, err := compile(t, c.rule).Allows(in)
		if got != c.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", c.rule, got, err, c.want)
		}
	}
}

// TestAbsentAttributesRefuse: whatever the rest of a rule says, one that reads
// what is not there does not allow.
func TestAbsentAttributesRefuse(t *testing.T) {
	noRole := RuleInput{Action: "create", Caller: Caller{ID: "user:ada"}, Key: Key{Role: "member"}}
	for _, c := range []struct {
		rule  string
		in    RuleInput
		cause string
	}{
		{`caller.role == "admin"`, noRole, "caller has no role"},
		{`caller.role != "admin"`, noRole, "caller has no role"},
		{`!(caller.role == "admin")`, noRole, "caller has no role"},
		{`caller.role == "owner" || key.role in ["member", "admin"]`, noRole, "caller has no role"},
		{`key.role == "member" || caller.role == "owner"`, noRole, ""},
		{`!(caller.role == "owner" && key.role == "admin")`, noRole, "caller has no role"},
		{`has(caller.role)`, noRole, "no"},
		{`!has(caller.role) || caller.role == "owner"`, noRole, ""},
		{`tenant.plan in ["pro"]`, noRole, "tenant has no plan"},
		{`tenant.plan == ""`, noRole, "tenant has no plan"},
		{`caller.id == key.principal`, noRole, "key has no principal"},
		{`caller.id == key.principal`, RuleInput{Action: "create"}, "caller has no id"},
		{`size(caller.permissions) == 0`, noRole, ""},
		{`size(caller.permissions) == 0`, RuleInput{Caller: Caller{Permissions: []string{"x"}}}, "caller has no permissions"},
		{`caller.role == "x"`, RuleInput{Caller: Caller{Role: "x"}}, "caller has no role"},
		{`size(key.scopes) == 0 && !key.system`, noRole, ""},
		{`has(caller.id)`, RuleInput{}, "no"},
		{`key.scopes[3] == "x"`, noRole, "index out of bounds"},
		{`key.role.matches(caller.id + "(")`, noRole, "missing closing"},
	} {
		got, err := compile(t, c.rule).Allows(c.in)
		switch {
		case c.cause == "": // allowed
			if !got || err != nil {
				t.Errorf("%s: %v, %v; want it allowed", c.rule, got, err)
			}
		case got:
			t.Errorf("%s was allowed", c.rule)
		case c.cause == "no":
			if err != nil {
				t.Errorf("%s: %v, want a plain no", c.rule, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.cause):
			t.Errorf("%s: %v, want %q", c.rule, err, c.cause)
		}
	}
}

func TestRulesThatAreNone(t *testing.T) {
	for _, c := range []struct {
		rule   string
		offset int
		want   string
	}{
		{`caller.rol == "x"`, 7, `caller has no attribute "rol": did you mean "role"? its attributes are id, role, permissions`},
		{`has(caller.rol)`, 11, `caller has no attribute "rol": did you mean "role"?`},
		{`key.plan == "x" || caller.plan == "x"`, 4, `key has no attribute "plan": its attributes are id, policy`},
		{"has(caller.id) &&\n  tenant.paln == \"é\"", 27, `tenant has no attribute "paln": did you mean "plan"?`},
		{`"é" == caler.id`, 7, `a rule knows no "caler": did you mean "caller"?`},
		{`caller.id`, 0, "the rule is of the type string: write an expression that is true or false"},
		{`caller.id == 1`, 10, "== cannot be used with (string, int): compare values of one type"},
		{`caller == key`, 7, "== cannot be used with"},
		{`key["id"] == "x"`, 3, "cannot be used with"},
		{`caller.id = "x"`, 10, "Syntax error"},
		{`"a" ==`, 6, "Syntax error: mismatched input '<EOF>': correct the expression"},
		{` `, 0, "the rule is empty"},
		{`[1].exists(x, x == 1)`, 10, `a rule knows no "exists"`},
		{`[1].map(x, x)`, 7, `a rule knows no "map"`},
		{`dyn(caller).rol == 1`, 3, `a rule knows no "dyn"`},
		{`type(key) == type(key)`, 4, `a rule knows no "type"`},
		{`now() > 1`, 3, `a rule knows no "now"`},
		{`"` + strings.Repeat("a", maxRuleLength) + `" == "a"`, 0, "exceeds limit"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), 0, "recursion limit"},
	} {
		_, err := CompileRule(c.rule)
		var e *RuleError
		if !errors.As(err, &e) || !strings.Contains(e.Error(), c.want) || e.Remedy == "" {
			t.Errorf("%.60s: %v, want %s", c.rule, err, c.want)
			continue
		}
		if e.Offset != c.offset && len(c.rule) < 200 {
			t.Errorf("%s: at %d, want %d", c.rule, e.Offset, c.offset)
		}
	}
}

func TestRulesAreBounded(t *testing.T) {
	in := RuleInput{Caller: Caller{ID: "user:ada"}, Key: Key{Name: strings.Repeat("a", 1<<20)}}
	for range 100_000 {
		in.Caller.Permissions = append(in.Caller.Permissions, "p")
	}
	for _, rule := range []string{
		`!("x" in caller.permissions)`,
		`!key.name.matches("(a*)*b")`,
		`!(key.name + key.name).contains("b")`,
	} {
		if ok, err := compile(t, rule).Allows(in); ok || err == nil || !strings.Contains(err.Error(), "cost limit") {
			t.Errorf("%s: %v, %v; want the cost limit", rule, ok, err)
		}
	}
}

// FuzzCompileRule: no text panics, and what compiles never allows the one who has nothing.
func FuzzCompileRule(f *testing.F) {
	for _, rule := range []string{`caller.role == "admin"`, `has(caller.id)`, `key.role in ["a"] && !tenant.plan.matches("x")`, `caller.`, `"\u00e9" == key.name`} {
		f.Add(rule)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		rule, err := CompileRule(expr)
		if err != nil {
			var e *RuleError
			if !errors.As(err, &e) || e.Message == "" || e.Remedy == "" || e.Offset < 0 {
				t.Fatalf("%q: %#v", expr, err)
			}
			return
		}
		if ok, err := rule.Allows(RuleInput{}); ok && err != nil {
			t.Fatalf("%q allows with an error: %v", expr, err)
		}
	})
}
