package admin

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func TestRotate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		maker  Caller
		key    string
		caller Caller
		grace  *durationpb.Duration
		kind   error
		words  []string
	}{
		{"at once", as("user:owner"), chosenKey, as("user:owner"), nil, nil, nil},
		{"zero grace", as("user:owner"), chosenKey, operator, durationpb.New(0), nil, nil},
		{"longest grace", as("user:owner"), chosenKey, operator, durationpb.New(time.Hour), nil, nil},
		{"beyond the longest grace", as("user:owner"), chosenKey, operator, durationpb.New(time.Hour + 1), ErrInvalid, []string{"grace:", "1h"}},
		{"grace where there is none", as("user:owner"), personalKey, as("user:owner"), durationpb.New(1), ErrInvalid, []string{"at once"}},
		{"no grace where there is none", as("user:owner"), personalKey, as("user:owner"), nil, nil, nil},
		{"negative grace", operator, plainKey, operator, durationpb.New(-1), ErrInvalid, []string{"negative"}},
		{"any grace", operator, plainKey, operator, durationpb.New(9000 * time.Hour), nil, nil},
		{"not in place", operator, roleKey, operator, nil, ErrUnfit, []string{"create another one"}},
		{"another's", as("user:owner"), personalKey, as("user:member"), nil, ErrRefused, []string{"a personal key is its owner's"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t)
			k := b.make(tc.maker, tc.key)
			before := b.record(k.GetId())
			request := &adminv1.RotateKeyRequest{Id: k.GetId(), Grace: tc.grace, DryRun: true}
			dry, err := b.rotateKey(t.Context(), tc.caller, request)
			expect(t, err, tc.kind, tc.words...)
			if dry.GetKey().GetToken() != "" || !reflect.DeepEqual(b.record(k.GetId()), before) {
				t.Error("a dry run rotated")
			}
			request.DryRun = false
			out, err := b.rotateKey(t.Context(), tc.caller, request)
			expect(t, err, tc.kind, tc.words...)
			after := b.record(k.GetId())
			if err != nil {
				if !reflect.DeepEqual(after, before) {
					t.Error("a refused rotation changed the key")
				}
				return
			}
			b.recorded("keys.rotate", tc.caller)
			if after.Current().Digest != key.NewToken(out.GetKey().GetToken()).Digest() || len(after.Secrets) != 2 {
				t.Error("the new token isn't the current one")
			}
			wantStatus, wantRetiring := "active", tc.grace.AsDuration() > 0
			if wantRetiring {
				wantStatus = "retiring"
			}
			if out.GetKey().GetStatus() != wantStatus || (out.GetKey().GetRetiring() != nil) != wantRetiring {
				t.Errorf("status %q, retiring %v", out.GetKey().GetStatus(), out.GetKey().GetRetiring())
			}
			if wantRetiring && (out.GetKey().GetRetiring().GetLast4() != k.GetLast4() || !out.GetKey().GetRetiring().GetUntil().AsTime().Equal(b.clock.Now().Add(tc.grace.AsDuration()))) {
				t.Errorf("retiring %v", out.GetKey().GetRetiring())
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	b := start(t)
	k := b.make(as("user:owner"), roleKey)
	revoke := func(caller Caller, r *adminv1.RevokeKeyRequest) error {
		_, err := b.revokeKey(t.Context(), caller, r)
		return err
	}
	expect(t, revoke(as("user:member"), &adminv1.RevokeKeyRequest{Id: k.GetId()}), ErrRefused, "managed by owners")
	expect(t, revoke(operator, &adminv1.RevokeKeyRequest{Id: k.GetId(), DryRun: true}), nil)
	expect(t, revoke(operator, &adminv1.RevokeKeyRequest{Id: k.GetId(), Note: "a\x00b"}), ErrInvalid, "note:")
	if !b.record(k.GetId()).Revoked.IsZero() {
		t.Fatal("revoked by a dry run or a refused one")
	}
	expect(t, revoke(as("user:owner"), &adminv1.RevokeKeyRequest{Id: k.GetId(), Note: "leaked"}), nil)
	b.recorded("keys.revoke", as("user:owner"))
	at := b.store.Position()
	out, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: k.GetId()})
	expect(t, err, nil)
	if out.GetKey().GetStatus() != "revoked" || b.store.Position() != at || out.GetPosition().GetRevision() != at.Revision {
		t.Errorf("revoking again: status %s, %v after %v", out.GetKey().GetStatus(), b.store.Position(), at)
	}
	for name, err := range map[string]error{
		"rotate":  second(b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: b.revoked(plainKey)})),
		"enable":  second(b.enableKey(t.Context(), operator, &adminv1.EnableKeyRequest{Id: k.GetId()})),
		"disable": second(b.disableKey(t.Context(), operator, &adminv1.DisableKeyRequest{Id: k.GetId()})),
		"update":  second(b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: k.GetId(), Name: proto.String("x")})),
	} {
		t.Run(name, func(t *testing.T) { expect(t, err, key.ErrRevoked) })
	}
	expect(t, revoke(operator, &adminv1.RevokeKeyRequest{Id: key.NewID()}), ErrAbsent, "no key has the id key_")
}

func second[T any](_ T, err error) error { return err }

func (b *bench) revoked(text string) string {
	k := b.make(operator, text)
	if _, err := b.revokeKey(b.t.Context(), operator, &adminv1.RevokeKeyRequest{Id: k.GetId()}); err != nil {
		b.t.Fatal(err)
	}
	return k.GetId()
}

func TestSystemKeysAreTheOperators(t *testing.T) {
	b := start(t)
	k := b.make(operator, with(t, roleKey, func(f *adminv1.KeyFields) { f.System = true }))
	id := k.GetId()
	for name, err := range map[string]error{
		"revoke":               second(b.revokeKey(t.Context(), as("user:owner"), &adminv1.RevokeKeyRequest{Id: id})),
		"revoke saying system": second(b.revokeKey(t.Context(), as("user:owner"), &adminv1.RevokeKeyRequest{Id: id, System: true})),
		"rotate":               second(b.rotateKey(t.Context(), as("user:owner"), &adminv1.RotateKeyRequest{Id: id})),
		"disable":              second(b.disableKey(t.Context(), as("user:owner"), &adminv1.DisableKeyRequest{Id: id})),
		"enable":               second(b.enableKey(t.Context(), as("user:owner"), &adminv1.EnableKeyRequest{Id: id})),
		"reveal":               second(b.getKey(t.Context(), as("user:owner"), &adminv1.GetKeyRequest{Id: id, Reveal: true})),
		"update":               second(b.updateKey(t.Context(), as("user:owner"), &adminv1.UpdateKeyRequest{Id: id, Name: proto.String("x")})),
	} {
		t.Run(name, func(t *testing.T) { expect(t, err, ErrRefused, "system key", "only the operator") })
	}
	_, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id})
	expect(t, err, ErrRefused, "--system")
	_, err = b.disableKey(t.Context(), operator, &adminv1.DisableKeyRequest{Id: id})
	expect(t, err, nil)
	_, err = b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id, System: true})
	expect(t, err, nil)
}

func TestDisableEnable(t *testing.T) {
	b := start(t)
	id := b.make(operator, plainKey).GetId()
	for _, want := range []string{"disabled", "disabled", "active", "active"} {
		before := b.record(id)
		was := string(before.Status(b.clock.Now()))
		var k *adminv1.Key
		if want == "disabled" {
			out, err := b.disableKey(t.Context(), operator, &adminv1.DisableKeyRequest{Id: id})
			expect(t, err, nil)
			k = out.GetKey()
		} else {
			out, err := b.enableKey(t.Context(), operator, &adminv1.EnableKeyRequest{Id: id})
			expect(t, err, nil)
			k = out.GetKey()
		}
		if k.GetStatus() != want || reflect.DeepEqual(b.record(id), before) != (was == want) {
			t.Errorf("from %s to %s: status %s, written %v", was, want, k.GetStatus(), !reflect.DeepEqual(b.record(id), before))
		}
	}
}

func TestReveal(t *testing.T) {
	b := start(t)
	public := b.make(operator, publicKey)
	once := b.make(operator, plainKey)
	show := func(caller Caller, id string) (string, error) {
		out, err := b.getKey(t.Context(), caller, &adminv1.GetKeyRequest{Id: id, Reveal: true})
		return out.GetKey().GetToken(), err
	}
	token, err := show(as("user:owner"), public.GetId())
	if expect(t, err, nil); token != public.GetToken() {
		t.Error("another token was shown")
	}
	_, err = show(as("user:member"), public.GetId())
	expect(t, err, ErrRefused, "only owners look")
	_, err = show(operator, once.GetId())
	expect(t, err, ErrUnfit, "shown once")
	rotated, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: public.GetId()})
	expect(t, err, nil)
	if token, err = show(operator, public.GetId()); err != nil || token != rotated.GetKey().GetToken() {
		t.Errorf("after a rotation another token was shown (%v)", err)
	}
	_, err = b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: public.GetId()})
	expect(t, err, nil)
	_, err = show(operator, public.GetId())
	expect(t, err, ErrUnfit, "was not kept")
}
