package admin

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// kindOfKey is what two keys have in common that open the same.
type kindOfKey struct{ keyType, environment, owner, role, scopes string }

// count counts the live keys of the old policy by what becomes of them. Keys
// are looked at in memory, and judged once for each kind that there is.
func (s *Server) count(d *difference, l *lookup) {
	kinds := map[kindOfKey]uint64{}
	s.ledger.Facts(func(f *key.Facts) bool {
		if f.Policy == d.old.Name() && f.Live(l.Now) {
			kinds[kindOfKey{f.Type, f.Environment, directory.Kind(f.Tenant), f.Role, strings.Join(f.Scopes, " ")}]++
		}
		return true
	})
	d.message.Counted = true
	told := len(d.message.Types)
	for k, n := range kinds {
		gains, loses := d.outcome(k)
		i := slices.IndexFunc(d.message.Types, func(t *adminv1.TypeDifference) bool { return t.GetType() == k.keyType })
		if i < 0 {
			if !gains && !loses {
				continue
			}
			// Nothing changes for the type, but for keys that lost what they need.
			i = len(d.message.Types)
			d.message.Types = append(d.message.Types, &adminv1.TypeDifference{Type: k.keyType})
		}
		t := d.message.Types[i]
		t.Keys = plus(t.Keys, n)
		if gains {
			t.KeysGaining = plus(t.KeysGaining, n)
		}
		if loses {
			t.KeysLosing = plus(t.KeysLosing, n)
		}
	}
	for _, t := range d.message.Types {
		t.Keys, t.KeysGaining, t.KeysLosing = plus(t.Keys, 0), plus(t.KeysGaining, 0), plus(t.KeysLosing, 0)
	}
	slices.SortFunc(d.message.Types[told:], func(a, b *adminv1.TypeDifference) int {
		return strings.Compare(a.GetType(), b.GetType())
	})
}

func plus(n *uint64, more uint64) *uint64 {
	if n != nil {
		more += *n
	}
	return &more
}

// outcome reports whether keys of a kind open something that they didn't, and
// whether they don't open something that they did.
func (d *difference) outcome(k kindOfKey) (gains, loses bool) {
	f := &key.Facts{Role: k.role, Scopes: strings.Fields(k.scopes)}
	old, next := fitting(d.old, k), fitting(d.next, k)
	for _, t := range d.turns {
		_, could := opens(d.old, old, f, t.old)
		_, can := opens(d.next, next, f, t.next)
		gains, loses = gains || can && !could, loses || could && !can
	}
	return gains, loses
}

// fitting returns the type of a key, and nil where the policy has none that it
// could be of: its environment or its owner would be of another.
func fitting(p *policy.Policy, k kindOfKey) *policy.KeyType {
	t := p.Type(k.keyType)
	if t == nil || t.Owner != k.owner || k.environment != "" && p.Environment(k.environment) == nil || k.environment == "" && p.HasEnvironments() {
		return nil
	}
	return t
}
