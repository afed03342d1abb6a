package policyfile

import (
	"errors"
	"strings"
	"testing"

	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

func TestEveryRuleThatNamesTheActionMustSayYes(t *testing.T) {
	doc := &policyv1.Policy{KeyTypes: []*policyv1.KeyType{
		{Name: "free"},
		{Name: "ruled", Management: []*policyv1.ManagementRule{
			{Rule: `caller.role in ["admin", "owner"]`, Message: "admins and owners only"},
			{Actions: []string{"create", "update"}, Rule: `caller.role == "owner" || key.role == "member"`, Message: "admins hand out member"},
			{Actions: []string{"revoke"}, Rule: `caller.role == "owner"`},
		}},
	}}
	rules, problems := CompileRules(doc)
	if len(problems) > 0 || len(rules.Of("ruled")) != 3 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		keyType, action, role, keyRole string
		want                           string // part of the refusal; empty: permitted
		cause                          bool   // the rule could not be answered
	}{
		{"free", "create", "", "", "", false},
		{"free", "destroy", "", "", "nobody may destroy", false},
		{"other", "create", "owner", "member", "nobody may create", false},
		{"ruled", "show", "admin", "admin", "", false},
		{"ruled", "show", "member", "admin", "admins and owners only", false},
		{"ruled", "show", "", "admin", "admins and owners only", true},
		{"ruled", "create", "admin", "member", "", false},
		{"ruled", "create", "admin", "admin", "admins hand out member", false},
		{"ruled", "create", "owner", "admin", "", false},
		{"ruled", "update", "admin", "", "admins hand out member", true},
		{"ruled", "revoke", "owner", "", "", false},
		{"ruled", "revoke", "admin", "", "does not permit you to revoke this key", false},
	} {
		err := rules.Permits(c.keyType, RuleInput{Action: c.action, Caller: Caller{ID: "user:a", Role: c.role}, Key: Key{Role: c.keyRole}})
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, c.want) || (refusal.Cause != nil) != c.cause {
			t.Errorf("%+v: %#v", c, err)
		}
	}
}
