package admin

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// checkSelection notes what is wrong with a selection, and with its page: how many keys are asked for, of at most so many,
// and where it begins.
func checkSelection(wrong *mistakes, s *adminv1.KeySelection, size, most uint32, pageToken string) {
	if size > most {
		wrong.invalid("page_size: %d is too many: ask for at most %d", size, most)
	}
	if s.GetStatus() != "" && !slices.Contains(key.Statuses(), key.Status(s.GetStatus())) {
		var statuses []string
		for _, one := range key.Statuses() {
			statuses = append(statuses, string(one))
		}
		wrong.invalid("status: there is no such status: %s", instead(s.GetStatus(), statuses, ""))
	}
	if pageToken != "" && !keyID.MatchString(pageToken) {
		wrong.invalid("page_token: it isn't one: give the next_page_token of the page before")
	}
}

// selectsAll reports whether a selection names nothing.
func selectsAll(s *adminv1.KeySelection) bool {
	return proto.Equal(s, &adminv1.KeySelection{}) || s == nil
}

// pageOf is how many keys a page has at most.
func pageOf(size uint32) int {
	if size == 0 {
		return maxPage
	}
	return int(size)
}

const (
	// fewKeys is how many keys of a selection are found in memory, by all that
	// checks know of them; more are found by reading all keys in order.
	fewKeys = 20_000
	// selectScan is how many keys are read for one page, wanted or not.
	selectScan = 50_000
)

// selected returns the next keys of a selection that are wanted, at most n, and
// where the next page begins: nowhere after the last. A page may have fewer keys
// than n, or none, and not be the last, so that no page takes long.
func (s *Server) selected(ctx context.Context, w World, sel *adminv1.KeySelection, after string, n int, wanted func(*key.Record) bool) (found []*key.Record, next string, err error) {
	p := &selecting{ctx: ctx, n: n, wanted: func(k *key.Record) bool {
		return selects(sel, k.Facts()) && (sel.GetStatus() == "" || sel.GetStatus() == string(k.Status(w.Now))) && wanted(k)
	}}
	if ids, few := s.few(w, sel, after); few {
		err = s.readKeys(ids, p.add)
	} else {
		_, err = s.ledger.Keys(after, p.add)
	}
	if err == nil {
		err = ctx.Err()
	}
	return p.found, p.next, err
}

// selecting gathers the keys of a page.
type selecting struct {
	ctx    context.Context
	n      int
	wanted func(*key.Record) bool
	seen   int
	last   string
	found  []*key.Record
	next   string
}

// add looks at a key, and reports whether there is room for another.
func (p *selecting) add(k *key.Record) bool {
	if len(p.found) == p.n || p.seen == selectScan {
		p.next = p.last
		return false
	}
	if p.seen++; p.wanted(k) {
		p.found = append(p.found, k)
	}
	p.last = k.ID
	return p.ctx.Err() == nil
}

// selects reports whether a key is of a selection, but for its status.
func selects(sel *adminv1.KeySelection, f *key.Facts) bool {
	fits := func(asked, has string) bool { return asked == "" || asked == has }
	return fits(sel.GetPolicy(), f.Policy) && fits(sel.GetType(), f.Type) && fits(sel.GetTenant(), f.Tenant) &&
		fits(sel.GetPrincipal(), f.Principal) && fits(sel.GetCreator(), f.Creator) && fits(sel.GetEnvironment(), f.Environment)
}

// few returns the ids of a selection that follow one, in order, unless they are
// many, or nothing is asked for that memory knows.
func (s *Server) few(w World, sel *adminv1.KeySelection, after string) (ids []string, few bool) {
	static := proto.CloneOf(sel)
	if static != nil {
		static.Status = ""
	}
	status := key.Status(sel.GetStatus())
	if !current[status] {
		status = ""
	}
	if selectsAll(static) && status == "" {
		return nil, false
	}
	few = true
	s.ledger.Facts(func(f *key.Facts) bool {
		if selects(sel, f) && (status == "" || status == f.Status(w.Now)) {
			if id := f.ID.String(); id > after {
				ids = append(ids, id)
			}
		}
		few = len(ids) <= fewKeys
		return few
	})
	slices.Sort(ids)
	return ids, few
}

// current are the statuses of keys that the current secret alone tells. Whether a
// key is active or retiring is up to the secrets before it.
var current = map[key.Status]bool{key.Disabled: true, key.Expired: true, key.Revoked: true}

// readKeys calls f with the keys of these ids, until it returns false.
func (s *Server) readKeys(ids []string, f func(*key.Record) bool) error {
	for some := range slices.Chunk(ids, listStride) {
		var read []*key.Record
		var err error
		s.ledger.View(func(v *storage.View) {
			for _, id := range some {
				r, unread := v.Key(id)
				if err = unread; err != nil {
					return
				}
				if r != nil {
					read = append(read, r)
				}
			}
		})
		if err != nil {
			return err
		}
		if len(read) < len(some) {
			for _, id := range some {
				if err := s.ledger.Missing(id); err != nil {
					return err
				}
			}
		}
		for _, r := range read {
			if !f(r) {
				return nil
			}
		}
	}
	return nil
}
