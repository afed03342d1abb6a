package e2e

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// newKeys is a write that makes keys: one by a create, or many by an import.
type newKeys struct {
	name  string
	w     *writer
	kinds []*keyKind
	keys  []*adminv1.ImportKey // of a create without a token

	sent time.Time
	got  []*adminv1.Key
	at   *adminv1.Position
}

func (c *newKeys) kind() string { return c.name }

func (w *writer) create(owner string) *newKeys {
	c := w.batch(1, func() string { return owner })
	c.name, c.keys[0].Token = "create", ""
	return c
}

// batch is an import of n keys.
func (w *writer) batch(n int, owner func() string) *newKeys {
	c := &newKeys{name: "import", w: w}
	for range n {
		kind := keyKinds[w.rand.IntN(len(keyKinds))]
		c.add(kind, kind.fields(w.rand, owner(), w.unique()))
	}
	return c
}

func (c *newKeys) add(kind *keyKind, f *adminv1.KeyFields) {
	k := &adminv1.ImportKey{Key: f, Token: kind.token(c.w.rand)}
	if kind.chosen != nil {
		k.Creator = creators[c.w.rand.IntN(len(creators))]
	}
	c.kinds, c.keys = append(c.kinds, kind), append(c.keys, k)
}

func (c *newKeys) call(ctx context.Context, v *victim) error {
	c.sent = time.Now()
	if c.name == "create" {
		a, err := v.keys.CreateKey(ctx, connect.NewRequest(&adminv1.CreateKeyRequest{As: c.keys[0].GetCreator(), Key: c.keys[0].GetKey()}))
		if err == nil {
			c.got, c.at = []*adminv1.Key{a.Msg.GetKey()}, a.Msg.GetPosition()
		}
		return err
	}
	a, err := v.keys.ImportKeys(ctx, connect.NewRequest(&adminv1.ImportKeysRequest{Keys: c.keys}))
	if err == nil {
		c.got, c.at = a.Msg.GetKeys(), a.Msg.GetPosition()
		for _, m := range a.Msg.GetMistakes() {
			c.w.h.t.Errorf("import of %s: %s", c.keys[m.GetIndex()].GetKey().GetName(), m.GetMessage())
		}
	}
	return err
}

func (c *newKeys) acked() (*adminv1.Position, error) {
	if len(c.got) != len(c.keys) {
		return nil, fmt.Errorf("%s: %d of %d keys are acknowledged", c.name, len(c.got), len(c.keys))
	}
	for i, got := range c.got {
		token := c.keys[i].GetToken()
		if c.name == "create" {
			token, got.Token = got.GetToken(), ""
		}
		if got.GetRevision() != c.at.GetRevision() {
			return nil, fmt.Errorf("%s: a key says revision %d, the write %d", c.name, got.GetRevision(), c.at.GetRevision())
		}
		if err := c.adopt(i, got, token); err != nil {
			return nil, err
		}
	}
	return c.at, nil
}

// found looks for the keys by their names, which are unique. All of them are
// there, at one revision, or none.
func (c *newKeys) found(ctx context.Context, v *victim) (bool, error) {
	there := map[string]*adminv1.Key{}
	listed := map[string]bool{}
	for i, k := range c.keys {
		q := &adminv1.ListKeysRequest{Tenant: k.GetKey().GetTenant(), Principal: k.GetKey().GetPrincipal()}
		owner := q.GetTenant() + q.GetPrincipal()
		if listed[owner] {
			continue
		}
		listed[owner] = true
		if err := v.list(ctx, q, func(got *adminv1.Key) { there[got.GetName()] = got }); err != nil {
			return false, fmt.Errorf("listing the keys of %s after the kill: %w", c.keys[i].GetKey().GetName(), err)
		}
	}
	var got []*adminv1.Key
	for _, k := range c.keys {
		if one := there[k.GetKey().GetName()]; one != nil {
			got = append(got, one)
		}
	}
	if len(got) == 0 {
		return false, nil
	}
	if len(got) != len(c.keys) {
		return false, fmt.Errorf("HALF: of an import of %d keys %d are there", len(c.keys), len(got))
	}
	for i, one := range got {
		if one.GetRevision() != got[0].GetRevision() {
			return false, fmt.Errorf("HALF: an import was made at revisions %d and %d", got[0].GetRevision(), one.GetRevision())
		}
		if err := c.adopt(i, one, c.keys[i].GetToken()); err != nil {
			return false, err
		}
	}
	return true, nil
}

// adopt makes a key that is there part of the model, if it is what was asked for.
func (c *newKeys) adopt(i int, got *adminv1.Key, token string) error {
	kind, f := c.kinds[i], c.keys[i].GetKey()
	want := &adminv1.Key{
		Id: got.GetId(), Policy: f.GetPolicy(), Type: f.GetType(), Environment: f.GetEnvironment(), Status: "active",
		Prefix: kind.prefix, Last4: got.GetLast4(), Tenant: f.GetTenant(), Principal: f.GetPrincipal(), Creator: c.keys[i].GetCreator(),
		Role: f.GetRole(), Scopes: f.GetScopes(), Name: f.GetName(), Description: f.GetDescription(),
		CreatedAt: got.GetCreatedAt(), ExpiresAt: f.GetExpiresAt(), Revision: got.GetRevision(),
	}
	if kind.chosen == nil {
		want.Scopes = c.w.h.learned(f, got)
	}
	made := got.GetCreatedAt().AsTime()
	if token != "" {
		want.Last4 = token[len(token)-4:]
	}
	if !proto.Equal(want, got) || c.w.byID[got.GetId()] != nil || made.Before(c.sent.Add(-time.Second)) || made.After(time.Now().Add(time.Second)) {
		return fmt.Errorf("HALF: %s made\n%v\nand should make\n%v", c.name, got, want)
	}
	k := &ownKey{kind: kind, shown: got, current: token}
	c.w.byID[got.GetId()] = k
	c.w.alive = append(c.w.alive, k)
	c.w.touch(k)
	return nil
}

// list calls f with each key that is selected.
func (v *victim) list(ctx context.Context, q *adminv1.ListKeysRequest, f func(*adminv1.Key)) error {
	for {
		page, err := v.keys.ListKeys(ctx, connect.NewRequest(q))
		if err != nil {
			return err
		}
		for _, k := range page.Msg.GetKeys() {
			f(k)
		}
		if q.PageToken = page.Msg.GetNextPageToken(); q.PageToken == "" {
			return nil
		}
	}
}
