package admin

import (
	"cmp"
	"context"
	"sync"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	maxPage    = 1000
	listStride = 256 // keys that are judged by one revision
)

// listKeys returns a page of the keys that fit the request and that the caller
// may list.
func (s *Server) listKeys(ctx context.Context, caller Caller, r *adminv1.ListKeysRequest) (*adminv1.ListKeysResponse, error) {
	sel := &adminv1.KeySelection{
		Policy: r.GetPolicy(), Type: r.GetType(), Tenant: r.GetTenant(), Principal: r.GetPrincipal(), Environment: r.GetEnvironment(), Status: r.GetStatus(),
	}
	var wrong mistakes
	checkSelection(&wrong, sel, r.GetPageSize(), maxPage, r.GetPageToken())
	checkUnused(r, &wrong)
	if wrong != nil {
		return nil, wrong.err()
	}
	if err := s.checkKnown(caller, sel, r.GetPageToken()); err != nil {
		return nil, err
	}
	size := int(cmp.Or(r.GetPageSize(), maxPage))
	l, err := s.look(nil)
	if err != nil {
		return nil, err
	}
	response, found := &adminv1.ListKeysResponse{}, s.candidates(l.World, sel, r.GetPageToken())
	file := sync.OnceValues(s.tally) // what was counted is written down for the first stride, and not for each
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some, last, err := found.next()
		if err != nil {
			return nil, err
		}
		keys, err := s.listable(caller, some, r, file)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if len(response.Keys) == size {
				response.NextPageToken = response.Keys[size-1].Id
				return response, nil
			}
			response.Keys = append(response.Keys, k)
		}
		if last {
			return response, nil
		}
	}
}

// candidates are the keys that fit what is asked for, but for what changes with
// time, some after the other.
type candidates struct {
	s   *Server
	sel *adminv1.KeySelection

	few   bool
	ids   []string // that are left, of few
	after string   // the last, of many
}

func (s *Server) candidates(w World, sel *adminv1.KeySelection, after string) *candidates {
	c := &candidates{s: s, sel: sel, after: after}
	c.ids, c.few = s.few(w, c.sel, c.after)
	return c
}

// next returns the next candidates, and whether they are the last.
func (c *candidates) next() (found []*key.Record, last bool, err error) {
	if c.few {
		some := c.ids[:min(len(c.ids), listStride)]
		c.ids = c.ids[len(some):]
		err = c.s.readKeys(some, func(k *key.Record) bool { found = append(found, k); return true })
		return found, len(c.ids) == 0, err
	}
	_, err = c.s.ledger.Keys(c.after, func(k *key.Record) bool {
		if selects(c.sel, k.Facts()) {
			found = append(found, k)
		}
		return len(found) < listStride
	})
	if len(found) > 0 {
		c.after = found[len(found)-1].ID
	}
	return found, len(found) < listStride, err
}

// listable shows those of the keys that have the status, that weren't used for
// as long as is asked for, and that the caller may list.
func (s *Server) listable(caller Caller, keys []*key.Record, asked *adminv1.ListKeysRequest, file usageFile) ([]*adminv1.Key, error) {
	l, err := s.look(func(v *storage.View, l *lookup) {
		l.book.principal(v, caller.Acting)
		if caller.Acting != "" {
			for _, r := range keys {
				l.book.around(v, r)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if err := l.acting(caller); err != nil {
		return nil, err
	}
	var shown []*adminv1.Key
	var of []*key.Record
	status := asked.GetStatus()
	for _, r := range keys {
		if (status == "" || status == string(r.Status(l.Now))) && l.Permit(caller, "list", r) == nil {
			shown, of = append(shown, l.shown(r)), append(of, r)
		}
	}
	return unused(file, shown, of, asked, l.Now)
}
