package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	// logScan and logScanBytes are how much of the log is read for one page, wanted or not.
	logScan      = 20_000
	logScanBytes = 64 << 20
	// logObjects is how many objects a page names before it ends. An entry is told whole.
	logObjects = 50_000
)

// ownActions are what this package's writes are recorded as.
var ownActions = []string{
	"directory.apply", "keys.create", "keys.disable", "keys.enable", "keys.import", "keys.revoke", "keys.rotate", "keys.update",
	"policies.apply", "policies.remove",
}

// Actions returns what entries of the log may be recorded as, by name.
func Actions() []string {
	return slices.Sorted(slices.Values(slices.Concat(ownActions, storage.Actions())))
}

// listEntries returns a page of the log. It tells of all tenants, so it is the
// operator's alone.
func (s *Server) listEntries(ctx context.Context, _ Caller, r *adminv1.ListEntriesRequest) (*adminv1.ListEntriesResponse, error) {
	l, err := s.checkEntries(r)
	if err != nil {
		return nil, err
	}
	p := &entriesPage{ctx: ctx, asked: r, world: l.World, size: int(cmp.Or(r.GetPageSize(), maxPage)), out: &adminv1.ListEntriesResponse{}}
	oldest, err := s.ledger.History(r.GetBefore(), p.add)
	if err := cmp.Or(err, ctx.Err()); err != nil {
		return nil, err
	}
	p.out.OldestRevision, p.out.OldestAt = oldest.Revision, timestamp(oldest.At)
	return p.out, nil
}

// checkEntries says what is wrong with a request for entries. It doesn't repeat the name of an object: people paste
// tokens where an id is asked for.
func (s *Server) checkEntries(r *adminv1.ListEntriesRequest) (*lookup, error) {
	object := r.GetObject()
	isKey := strings.HasPrefix(object, "key_")
	there := true
	var unread error
	l, err := s.look(func(v *storage.View, _ *lookup) {
		if isKey && keyID.MatchString(object) {
			var k *key.Record
			k, unread = v.Key(object)
			there = k != nil
		}
	})
	if err := cmp.Or(err, unread); err != nil {
		return nil, err
	}
	var wrong mistakes
	switch {
	case isKey && !keyID.MatchString(object):
		wrong.add(UnknownKey(object))
	case !there:
		wrong.add(cmp.Or(s.ledger.Missing(object), UnknownKey(object)))
	case object != "" && (!isName(object) || l.token(object)):
		wrong.invalid("object: that is no name that one can have: give the id of a key, or the name of a tenant, a principal or a policy")
	}
	if a := r.GetAction(); a != "" && !slices.ContainsFunc(Actions(), func(known string) bool { return isAction(known, a) }) {
		wrong.invalid("action: there is no such action: %s", nearest(a, Actions()))
	}
	if d := r.GetSince(); d != nil && (d.CheckValid() != nil || d.AsDuration() <= 0) {
		wrong.invalid("since: it must be more than 0")
	}
	if r.GetPageSize() > maxPage {
		wrong.invalid("page_size: %d is too many: ask for at most %d", r.GetPageSize(), maxPage)
	}
	return l, wrong.err()
}

// isName reports whether text has the form of a name: of a policy, or with its kind of a tenant or a principal.
func isName(text string) bool { return directory.ValidName(text) || directory.CheckID(text) == nil }

// isAction reports whether an action is the one that is asked for, or of that group.
func isAction(action, asked string) bool {
	return asked == "" || action == asked || strings.HasPrefix(action, asked+".")
}

// entriesPage gathers the entries of a page.
type entriesPage struct {
	ctx     context.Context
	asked   *adminv1.ListEntriesRequest
	world   World
	size    int
	seen    int
	bytes   int
	objects int
	last    uint64 // that was looked at
	out     *adminv1.ListEntriesResponse
}

// add looks at an entry, and reports whether there is room for another.
func (p *entriesPage) add(e *logv1.Entry) bool {
	if p.ctx.Err() != nil {
		return false
	}
	// No time in the log is before that of the entry before it.
	if since := p.asked.GetSince(); since != nil && e.GetAt().AsTime().Before(p.world.Now.Add(-since.AsDuration())) {
		return false
	}
	if len(p.out.GetEntries()) == p.size || p.objects >= logObjects || p.seen == logScan || p.bytes >= logScanBytes {
		p.out.NextBefore = p.last
		return false
	}
	p.seen++
	p.last = e.GetRevision()
	for _, o := range e.GetPuts() {
		p.bytes += len(o.GetValue())
	}
	if p.wants(e) {
		p.objects += len(e.GetPuts())
		p.out.Entries = append(p.out.Entries, p.world.shownEntry(e))
	}
	return true
}

// wants reports whether an entry is of those that were asked for.
func (p *entriesPage) wants(e *logv1.Entry) bool {
	named := func(o *logv1.Put) bool { return o.GetName() == p.asked.GetObject() }
	return isAction(e.GetAction(), p.asked.GetAction()) && (p.asked.GetActing() == "" || p.asked.GetActing() == e.GetActing()) &&
		(p.asked.GetObject() == "" || slices.ContainsFunc(e.GetPuts(), named))
}

// shownEntry is an entry as people see it. What is written of objects stays out but for their status; a note may hold a token
// that was none when it was written.
func (w World) shownEntry(e *logv1.Entry) *adminv1.LogEntry {
	m := &adminv1.LogEntry{
		Revision: e.GetRevision(), Epoch: e.GetEpoch(), At: e.GetAt(), Action: e.GetAction(),
		Operator: e.GetOperator(), Acting: e.GetActing(), Note: w.scrub(e.GetNote()),
	}
	for _, o := range e.GetPuts() {
		m.Objects = append(m.Objects, &adminv1.LogObject{Kind: kindNames[o.GetKind()], Name: o.GetName(), Status: statusAfter(o, e.GetAt().AsTime())})
	}
	return m
}

var kindNames = map[logv1.Kind]string{
	logv1.Kind_KIND_KEY: "key", logv1.Kind_KIND_TENANT: "tenant", logv1.Kind_KIND_PRINCIPAL: "principal", logv1.Kind_KIND_POLICY: "policy",
}

// statusAfter is what an object was at the time when it was written, and empty where that can't be told: the log is
// shown as it is.
func statusAfter(o *logv1.Put, at time.Time) string {
	if o.GetRemoved() {
		return "removed"
	}
	suspended, err := false, error(nil)
	switch o.GetKind() {
	case logv1.Kind_KIND_KEY:
		var k *key.Record
		if k, err = read(o, &keyv1.Record{}, key.FromProto); err == nil {
			return string(k.Status(at))
		}
	case logv1.Kind_KIND_TENANT:
		var t *directory.Tenant
		if t, err = read(o, &directoryv1.Tenant{}, directory.TenantFromProto); err == nil {
			suspended = t.Suspended
		}
	case logv1.Kind_KIND_PRINCIPAL:
		var p *directory.Principal
		if p, err = read(o, &directoryv1.Principal{}, directory.PrincipalFromProto); err == nil {
			suspended = p.Suspended
		}
	}
	switch {
	case err != nil:
		return ""
	case suspended:
		return "suspended"
	}
	return "active"
}

// read reads an object as it is stored.
func read[M proto.Message, T any](o *logv1.Put, m M, from func(M) (*T, error)) (*T, error) {
	if err := proto.Unmarshal(o.GetValue(), m); err != nil {
		return nil, err
	}
	return from(m)
}
