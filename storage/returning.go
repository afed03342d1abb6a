package storage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage/table"
)

// Returning returns what the finished snapshot would bring back to life: keys,
// tenants and principals that have lost something in the store as it is, and
// not in the snapshot. What of it somebody gave back at the hub, and what was
// lost, only the hub can tell. It compares memory alone, so that names which the
// store doesn't know count where the snapshot is older, and not where it is newer.
func (s *Staged) Returning() []Withdrawn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.image == nil {
		return nil
	}
	now := s.db.Now()
	r := returning{now: now, then: s.image.view, older: s.at.Before(now.position)}
	r.keys()
	r.directory("tenant", r.then.tenants, now.tenants, func(then, now []byte) []string {
		a, b := directory.UnpackTenant(then), directory.UnpackTenant(now)
		return lost(a.Suspended, b.Suspended, r.older && (a.Parent != b.Parent || a.Plan != b.Plan))
	})
	r.directory("principal", r.then.principals, now.principals, func(then, now []byte) []string {
		a, b := directory.UnpackPerson(then), directory.UnpackPerson(now)
		return lost(a.Suspended(), b.Suspended(), r.older && a.Revision() != b.Revision())
	})
	slices.SortFunc(r.list, func(a, b Withdrawn) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return r.list
}

// returning compares two views, of which one is to take the place of the other.
type returning struct {
	now, then *View
	older     bool
	list      []Withdrawn
}

func (r *returning) add(kind, name string, lost []string) {
	if len(lost) > 0 {
		r.list = append(r.list, Withdrawn{kind, strings.Clone(name), strings.Join(lost, ", ")})
	}
}

// keys compares keys by their secrets.
func (r *returning) keys() {
	lost := map[key.ID][]string{}
	var then, now key.Facts
	r.then.keys.rows.Each(func(row []byte) bool {
		r.then.keys.facts(row, &then)
		if then.Revoked || !r.now.Lookup(key.Digest(rowDigest(row)), &now) {
			return true
		}
		for _, what := range lostOf(&then, &now, r.older) {
			if !slices.Contains(lost[then.ID], what) {
				lost[then.ID] = append(lost[then.ID], what)
			}
		}
		return true
	})
	for id, what := range lost {
		r.add("key", id.String(), what)
	}
}

// lostOf is what a secret had lost, in words.
func lostOf(then, now *key.Facts, older bool) (lost []string) {
	add := func(is bool, what string) {
		if is {
			lost = append(lost, what)
		}
	}
	add(now.Revoked, "revoked")
	add(now.Disabled && !then.Disabled, "disabled")
	add(sooner(now.Expires, then.Expires), "expires at "+now.Expires.UTC().Format(time.RFC3339))
	add(sooner(now.Until, then.Until), "rotated")
	add(older && (then.Role != now.Role || then.Creator != now.Creator || !slices.Equal(then.Scopes, now.Scopes)), "changed in what it may do")
	return lost
}

// sooner reports whether one end comes before another; zero is never.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// directory compares tables of the directory.
func (r *returning) directory(kind string, then, now *table.Table, compare func(then, now []byte) []string) {
	then.Each(func(entry []byte) bool {
		name := directory.PackedName(entry)
		if is := now.Get(name); is != nil {
			r.add(kind, string(name), compare(entry, is))
		} else if r.older {
			r.add(kind, string(name), []string{"removed"})
		}
		return true
	})
}

// lost is what a tenant or a principal had lost, in words.
func lost(then, now, changed bool) []string {
	switch {
	case now && !then:
		return []string{"suspended"}
	case changed:
		return []string{"changed"}
	}
	return nil
}
