package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	"github.com/latchkey/latchkey/storage"
)

// getDirectory returns the directory, or what of it was asked for.
func (s *Server) getDirectory(_ context.Context, _ Caller, r *adminv1.GetDirectoryRequest) (*adminv1.GetDirectoryResponse, error) {
	tenants, principals, _ := s.ledger.Directory()
	d := &directoryv1.Directory{}
	wanted := func(id string, have int) bool {
		return strings.HasPrefix(id, r.GetPrefix()) && (r.GetLimit() == 0 || have < int(r.GetLimit()))
	}
	for _, t := range tenants {
		if wanted(t.ID, len(d.Tenants)) {
			d.Tenants = append(d.Tenants, t.ToProto())
		}
	}
	for _, p := range principals {
		if wanted(p.ID, len(d.Principals)) {
			d.Principals = append(d.Principals, p.ToProto())
		}
	}
	return &adminv1.GetDirectoryResponse{Directory: d}, nil
}

// applyDirectory replaces tenants and principals, each whole, and with prune
// removes those that aren't named.
func (s *Server) applyDirectory(ctx context.Context, caller Caller, r *adminv1.ApplyDirectoryRequest) (*adminv1.ApplyDirectoryResponse, error) {
	s.world.Lock()
	defer s.world.Unlock()
	var response *adminv1.ApplyDirectoryResponse
	err := again(ctx, func() error {
		l, stored, err := s.storedDirectory()
		if err != nil {
			return err
		}
		a := apply{World: l.World, stored: stored, response: &adminv1.ApplyDirectoryResponse{}}
		a.read(r.GetDirectory())
		if r.GetPrune() {
			a.prune()
		}
		if !a.unread {
			a.checkParents()
			if !r.GetForce() {
				a.wrong.add(s.checkHanging(l, a.write.RemoveTenants, a.write.RemovePrincipals))
			}
		}
		if err := a.wrong.err(); err != nil {
			return err
		}
		a.warn(r.GetDirectory())
		response = a.response
		response.Position = position(l.at)
		slices.Sort(response.Added)
		slices.Sort(response.Changed)
		if len(response.Added)+len(response.Changed)+len(response.Removed) == 0 || r.GetDryRun() {
			return nil
		}
		a.write.Operator, a.write.Acting, a.write.Action, a.write.Based = caller.Operator, caller.Acting, "directory.apply", l.at
		at, err := s.ledger.Commit(ctx, a.write)
		response.Position = position(at)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// storedDirectory returns the whole directory, and the policies of the same revision.
func (s *Server) storedDirectory() (*lookup, book, error) {
	tenants, principals, at := s.ledger.Directory()
	l, err := s.look(nil)
	if err != nil {
		return nil, book{}, err
	}
	if l.at != at {
		return nil, book{}, fmt.Errorf("the directory: %w", key.ErrConflict)
	}
	stored := book{make(map[string]*directory.Tenant, len(tenants)), make(map[string]*directory.Principal, len(principals))}
	for _, t := range tenants {
		stored.tenants[t.ID] = t
	}
	for _, p := range principals {
		stored.principals[p.ID] = p
	}
	return l, stored, nil
}

// apply is a directory file on its way into the store.
type apply struct {
	World
	stored   book
	next     book // the directory as it will be
	named    map[string]bool
	write    storage.Change
	response *adminv1.ApplyDirectoryResponse
	wrong    mistakes
	unread   bool // objects couldn't be read, so that what is whose parent isn't known
}

// read checks each object and notes what changes.
func (a *apply) read(d *directoryv1.Directory) {
	a.next = book{maps.Clone(a.stored.tenants), maps.Clone(a.stored.principals)}
	a.named = map[string]bool{}
	for _, p := range d.GetTenants() {
		t, err := directory.TenantFromProto(p)
		if a.twice("tenants", p.GetId(), err) {
			continue
		}
		a.checkTenant(t)
		old := a.stored.tenants[t.ID]
		t.Revision = 0
		if old != nil {
			t.Revision = old.Revision
		}
		a.next.tenants[t.ID] = t
		if a.differs(t.ID, old == nil, old != nil && *old == *t) {
			a.write.Tenants = append(a.write.Tenants, t)
		}
	}
	for _, p := range d.GetPrincipals() {
		who, err := directory.PrincipalFromProto(p)
		if a.twice("principals", p.GetId(), err) {
			continue
		}
		a.checkPrincipal(who)
		old := a.stored.principals[who.ID]
		who.Revision = 0
		if old != nil {
			who.Revision = old.Revision
		}
		a.next.principals[who.ID] = who
		if a.differs(who.ID, old == nil, old != nil && samePrincipal(old, who)) {
			a.write.Principals = append(a.write.Principals, who)
		}
	}
}

// twice notes an object that is wrong by itself, or named twice.
func (a *apply) twice(section, id string, err error) bool {
	if err != nil {
		a.wrong.invalid("%s", a.scrubLoose(err.Error()))
		a.unread = true
		return true
	}
	if a.named[section+" "+id] {
		a.wrong.invalid("%s: %s is named twice: take one out", section, id)
		return true
	}
	a.named[section+" "+id] = true
	return false
}

// differs counts an object, and reports whether it is to be written.
func (a *apply) differs(id string, isNew, same bool) bool {
	switch {
	case isNew:
		a.response.Added = append(a.response.Added, id)
	case same:
		a.response.Unchanged++
		return false
	default:
		a.response.Changed = append(a.response.Changed, id)
	}
	return true
}

// prune removes what isn't named.
func (a *apply) prune() {
	for _, id := range slices.Sorted(maps.Keys(a.stored.tenants)) {
		if !a.named["tenants "+id] {
			delete(a.next.tenants, id)
			a.write.RemoveTenants = append(a.write.RemoveTenants, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.stored.principals)) {
		if !a.named["principals "+id] {
			delete(a.next.principals, id)
			a.write.RemovePrincipals = append(a.write.RemovePrincipals, id)
		}
	}
	a.response.Removed = slices.Concat(a.write.RemoveTenants, a.write.RemovePrincipals)
	slices.Sort(a.response.Removed)
}

// checkParents checks the parents of all tenants, as they will be.
func (a *apply) checkParents() {
	if err := directory.CheckTree(a.next, slices.Sorted(maps.Keys(a.next.tenants))); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			a.wrong.invalid("%s", line)
		}
	}
}

// samePrincipal compares principals but for the order of their permissions.
func samePrincipal(a, b *directory.Principal) bool {
	return a.Suspended == b.Suspended && maps.Equal(a.Memberships, b.Memberships) &&
		maps.EqualFunc(a.Permissions, b.Permissions, func(x, y []string) bool { return slices.Equal(sorted(x), sorted(y)) })
}
