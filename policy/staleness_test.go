package policy_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/policy"
)

// stale is a policy of one key type for each staleness; 0: none of its own.
func stale(t testing.TB, name string, types ...time.Duration) *policy.Policy {
	t.Helper()
	doc := `name: "` + name + `" hosts: "` + name + `.example"` + hasOrg + hasScopes + hasRoute
	for i, d := range types {
		said := fmt.Sprintf("max_staleness { seconds: %d nanos: %d }", d/time.Second, d%time.Second)
		if d == 0 {
			said = ""
		}
		doc += fmt.Sprintf(`key_types { name: "k%d" format: "k%d_{secret:32}" owner: "org" scopes: "read" %s }`, i, i, said)
	}
	return compile(t, doc)
}

func TestLongestStaleness(t *testing.T) {
	const unlimited = 0
	type types = []time.Duration
	for _, c := range []struct {
		says        string
		one, other  types
		limit, want time.Duration
	}{
		{"no type says anything", types{unlimited}, types{unlimited}, time.Minute, time.Minute},
		{"nobody says anything", types{unlimited}, types{unlimited}, unlimited, unlimited},
		{"one type of many says nothing", types{time.Second, unlimited}, types{time.Second}, time.Minute, time.Minute},
		{"one type of many says nothing, nor does the process", types{time.Second}, types{time.Second, unlimited}, unlimited, unlimited},
		{"the most lenient type counts", types{time.Second, 3 * time.Second}, types{2 * time.Second}, time.Minute, 3 * time.Second},
		{"in any policy", types{time.Second}, types{2 * time.Second, 5 * time.Second}, time.Minute, 5 * time.Second},
		{"where the process has no limit", types{time.Second}, types{2 * time.Second}, unlimited, 2 * time.Second},
		{"the process is stricter", types{time.Hour}, types{2 * time.Hour}, time.Minute, time.Minute},
		{"the process is as strict", types{time.Minute}, types{time.Second}, time.Minute, time.Minute},
	} {
		policies, err := policy.NewPolicies(stale(t, "one", c.one...), stale(t, "other", c.other...))
		if err != nil {
			t.Fatal(err)
		}
		if got := policies.LongestStaleness(c.limit); got != c.want {
			t.Errorf("%s: %s, want %s", c.says, got, c.want)
		}
	}
	none, err := policy.NewPolicies()
	if err != nil {
		t.Fatal(err)
	}
	if got := none.LongestStaleness(time.Minute); got != time.Minute {
		t.Errorf("without policies: %s", got)
	}
}

// TestLongestStalenessIsExact: at that age some type may still be answered, and
// a moment later none.
func TestLongestStalenessIsExact(t *testing.T) {
	said := rapid.OneOf(rapid.Just(time.Duration(0)), rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(1, 5).Draw(t, "ns"))
	}))
	rapid.Check(t, func(r *rapid.T) {
		limit := said.Draw(r, "limit")
		var all []*policy.Policy
		for i := range rapid.IntRange(1, 3).Draw(r, "policies") {
			all = append(all, stale(t, fmt.Sprintf("p%d", i), rapid.SliceOfN(said, 1, 3).Draw(r, "types")...))
		}
		policies, err := policy.NewPolicies(all...)
		if err != nil {
			r.Fatal(err)
		}
		answered := func(age time.Duration) bool {
			for _, p := range all {
				for _, name := range p.Types() {
					own := p.Type(name).MaxStaleness
					if (limit == 0 || age <= limit) && (own == 0 || age <= own) {
						return true
					}
				}
			}
			return false
		}
		longest := policies.LongestStaleness(limit)
		if longest == 0 {
			if !answered(1 << 62) {
				r.Fatal("without limit, and yet nothing is answered")
			}
		} else if !answered(longest) || answered(longest+1) {
			r.Fatalf("at %s answered is %v, a moment later %v", longest, answered(longest), answered(longest+1))
		}
	})
}
