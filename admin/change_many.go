package admin

import (
	"context"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
)

// changeKeys does one thing to the next keys of a selection, and writes all of
// them at once: a hundred thousand keys take as many disk writes as they have
// pages. A key that can't be changed is told and holds up no other.
func (s *Server) changeKeys(ctx context.Context, caller Caller, r *adminv1.ChangeKeysRequest) (*adminv1.ChangeKeysResponse, error) {
	c, err := manyChange(caller, r)
	if err != nil {
		return nil, err
	}
	if err := s.checkKnown(caller, r.GetSelection(), r.GetPageToken()); err != nil {
		return nil, err
	}
	s.world.RLock()
	defer s.world.RUnlock()
	var response *adminv1.ChangeKeysResponse
	err = again(ctx, func() error {
		p, err := s.page(ctx, caller, c, r)
		if err != nil {
			return err
		}
		response = &adminv1.ChangeKeysResponse{NextPageToken: p.next}
		write := storage.Change{Operator: caller.Operator, Acting: caller.Acting, Action: "keys." + c.action, Note: c.note}
		for _, old := range p.keys {
			if p.Permit(caller, "list", old) != nil {
				continue // there is no such key for whoever asks
			}
			t, err := p.transit(caller, c, old)
			switch {
			case err != nil:
				response.Refusals = append(response.Refusals, &adminv1.KeyRefusal{Id: old.ID, Message: p.scrub(err.Error())})
			case t.next != old:
				write.Keys = append(write.Keys, t.next)
			}
		}
		at := p.at
		if !c.dryRun && len(write.Keys) > 0 {
			if at, err = s.ledger.Commit(ctx, write); err != nil {
				return err
			}
		}
		response.Changed, response.Position = uint32(len(write.Keys)), position(at)
		for _, next := range write.Keys {
			if r.GetOmitKeys() {
				break
			}
			k := p.shown(next)
			if !c.dryRun {
				k.Revision = at.Revision
			}
			response.Keys = append(response.Keys, k)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// manyChange reads what is to be done to each key.
func manyChange(caller Caller, r *adminv1.ChangeKeysRequest) (change, error) {
	var wrong mistakes
	checkSelection(&wrong, r.GetSelection(), r.GetPageSize(), maxImport, r.GetPageToken())
	if selectsAll(r.GetSelection()) {
		wrong.invalid("selection: it names nothing: say which keys, at least by their policy")
	}
	var c change
	switch as := r.GetChange().(type) {
	case *adminv1.ChangeKeysRequest_Revoke:
		c = revoking(caller, as.Revoke)
	case *adminv1.ChangeKeysRequest_Disable:
		c = switching(caller, "disable", "", false, (*key.Record).Disable)
	case *adminv1.ChangeKeysRequest_Enable:
		c = switching(caller, "enable", "", false, (*key.Record).Enable)
	case *adminv1.ChangeKeysRequest_Update:
		if c = updating(caller, as.Update); as.Update.Name != nil {
			wrong.invalid("update: name: many keys can't have one name: name them one by one")
		}
	default:
		wrong.invalid("change: it is missing: say what is to be done")
	}
	c.dryRun = r.GetDryRun()
	return c, wrong.err()
}

// page is some keys of a selection that aren't revoked, with whoever has to do
// with them.
type page struct {
	*lookup
	keys []*key.Record
	next string
}

func (s *Server) page(ctx context.Context, caller Caller, c change, r *adminv1.ChangeKeysRequest) (*page, error) {
	l, err := s.look(nil)
	if err != nil {
		return nil, err
	}
	p := &page{}
	p.keys, p.next, err = s.selected(ctx, l.World, r.GetSelection(), r.GetPageToken(), pageOf(r.GetPageSize()), func(k *key.Record) bool { return k.Revoked.IsZero() })
	if err != nil {
		return nil, err
	}
	if p.lookup, err = s.look(func(v *storage.View, l *lookup) {
		l.book.principal(v, caller.Acting)
		for _, k := range p.keys {
			l.book.around(v, k)
		}
		if c.look != nil {
			c.look(v, l)
		}
	}); err != nil {
		return nil, err
	}
	return p, p.acting(caller)
}
