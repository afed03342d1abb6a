package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/storage"
)

// attempts is how often a write is tried that others keep overtaking.
const attempts = 32

// again tries a write until it meets no conflict.
func again(ctx context.Context, write func() error) error {
	var err error
	for range attempts {
		if err = write(); !errors.Is(err, key.ErrConflict) && !errors.Is(err, key.ErrDuplicate) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("others kept changing the same: %w", err)
}

// transition is what an operation makes of a key: the key itself where nothing
// changes.
type transition struct {
	next   *key.Record
	token  *key.Token // the new one, where there is one
	reveal bool       // whether the store keeps it
}

// change is one operation on one key.
type change struct {
	action string // as rules know it: rotate
	id     string
	note   string
	dryRun bool
	look   func(v *storage.View, l *lookup) // what the decision needs beside the key; may be nil
	decide func(l *lookup, r *key.Record) (transition, error)
}

// changed is a key after an operation.
type changed struct {
	*lookup
	transition
}

// transit decides what becomes of a key. Who may do it is asked first of the
// key as it is, and then of the key as it would become.
func (l *lookup) transit(caller Caller, c change, r *key.Record) (transition, error) {
	if err := l.Permit(caller, c.action, r); err != nil {
		return transition{}, err
	}
	t, err := c.decide(l, r)
	if err != nil || t.next == r {
		return t, err
	}
	return t, l.Permit(caller, c.action, t.next)
}

// change decides and commits until both were about the same key.
func (s *Server) change(ctx context.Context, caller Caller, c change) (*changed, error) {
	s.world.RLock()
	defer s.world.RUnlock()
	var out *changed
	err := again(ctx, func() error {
		l, r, err := s.find(caller, c.id, c.look)
		if err != nil {
			return err
		}
		t, err := l.transit(caller, c, r)
		if err != nil {
			return err
		}
		out = &changed{l, t}
		if t.next == r {
			return nil
		}
		if c.dryRun {
			out.token = nil
			return nil
		}
		write := storage.Change{
			Operator: caller.Operator, Acting: caller.Acting, Action: "keys." + c.action, Note: c.note,
			Keys: []*key.Record{t.next},
		}
		if t.reveal {
			write.Reveal = map[string]key.Token{t.next.ID: *t.token}
		}
		if out.at, err = s.ledger.Commit(ctx, write); err != nil {
			return err
		}
		out.next = t.next.Clone()
		out.next.Revision = out.at.Revision
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// find looks up a key, and whoever has to do with it.
func (s *Server) find(caller Caller, id string, more func(v *storage.View, l *lookup)) (*lookup, *key.Record, error) {
	var r *key.Record
	var unread error
	l, err := s.look(func(v *storage.View, l *lookup) {
		l.book.principal(v, caller.Acting)
		if r, unread = v.Key(id); r != nil {
			l.book.around(v, r)
		}
		if more != nil {
			more(v, l)
		}
	})
	if err := errors.Join(err, unread); err != nil {
		return nil, nil, err
	}
	if err := l.acting(caller); err != nil {
		return nil, nil, err
	}
	if r == nil {
		return nil, nil, cmp.Or(s.ledger.Missing(id), UnknownKey(id))
	}
	return l, r, nil
}

var keyID = regexp.MustCompile(`^key_[0-9a-f]{32}$`)

// UnknownKey returns ErrAbsent, which says that no key has an id. What isn't an id is not repeated: it
// may well be a token.
func UnknownKey(id string) error {
	if keyID.MatchString(id) {
		return absent("no key has the id %s: see `latchkey keys list`", id)
	}
	return absent("id: that is not the id of a key, which is key_ and 32 hex digits: see `latchkey keys list`")
}
