package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// people is the directory as it was acknowledged last: tenants and principals
// by their names, which differ by their kinds.
type people map[string]proto.Message

// read makes the objects of a directory comparable.
func read(d *directoryv1.Directory) people {
	p := people{}
	for _, t := range d.GetTenants() {
		p[t.GetId()] = t
	}
	for _, one := range d.GetPrincipals() {
		p[one.GetId()] = one
	}
	return p
}

func (p people) directory() *directoryv1.Directory {
	d := &directoryv1.Directory{}
	for _, id := range slices.Sorted(maps.Keys(p)) {
		switch o := p[id].(type) {
		case *directoryv1.Tenant:
			d.Tenants = append(d.Tenants, o)
		case *directoryv1.Principal:
			d.Principals = append(d.Principals, o)
		}
	}
	return d
}

// active reports whether a tenant or a principal is there and not suspended.
func (p people) active(id string) bool {
	o, ok := p[id].(interface{ GetStatus() string })
	return ok && o.GetStatus() != "suspended"
}

// at returns an object as it was first seen at a revision.
func at(o proto.Message, revision uint64) proto.Message {
	switch o := proto.Clone(o).(type) {
	case *directoryv1.Tenant:
		o.Revision = revision
		return o
	case *directoryv1.Principal:
		o.Revision = revision
		return o
	}
	return nil
}

// firstPeople is the directory that a history begins with.
func firstPeople(writers []*writer) people {
	p := people{
		"organisation:all": &directoryv1.Tenant{Id: "organisation:all", Status: "active"},
		"team:home":        &directoryv1.Tenant{Id: "team:home", Status: "active"},
	}
	everything := listOf([]string{"agent.create", "agent.delete", "agent.read", "agent.update", "content.read", "content.update", "content.upload"})
	for _, id := range creators {
		p[id] = &directoryv1.Principal{Id: id, Status: "active", Permissions: map[string]*structpb.ListValue{}}
	}
	for _, w := range writers {
		for n := range owners + 1 {
			owner := w.owner(n)
			for _, kind := range []string{"team", "org", "project"} {
				p[kind+":"+owner] = tenantOf(kind, owner)
			}
			p["user:"+owner] = &directoryv1.Principal{Id: "user:" + owner, Status: "active", Memberships: map[string]string{"team:home": "OWNER"}}
			for _, id := range creators {
				p[id].(*directoryv1.Principal).Permissions["org:"+owner] = everything
			}
		}
	}
	return p
}

func tenantOf(kind, owner string) *directoryv1.Tenant {
	t := &directoryv1.Tenant{Id: kind + ":" + owner, Plan: "growth", Status: "active"}
	if kind == "project" {
		t.Parent = "organisation:all"
	}
	return t
}

// peopleWrite changes several objects of the directory in one write.
type peopleWrite struct {
	name  string
	h     *history
	next  people // what it names; a nil one is removed
	prune bool

	position *adminv1.Position
}

func (c *peopleWrite) kind() string { return c.name }

func (c *peopleWrite) call(ctx context.Context, v *victim) error {
	q := &adminv1.ApplyDirectoryRequest{Prune: c.prune, Force: c.prune}
	whole := c.next
	if c.prune {
		whole = maps.Clone(c.h.people)
		maps.Copy(whole, c.next)
		maps.DeleteFunc(whole, func(_ string, o proto.Message) bool { return o == nil })
	}
	q.Directory = whole.directory()
	answer, err := v.dir.ApplyDirectory(ctx, connect.NewRequest(q))
	if err != nil {
		return err
	}
	a := answer.Msg
	if n := len(a.GetAdded()) + len(a.GetChanged()) + len(a.GetRemoved()); n != len(c.next) {
		return fmt.Errorf("%s: %d objects changed and %d should", c.name, n, len(c.next))
	}
	c.position = a.GetPosition()
	return nil
}

func (c *peopleWrite) acked() (*adminv1.Position, error) {
	c.adopt(c.position.GetRevision())
	return c.position, nil
}

func (c *peopleWrite) adopt(revision uint64) {
	for id, o := range c.next {
		if o == nil {
			delete(c.h.people, id)
		} else {
			c.h.people[id] = at(o, revision)
		}
	}
}

// found compares the objects one by one. That the rest is as it was is seen
// when the whole directory is compared.
func (c *peopleWrite) found(ctx context.Context, v *victim) (bool, error) {
	answer, err := v.dir.GetDirectory(ctx, connect.NewRequest(&adminv1.GetDirectoryRequest{}))
	if err != nil {
		return false, err
	}
	there := read(answer.Msg.GetDirectory())
	var done, undone []string
	revisions := map[uint64]bool{}
	for id, want := range c.next {
		got := there[id]
		if same(got, c.h.people[id]) {
			undone = append(undone, id)
			continue
		}
		revision := uint64(0)
		if got != nil {
			revision = got.(interface{ GetRevision() uint64 }).GetRevision()
			revisions[revision] = true
		}
		if (want == nil) != (got == nil) || want != nil && !proto.Equal(got, at(want, revision)) {
			return false, fmt.Errorf("HALF: %s made %v of %v and should make %v", c.name, got, c.h.people[id], want)
		}
		done = append(done, id)
	}
	if len(done) == 0 {
		return false, nil
	}
	if len(undone) > 0 || len(revisions) > 1 {
		return false, fmt.Errorf("HALF: %s changed %v and not %v, at %d revisions", c.name, done, undone, len(revisions))
	}
	for revision := range revisions {
		c.adopt(revision)
	}
	if len(revisions) == 0 {
		c.adopt(0) // removals alone
	}
	return true, nil
}

// same compares objects that may not be there.
func same(a, b proto.Message) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return proto.Equal(a, b)
}

// changePeople makes up a write of the directory. Only owners of keys that
// nobody writes to are changed, so that every other write stays possible.
func (h *history) changePeople(w *writer) write {
	r := w.rand
	owner := h.still.owner(r.IntN(owners))
	c := &peopleWrite{h: h, next: people{}}
	id := []string{"user:", "team:", "org:", "project:"}[r.IntN(4)] + owner
	what, _, _ := strings.Cut(id, ":")
	if what != "user" {
		what = "tenant"
	}
	p := r.IntN(10)
	if h.people[id] == nil {
		p = 9
	}
	switch {
	case p < 5: // suspended, or not any more
		o := proto.Clone(h.people[id])
		status := "suspended"
		c.name = "suspend " + what
		if !h.people.active(id) {
			status, c.name = "active", "resume "+what
		}
		switch o := o.(type) {
		case *directoryv1.Tenant:
			o.Status = status
		case *directoryv1.Principal:
			o.Status = status
		}
		c.next[id] = o
	case p < 7: // removed, one or several; what else is in the same write is made anew
		c.name, c.prune = "remove from directory", true
		c.next[id] = nil
		for range r.IntN(3) {
			if other := "user:" + h.still.owner(r.IntN(owners)); h.people[other] != nil {
				c.next[other] = nil
			}
		}
		if r.IntN(2) == 0 {
			if other := "org:" + h.still.owner(r.IntN(owners)); h.people[other] != nil && other != id {
				c.next[other] = h.different(other, w)
			}
		}
	default: // several at once
		c.name = "directory apply"
		c.next[id] = h.different(id, w)
		for range 1 + r.IntN(5) {
			other := []string{"user:", "team:", "org:", "project:"}[r.IntN(4)] + h.still.owner(r.IntN(owners))
			c.next[other] = h.different(other, w)
		}
	}
	return c
}

// different returns an object as it is not now, active and with all that its
// keys need.
func (h *history) different(id string, w *writer) proto.Message {
	kind, owner, _ := strings.Cut(id, ":")
	mark := w.unique()
	if kind != "user" {
		t := tenantOf(kind, owner)
		t.Plan = mark
		return t
	}
	return &directoryv1.Principal{
		Id: id, Status: "active", Memberships: map[string]string{"team:home": "OWNER", "team:" + mark: "MEMBER"},
		Permissions: map[string]*structpb.ListValue{"org:" + mark: listOf([]string{"agent.read", "content.read"})},
	}
}
