package admin

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

const ranks = `
name: ranks
hosts: [ranks.example]
tenants:
  club: {roles: [low, high]}
key_types:
  pass:
    format: pa_{secret:30}
    owner: club
    role: {}
    management:
      - {actions: [update, revoke], rule: key.role == "low" || caller.role == "high", message: the low manage the low}
      - {actions: [disable], rule: "false"}
scopes: [s]
endpoints:
  All: {scopes: [s], routes: ["* /**"]}
`

// Who may change a key is asked of the key as it is and as it would become.
func TestPermitsBothEnds(t *testing.T) {
	b := empty(t)
	b.apply(ranks)
	b.people(`{"tenants":[{"id":"club:c"}],"principals":[
		{"id":"user:low","memberships":{"club:c":"low"}},{"id":"user:high","memberships":{"club:c":"high"}},{"id":"user:none"}]}`, false)
	pass := func(role string) string {
		return b.make(operator, `{"policy":"ranks","type":"pass","tenant":"club:c","role":"`+role+`"}`).GetId()
	}
	role := func(who, id, role string) error {
		return second(b.updateKey(t.Context(), as(who), &adminv1.UpdateKeyRequest{Id: id, Role: proto.String(role)}))
	}
	expect(t, role("user:low", pass("low"), "high"), ErrRefused, "the low manage the low")
	expect(t, role("user:low", pass("high"), "low"), ErrRefused, "the low manage the low")
	expect(t, role("user:high", pass("high"), "low"), nil)
	expect(t, role("user:high", pass("low"), "high"), nil)
	low := pass("low")
	expect(t, role("user:low", low, "low"), nil)
	expect(t, role("user:none", pass("high"), "high"), ErrRefused)

	// A rule without a message says no all the same, also to what would change nothing.
	expect(t, second(b.disableKey(t.Context(), as("user:high"), &adminv1.DisableKeyRequest{Id: low})), ErrRefused)
	expect(t, second(b.enableKey(t.Context(), as("user:high"), &adminv1.EnableKeyRequest{Id: low})), nil)
	high := pass("high")
	expect(t, second(b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: high})), nil)
	expect(t, second(b.revokeKey(t.Context(), as("user:low"), &adminv1.RevokeKeyRequest{Id: high})), ErrRefused)
	expect(t, second(b.revokeKey(t.Context(), as("user:nobody"), &adminv1.RevokeKeyRequest{Id: low})), ErrRefused, "isn't in the directory")
	expect(t, second(b.getKey(t.Context(), as("user:low"), &adminv1.GetKeyRequest{Id: high})), nil)
}

// A clock that is behind the newest write is wrong.
func TestClockGoesBack(t *testing.T) {
	b := start(t)
	newest := b.clock.Now()
	b.clock.add(-24 * time.Hour)
	id := b.make(operator, plainKey).GetId()
	if created := b.record(id).Created; created.Before(newest) {
		t.Errorf("made at %s, before the store's newest write at %s", created, newest)
	}
	_, err := b.create(operator, with(t, plainKey, func(f *adminv1.KeyFields) { f.ExpiresAt = timestamp(newest.Add(-time.Hour)) }))
	expect(t, err, ErrInvalid, "is past")
}

// slow is a ledger in which a key is rotated while its token is looked up.
type slow struct {
	Ledger
	rotate func()
}

func (s *slow) RevealedToken(id string) (key.Token, bool, error) {
	s.rotate()
	return s.Ledger.RevealedToken(id)
}

func TestRevealMeetsRotation(t *testing.T) {
	b := start(t)
	id := b.make(operator, publicKey).GetId()
	s := New(Options{Now: b.clock.Now, Ledger: &slow{b.store, func() {
		if _, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id}); err != nil {
			t.Error(err)
		}
	}}})
	out, err := s.getKey(t.Context(), operator, &adminv1.GetKeyRequest{Id: id, Reveal: true})
	expect(t, err, ErrUnfit)
	if out.GetKey().GetToken() != "" {
		t.Error("the token of another secret is shown beside this one's prefix and last four")
	}
}

const persons = `
name: persons
hosts: [persons.example]
tenants: {club: {roles: [low]}}
key_types:
  bare:  {format: "ba_{secret:30}", owner: principal, reaches: {club: {roles: [low]}}, scopes: [s]}
  ruled: {format: "ru_{secret:30}", owner: principal, reaches: {club: {roles: [low]}}, scopes: [s], management: [{actions: [revoke], rule: 'caller.id == "user:desk"'}]}
scopes: [s]
endpoints:
  All: {scopes: [s], routes: ["* /**"]}
`

// A person's key is that person's, where no rule says who else may.
func TestPersonsKeys(t *testing.T) {
	b := empty(t)
	b.apply(persons)
	b.people(`{"tenants":[{"id":"club:c"}],"principals":[{"id":"user:own","memberships":{"club:c":"low"}},
		{"id":"user:other","memberships":{"club:c":"low"}},{"id":"user:desk"}]}`, false)
	fields := func(typ string) string {
		return `{"policy":"persons","type":"` + typ + `","principal":"user:own"}`
	}
	create := func(who Caller, typ string) error { return second(b.create(who, fields(typ))) }
	expect(t, create(as("user:own"), "bare"), nil)
	expect(t, create(as("user:other"), "bare"), ErrRefused, "belongs to user:own")
	expect(t, create(as("user:desk"), "ruled"), ErrRefused, "belongs to user:own")

	for _, typ := range []string{"bare", "ruled"} {
		id := b.make(operator, fields(typ)).GetId()
		for _, who := range []string{"user:other", "user:desk"} {
			expect(t, second(b.rotateKey(t.Context(), as(who), &adminv1.RotateKeyRequest{Id: id})), ErrRefused, "belongs to user:own")
			expect(t, second(b.getKey(t.Context(), as(who), &adminv1.GetKeyRequest{Id: id})), ErrRefused)
		}
		expect(t, second(b.rotateKey(t.Context(), as("user:own"), &adminv1.RotateKeyRequest{Id: id})), nil)
		expect(t, second(b.revokeKey(t.Context(), as("user:other"), &adminv1.RevokeKeyRequest{Id: id})), ErrRefused)
	}
	// A rule decides alone, for the person too.
	id := b.make(operator, fields("ruled")).GetId()
	expect(t, second(b.revokeKey(t.Context(), as("user:own"), &adminv1.RevokeKeyRequest{Id: id})), ErrRefused)
	expect(t, second(b.revokeKey(t.Context(), as("user:desk"), &adminv1.RevokeKeyRequest{Id: id})), nil)
}
