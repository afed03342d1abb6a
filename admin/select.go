package admin

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// checkSelection notes what is wrong with a selection and with where its page begins.
func checkSelection(wrong *mistakes, s *adminv1.KeySelection, size uint32, pageToken string) {
	if size > maxImport {
		wrong.invalid("page_size: %d is too many: ask for at most %d", size, maxImport)
	}
	if s.GetStatus() != "" && !slices.Contains(statuses, s.GetStatus()) {
		wrong.invalid("status: there is no such status: %s", nearest(s.GetStatus(), statuses))
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

// selected returns the next keys of a selection that are wanted, at most n, and
// where the next page begins: nowhere after the last.
func (s *Server) selected(ctx context.Context, w World, sel *adminv1.KeySelection, after string, n int, wanted func(*key.Record) bool) (found []*key.Record, next string, err error) {
	fits := func(asked, has string) bool { return asked == "" || asked == has }
	_, err = s.ledger.Keys(after, func(k *key.Record) bool {
		if ctx.Err() != nil {
			return false
		}
		if !fits(sel.GetPolicy(), k.Policy) || !fits(sel.GetType(), k.Type) || !fits(sel.GetTenant(), k.Tenant) ||
			!fits(sel.GetPrincipal(), k.Principal) || !fits(sel.GetCreator(), k.Creator) || !fits(sel.GetEnvironment(), k.Environment) ||
			sel.GetStatus() != "" && sel.GetStatus() != string(k.Status(w.Now)) || !wanted(k) {
			return true
		}
		if len(found) == n {
			next = found[n-1].ID
			return false
		}
		found = append(found, k)
		return true
	})
	if err == nil {
		err = ctx.Err()
	}
	return found, next, err
}
