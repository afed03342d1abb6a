// Package examples_test holds the four examples to what their tables of
// requests can't show: that they live in one process, how refusals are spelt,
// and that their READMEs point at rows that exist.
package examples_test

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/policy"
	"github.com/latchkey/latchkey/policyfile"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

var systems = []string{"kodey", "cuneiform", "spotzee", "shortkit"}

func read(t *testing.T, file string, into proto.Message) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strictyaml.Decode(file, src, into); err != nil {
		t.Fatal(err)
	}
}

// load returns the four policies, which must be in use together.
func load(t *testing.T) map[string]*policy.Policy {
	t.Helper()
	var files []string
	for _, system := range systems {
		files = append(files, path.Join(system, "policy.yaml"))
	}
	loaded, err := policyfile.LoadFiles(files...)
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]*policy.Policy{}
	for _, l := range loaded {
		policies[l.Policy.Name()] = l.Policy
	}
	for _, system := range systems {
		if policies[system] == nil {
			t.Fatalf("%s/policy.yaml is the policy of another name", system)
		}
	}
	return policies
}

// TestReplies compares bodies with the vendors' documents. The documents fix
// no other bodies than these.
func TestReplies(t *testing.T) {
	policies := load(t)
	shortkit := func(code, message string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"message":%q},"meta":{"requestId":"req_xyz789"}}`, code, message)
	}
	unauthorized := shortkit("UNAUTHORIZED", "Invalid API key provided")
	forbidden := shortkit("FORBIDDEN", "Key lacks required permissions")
	for _, c := range []struct {
		reasons              []policy.Reason
		key, request, status string
		body                 string
	}{
		{[]policy.Reason{
			policy.KeyMissing, policy.KeyAmbiguous, policy.KeyMalformed, policy.KeyUnknown,
			policy.KeyExpired, policy.KeyDisabled, policy.PrincipalGone,
		}, "", "production", "401", unauthorized},
		{[]policy.Reason{policy.KeyRevoked}, "", "production", "401", shortkit("KEY_REVOKED", "API key has been revoked")},
		{[]policy.Reason{
			policy.TenantSuspended, policy.PathAmbiguous, policy.EndpointUnknown, policy.KeyTypeNotAllowed,
			policy.ScopeMissing, policy.PermissionMissing, policy.TenantMismatch,
		}, "live", "production", "403", forbidden},
		{[]policy.Reason{policy.EnvironmentMismatch}, "test", "production", "403", shortkit("ENVIRONMENT_MISMATCH", "Using test key on production endpoint")},
		{[]policy.Reason{policy.EnvironmentMismatch}, "live", "staging", "403", shortkit("ENVIRONMENT_MISMATCH", "Using live key on staging endpoint")},
	} {
		for _, reason := range c.reasons {
			reply := policies["shortkit"].Reply(reason)
			facts := policy.Facts{RequestID: "req_xyz789", KeyEnvironment: c.key, RequestEnvironment: c.request}
			if got := reply.Body(facts); got != c.body || fmt.Sprint(reply.Status) != c.status {
				t.Errorf("shortkit %s: %d %s, want %s %s", reason, reply.Status, got, c.status, c.body)
			}
		}
	}
	for _, reason := range []policy.Reason{policy.ScopeMissing, policy.PermissionMissing} {
		reply := policies["cuneiform"].Reply(reason)
		want := fmt.Sprintf(`{"error":{"type":"permission_error","code":"invalid_scope","message":%q}}`, reason.Message())
		if got := reply.Body(policy.Facts{}); got != want || reply.Status != 403 {
			t.Errorf("cuneiform %s: %d %s, want 403 %s", reason, reply.Status, got, want)
		}
	}
	for _, system := range []string{"kodey", "spotzee"} {
		for _, reason := range policy.Reasons() {
			if reason.Allows() || reason == policy.HostUnknown { // answered without a policy
				continue
			}
			if got, want := policies[system].Reply(reason).Body(policy.Facts{}), policy.DefaultReply(reason).Body(policy.Facts{}); got != want {
				t.Errorf("%s %s: %s, but its document fixes no body, want %s", system, reason, got, want)
			}
		}
	}
}

// TestEnvironmentTitles says that each host of shortkit leads to the
// environment whose title stands in the document's error.
func TestEnvironmentTitles(t *testing.T) {
	p := load(t)["shortkit"]
	policies, err := policy.NewPolicies(p)
	if err != nil {
		t.Fatal(err)
	}
	for host, title := range map[string]string{"api.shortkit.dev": "production", "api.staging.shortkit.dev": "staging"} {
		place, ok := policies.Find(host, nil)
		if !ok || p.Environment(place.Environment) == nil || p.Environment(place.Environment).Title != title {
			t.Errorf("%s: environment %q, want the one called %s", host, place.Environment, title)
		}
	}
}

// TestDirectoriesAreApart lets all four be applied to one store in any order.
func TestDirectoriesAreApart(t *testing.T) {
	owner := map[string]string{}
	for _, system := range systems {
		var d directoryv1.Directory
		read(t, path.Join(system, "directory.yaml"), &d)
		var ids []string
		for _, tenant := range d.GetTenants() {
			ids = append(ids, tenant.GetId())
		}
		for _, principal := range d.GetPrincipals() {
			ids = append(ids, principal.GetId())
		}
		for _, id := range ids {
			if other, taken := owner[id]; taken {
				t.Errorf("%s stands in the directories of %s and %s: the later would replace the earlier", id, other, system)
			}
			owner[id] = system
		}
	}
}

var (
	fenced = regexp.MustCompile("(?s)```.*?```")
	code   = regexp.MustCompile("`[^`]*`")
	italic = regexp.MustCompile(`\*([^*]+)\*`)
)

// TestReadmesCiteRows: what a README sets in italics is the rule of a row, or
// with … in it, of at least one.
func TestReadmesCiteRows(t *testing.T) {
	for _, system := range systems {
		var table tablev1.Table
		read(t, path.Join(system, "requests.yaml"), &table)
		var rules []string
		for _, row := range table.GetRows() {
			rules = append(rules, row.GetRule())
		}
		for _, row := range table.GetManagement() {
			rules = append(rules, row.GetRule())
		}
		slices.Sort(rules)
		for i := range rules {
			if i > 0 && rules[i-1] == rules[i] {
				t.Errorf("%s: two rows are called %q", system, rules[i])
			}
		}
		text, err := os.ReadFile(path.Join(system, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		prose := code.ReplaceAllString(fenced.ReplaceAllString(string(text), ""), "")
		for _, cited := range italic.FindAllStringSubmatch(prose, -1) {
			rule := strings.Join(strings.Fields(cited[1]), " ")
			pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(rule), "…", ".*") + "$")
			if !slices.ContainsFunc(rules, pattern.MatchString) {
				t.Errorf("%s/README.md cites the row %q, which requests.yaml doesn't have", system, rule)
			}
		}
	}
}
