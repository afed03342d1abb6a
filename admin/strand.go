package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// stranded returns ErrUnfit where live keys would be left without something
// that they need, because a policy is replaced (next is nil: removed). It
// counts the keys by what they would lose. Keys that lack it already, or that
// had no policy, aren't counted.
func (s *Server) stranded(l *lookup, name string, old, next *compiledPolicy) error {
	if old == nil {
		return nil
	}
	count, total := map[string]int{}, 0
	_, err := s.ledger.Keys("", func(r *key.Record) bool {
		if r.Policy != name || !r.Live(l.Now) {
			return true
		}
		had := lacks(old, old, r, l)
		lost := slices.DeleteFunc(lacks(old, next, r, l), func(what string) bool { return slices.Contains(had, what) })
		for _, what := range lost {
			count[what]++
		}
		if len(lost) > 0 {
			total++
		}
		return true
	})
	if err != nil || total == 0 {
		return err
	}
	var causes []string
	for _, what := range slices.Sorted(maps.Keys(count)) {
		causes = append(causes, fmt.Sprintf("%d %s %s", count[what], plural.Pick(count[what], "loses", "lose"), what))
	}
	return unfit("policy %s: %s would be stranded: %s: keep what they need, revoke or update them first, or strand them on purpose (--strand)",
		name, plural.Count(total, "live key"), strings.Join(causes, ", "))
}

// lacks returns what a key of a policy needs and wouldn't find in the next.
func lacks(old, next *compiledPolicy, r *key.Record, l *lookup) []string {
	if next == nil {
		return []string{"their policy"}
	}
	t := next.policy.Type(r.Type)
	if t == nil {
		return []string{fmt.Sprintf("their type %q", r.Type)}
	}
	var out []string
	if r.Environment != "" && next.policy.Environment(r.Environment) == nil || r.Environment == "" && len(next.policy.Environments()) > 0 {
		out = append(out, fmt.Sprintf("their environment %q", r.Environment))
	}
	if kind, _, _ := strings.Cut(r.Tenant, ":"); kind != t.Owner {
		out = append(out, fmt.Sprintf("their owner, as the type %q would belong to others", t.Name))
	}
	switch {
	case t.Grant == policy.ByRole && t.Roles[r.Role] == nil:
		out = append(out, fmt.Sprintf("their role %q", r.Role))
	case t.Grant == policy.Chosen:
		grantable := next.policy.ScopeNames(t.Scopes)
		for _, scope := range r.Scopes {
			if !slices.Contains(grantable, scope) {
				out = append(out, fmt.Sprintf("their scope %q", scope))
			}
		}
		if before := old.policy.Type(r.Type); before != nil && before.Grant != policy.Chosen {
			out = append(out, fmt.Sprintf("their scopes, as those of the type %q would be chosen", t.Name))
		}
	}
	if lacksForm(old, next, r, l) {
		out = append(out, fmt.Sprintf("the format of their tokens, which the type %q would not accept", t.Name))
	}
	return out
}

// lacksForm reports whether a secret of the key that is live may have a form
// that the next policy doesn't accept. Of a secret only the prefix is known:
// where several forms share it, all of them must stay.
func lacksForm(old, next *compiledPolicy, r *key.Record, l *lookup) bool {
	accepted := next.policy.Formats(r.Type, r.Environment)
	possible := old.policy.Formats(r.Type, r.Environment)
	secrets := []key.Secret{r.Current()}
	if retiring, ok := r.Retiring(l.Now); ok {
		secrets = append(secrets, retiring)
	}
	for _, s := range secrets {
		found := false
		for _, form := range possible {
			if s.Prefix != "" && s.Prefix != form.Prefix {
				continue
			}
			found = true
			if !slices.Contains(accepted, form) {
				return true
			}
		}
		if !found && !slices.ContainsFunc(accepted, func(f key.Format) bool { return f.Prefix == s.Prefix }) {
			return true
		}
	}
	return false
}
