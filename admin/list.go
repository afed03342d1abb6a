package admin

import (
	"context"
	"slices"
	"sync"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

const (
	maxPage    = 1000
	listStride = 256 // keys that are judged by one revision
)

var statuses = []string{string(key.Active), string(key.Retiring), string(key.Disabled), string(key.Expired), string(key.Revoked)}

// listKeys returns a page of the keys that fit the request and that the caller
// may list.
func (s *Server) listKeys(ctx context.Context, caller Caller, r *adminv1.ListKeysRequest) (*adminv1.ListKeysResponse, error) {
	size := int(r.GetPageSize())
	if size == 0 {
		size = maxPage
	}
	var wrong mistakes
	if size > maxPage {
		wrong.invalid("page_size: %d is too many: ask for at most %d", size, maxPage)
	}
	if r.GetStatus() != "" && !slices.Contains(statuses, r.GetStatus()) {
		wrong.invalid("status: there is no such status: %s", nearest(r.GetStatus(), statuses))
	}
	if r.GetPageToken() != "" && !keyID.MatchString(r.GetPageToken()) {
		wrong.invalid("page_token: it isn't one: give the next_page_token of the page before")
	}
	checkUnused(r, &wrong)
	if wrong != nil {
		return nil, wrong.err()
	}
	response, after := &adminv1.ListKeysResponse{}, r.GetPageToken()
	file := sync.OnceValues(s.tally) // what was counted is written down for the first stride, and not for each
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := s.candidates(r, after)
		if err != nil {
			return nil, err
		}
		keys, err := s.listable(caller, found, r, file)
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
		if len(found) < listStride {
			return response, nil
		}
		after = found[len(found)-1].ID
	}
}

// candidates returns the next keys that fit what doesn't change with time.
func (s *Server) candidates(r *adminv1.ListKeysRequest, after string) ([]*key.Record, error) {
	var found []*key.Record
	fits := func(wanted, has string) bool { return wanted == "" || wanted == has }
	_, err := s.ledger.Keys(after, func(k *key.Record) bool {
		if fits(r.GetPolicy(), k.Policy) && fits(r.GetType(), k.Type) && fits(r.GetTenant(), k.Tenant) &&
			fits(r.GetPrincipal(), k.Principal) && fits(r.GetEnvironment(), k.Environment) {
			found = append(found, k)
		}
		return len(found) < listStride
	})
	return found, err
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
