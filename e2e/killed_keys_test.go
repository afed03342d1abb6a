package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// keyKind is one kind of key that the test makes, of an example policy.
type keyKind struct {
	policy, keyType, environment string
	owner                        string // kind of its tenant; empty: a principal
	prefix                       string
	secret                       int // characters
	roles                        []string
	chosen                       []string // scopes to choose from; then it needs a creator too
	rotates, grace, reveals      bool
	host, path                   string // a request that it is let through with; %s is the tenant's name
}

var (
	kodeyTeam      = &keyKind{policy: "kodey", keyType: "secret", environment: "live", owner: "team", prefix: "sk_live_", secret: 30, rotates: true, grace: true, host: "api.kodey.example", path: "/v1/chat"}
	kodeyUser      = &keyKind{policy: "kodey", keyType: "user_secret", environment: "live", prefix: "usk_live_", secret: 30, rotates: true, grace: true, host: "api.kodey.example", path: "/v1/chat"}
	shortkitSecret = &keyKind{policy: "shortkit", keyType: "secret", environment: "live", owner: "org", prefix: "sk_live_", secret: 30, rotates: true, grace: true, host: "api.shortkit.dev", path: "/v1/feed"}
	shortkitPublic = &keyKind{policy: "shortkit", keyType: "publishable", environment: "live", owner: "org", prefix: "pk_live_", secret: 30, rotates: true, grace: true, reveals: true, host: "api.shortkit.dev", path: "/v1/feed"}
	spotzeeSecret  = &keyKind{policy: "spotzee", keyType: "secret", owner: "project", prefix: "sk_", secret: 32, roles: []string{"support", "editor", "publisher", "admin"}, host: "apix.spotzee.com", path: "/api/projects/%s"}
	cuneiformKey   = &keyKind{policy: "cuneiform", keyType: "key", environment: "live", owner: "org", prefix: "cuk_live_", secret: 40, chosen: []string{"agents:query", "agents:read", "agents:write", "knowledge:read", "knowledge:write"}, rotates: true, host: "api.cuneiform.example", path: "/v1/documents"}

	keyKinds = []*keyKind{kodeyTeam, kodeyUser, shortkitSecret, shortkitPublic, spotzeeSecret, cuneiformKey}
)

// token makes up a token of the kind.
func (k *keyKind) token(r *rand.Rand) string {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	token := []byte(k.prefix)
	for range k.secret {
		token = append(token, base62[r.IntN(len(base62))])
	}
	return string(token)
}

// fields describes a new key of an owner, without the kind of the owner.
func (k *keyKind) fields(r *rand.Rand, owner, name string) *adminv1.KeyFields {
	f := &adminv1.KeyFields{Policy: k.policy, Type: k.keyType, Environment: k.environment, Name: name}
	if k.owner == "" {
		f.Principal = "user:" + owner
	} else {
		f.Tenant = k.owner + ":" + owner
	}
	if k.roles != nil {
		f.Role = k.roles[r.IntN(len(k.roles))]
	}
	if k.chosen != nil {
		f.Scopes = k.choose(r)
	}
	if r.IntN(3) == 0 {
		f.Description, f.ExpiresAt = "of "+name, later(r)
	}
	return f
}

func (k *keyKind) choose(r *rand.Rand) []string {
	var some []string
	for len(some) == 0 {
		for _, scope := range k.chosen {
			if r.IntN(2) == 0 {
				some = append(some, scope)
			}
		}
	}
	return some
}

// later is a time that comes when no test runs any more.
func later(r *rand.Rand) *timestamppb.Timestamp {
	return timestamppb.New(time.Now().Truncate(time.Second).Add(time.Duration(100+r.IntN(1000)) * 24 * time.Hour))
}

const longGrace = 90 * 24 * time.Hour

// ownKey is what the test knows of a key: what was acknowledged last, and the
// tokens, those that are known.
type ownKey struct {
	kind    *keyKind
	shown   *adminv1.Key
	current string   // empty: the answer that held it was lost
	retired string   // the one in its grace
	dead    []string // those that ended, a few
}

func (k *ownKey) revoked() bool { return k.shown.GetStatus() == "revoked" }

// bury notes tokens that nobody may ever use again.
func (k *ownKey) bury(tokens ...string) {
	for _, token := range tokens {
		if token != "" {
			k.dead = append(k.dead, token)
		}
	}
	k.dead = k.dead[max(0, len(k.dead)-4):]
}

// keyWrite is a change of one key.
type keyWrite struct {
	name string
	w    *writer
	k    *ownKey
	send func(ctx context.Context, v *victim, id string) (*adminv1.Key, *adminv1.Position, error)
	// next makes the key that was there the one that is to be, with what only
	// the process can know taken from the one that is there now.
	next func(want, got *adminv1.Key) error
	// fate says what becomes of the tokens. The new one may not be known.
	fate func(token string)

	sent time.Time
	got  *adminv1.Key
	at   *adminv1.Position
}

func (c *keyWrite) kind() string { return c.name }

func (c *keyWrite) call(ctx context.Context, v *victim) (err error) {
	c.sent = time.Now()
	c.got, c.at, err = c.send(ctx, v, c.k.shown.GetId())
	return err
}

func (c *keyWrite) acked() (*adminv1.Position, error) {
	token := c.got.GetToken()
	c.got.Token = ""
	if c.got.GetRevision() != c.at.GetRevision() {
		return nil, fmt.Errorf("%s: the key says revision %d, the write %d", c.name, c.got.GetRevision(), c.at.GetRevision())
	}
	return c.at, c.adopt(c.got, token)
}

func (c *keyWrite) found(ctx context.Context, v *victim) (bool, error) {
	c.w.touch(c.k)
	answer, err := v.keys.GetKey(ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: c.k.shown.GetId()}))
	if err != nil {
		return false, fmt.Errorf("LOST: %s of %s was in flight, and the key is gone: %w", c.name, c.k.shown.GetId(), err)
	}
	got := withoutUse(answer.Msg.GetKey())
	if proto.Equal(got, c.k.shown) {
		return false, nil
	}
	return true, c.adopt(got, "")
}

// adopt makes what is there the model, if that is what the write makes.
func (c *keyWrite) adopt(got *adminv1.Key, token string) error {
	want := proto.CloneOf(c.k.shown)
	err := c.next(want, got)
	want.Revision = got.GetRevision()
	if err != nil || !proto.Equal(want, got) || got.GetRevision() <= c.k.shown.GetRevision() {
		return fmt.Errorf("HALF: %s made\n%v\nof\n%v\nand should make\n%v (%w)", c.name, got, c.k.shown, want, errors.Join(err, errWrong))
	}
	c.k.shown = got
	if c.fate != nil {
		c.fate(token)
	}
	c.w.changed(c.k)
	return nil
}

var errWrong = errors.New("neither what it was nor what it was to become")

// during tells whether a time lies between the sending and now.
func (c *keyWrite) during(what string, at *timestamppb.Timestamp, plus time.Duration) error {
	if at == nil || at.AsTime().Before(c.sent.Add(plus-time.Second)) || at.AsTime().After(time.Now().Add(plus+time.Second)) {
		return fmt.Errorf("%s is %v, and it was sent at %v", what, at.AsTime(), c.sent)
	}
	return nil
}

func (w *writer) rotate(k *ownKey, grace time.Duration) *keyWrite {
	c := &keyWrite{name: "rotate", w: w, k: k}
	if grace > 0 {
		c.name = "rotate with grace"
	}
	c.send = func(ctx context.Context, v *victim, id string) (*adminv1.Key, *adminv1.Position, error) {
		a, err := v.keys.RotateKey(ctx, connect.NewRequest(&adminv1.RotateKeyRequest{Id: id, Grace: durationpb.New(grace)}))
		if err != nil {
			return nil, nil, err
		}
		return a.Msg.GetKey(), a.Msg.GetPosition(), nil
	}
	c.next = func(want, got *adminv1.Key) error {
		old := want.GetLast4()
		want.Last4 = got.GetLast4()
		want.Retiring = nil
		if want.Status == "retiring" {
			want.Status = "active"
		}
		if grace == 0 {
			return nil
		}
		until := got.GetRetiring().GetUntil()
		want.Retiring = &adminv1.RetiringSecret{Prefix: k.kind.prefix, Last4: old, Until: until}
		if want.Status == "active" {
			want.Status = "retiring"
		}
		return c.during("the end of the grace", until, grace)
	}
	c.fate = func(token string) {
		if grace == 0 {
			k.bury(k.current, k.retired)
			k.retired = ""
		} else {
			k.retired = k.current
		}
		k.current = token
	}
	return c
}

func (w *writer) revoke(name string, k *ownKey) *keyWrite {
	c := &keyWrite{name: name, w: w, k: k}
	c.send = func(ctx context.Context, v *victim, id string) (*adminv1.Key, *adminv1.Position, error) {
		a, err := v.keys.RevokeKey(ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: id, Note: name}))
		if err != nil {
			return nil, nil, err
		}
		return a.Msg.GetKey(), a.Msg.GetPosition(), nil
	}
	c.next = func(want, got *adminv1.Key) error {
		want.Status, want.Retiring, want.RevokedAt = "revoked", nil, got.GetRevokedAt()
		return c.during("the time of its end", got.GetRevokedAt(), 0)
	}
	c.fate = func(string) {
		k.bury(k.current, k.retired)
		k.current, k.retired = "", ""
	}
	return c
}

// toggle disables a key, or enables a disabled one.
func (w *writer) toggle(k *ownKey) *keyWrite {
	c := &keyWrite{name: "disable", w: w, k: k}
	if k.shown.GetStatus() == "disabled" {
		c.name = "enable"
	}
	c.send = func(ctx context.Context, v *victim, id string) (*adminv1.Key, *adminv1.Position, error) {
		if c.name == "enable" {
			a, err := v.keys.EnableKey(ctx, connect.NewRequest(&adminv1.EnableKeyRequest{Id: id}))
			if err != nil {
				return nil, nil, err
			}
			return a.Msg.GetKey(), a.Msg.GetPosition(), nil
		}
		a, err := v.keys.DisableKey(ctx, connect.NewRequest(&adminv1.DisableKeyRequest{Id: id}))
		if err != nil {
			return nil, nil, err
		}
		return a.Msg.GetKey(), a.Msg.GetPosition(), nil
	}
	c.next = func(want, _ *adminv1.Key) error {
		switch {
		case c.name == "disable":
			want.Status = "disabled"
		case want.Retiring != nil:
			want.Status = "retiring"
		default:
			want.Status = "active"
		}
		return nil
	}
	return c
}

// update changes some of what may change of a key, in one write.
func (w *writer) update(k *ownKey) *keyWrite {
	q, r := &adminv1.UpdateKeyRequest{}, w.rand
	name := w.unique()
	q.Name = &name
	want := proto.CloneOf(k.shown)
	want.Name = name
	if r.IntN(2) == 0 {
		text := "described by " + w.unique()
		q.Description, want.Description = &text, text
	}
	switch r.IntN(3) {
	case 0:
		q.ExpiresAt = later(r)
		want.ExpiresAt = q.ExpiresAt
	case 1:
		q.NeverExpires, want.ExpiresAt = true, nil
	}
	if k.kind.roles != nil && r.IntN(2) == 0 {
		role := k.kind.roles[r.IntN(len(k.kind.roles))]
		q.Role, want.Role, want.Scopes = &role, role, w.h.scopes[k.kind.policy+" "+k.kind.keyType+" "+role]
	}
	if k.kind.chosen != nil && r.IntN(2) == 0 {
		want.Scopes = k.kind.choose(r)
		q.Scopes = &adminv1.ScopeList{Scopes: slices.Clone(want.Scopes)}
	}
	if r.IntN(3) == 0 {
		creator := creators[r.IntN(len(creators))]
		q.Creator, want.Creator = &creator, creator
	}
	return &keyWrite{
		name: "update", w: w, k: k,
		send: func(ctx context.Context, v *victim, id string) (*adminv1.Key, *adminv1.Position, error) {
			q.Id = id
			a, err := v.keys.UpdateKey(ctx, connect.NewRequest(q))
			if err != nil {
				return nil, nil, err
			}
			return a.Msg.GetKey(), a.Msg.GetPosition(), nil
		},
		next: func(was, _ *adminv1.Key) error {
			proto.Reset(was)
			proto.Merge(was, want)
			return nil
		},
	}
}
