package admin

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func TestList(t *testing.T) {
	b := start(t)
	owner := as("user:owner")
	chosen, role, public := b.make(owner, chosenKey), b.make(owner, roleKey), b.make(owner, publicKey)
	personal, plain := b.make(owner, personalKey), b.make(operator, plainKey)
	if _, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: plain.GetId()}); err != nil {
		t.Fatal(err)
	}
	b.clock.add(2 * time.Hour) // chosen has expired
	for _, tc := range []struct {
		name    string
		request *adminv1.ListKeysRequest
		caller  Caller
		want    []*adminv1.Key
	}{
		{"all", &adminv1.ListKeysRequest{}, operator, []*adminv1.Key{chosen, role, public, personal, plain}},
		{"policy", &adminv1.ListKeysRequest{Policy: "sparse"}, operator, []*adminv1.Key{plain}},
		{"type", &adminv1.ListKeysRequest{Type: "role"}, operator, []*adminv1.Key{role}},
		{"tenant", &adminv1.ListKeysRequest{Tenant: "org:paid"}, operator, []*adminv1.Key{chosen, role, public}},
		{"principal", &adminv1.ListKeysRequest{Principal: "user:owner"}, operator, []*adminv1.Key{personal}},
		{"environment", &adminv1.ListKeysRequest{Environment: "test"}, operator, []*adminv1.Key{public}},
		{"active", &adminv1.ListKeysRequest{Status: "active"}, operator, []*adminv1.Key{role, public, personal}},
		{"expired", &adminv1.ListKeysRequest{Status: "expired"}, operator, []*adminv1.Key{chosen}},
		{"revoked", &adminv1.ListKeysRequest{Status: "revoked"}, operator, []*adminv1.Key{plain}},
		{"nothing", &adminv1.ListKeysRequest{Policy: "sparse", Tenant: "org:paid"}, operator, nil},
		{"by its owner", &adminv1.ListKeysRequest{Policy: "desk"}, owner, []*adminv1.Key{chosen, role, public, personal}},
		{"by a member", &adminv1.ListKeysRequest{Policy: "desk"}, as("user:member"), []*adminv1.Key{chosen, public}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := map[string]bool{}
			for _, k := range tc.want {
				want[k.GetId()] = true
			}
			out, err := b.listKeys(t.Context(), tc.caller, tc.request)
			if err != nil {
				t.Fatal(err)
			}
			for i, k := range out.GetKeys() {
				if !want[k.GetId()] {
					t.Errorf("%s of the type %s is listed", k.GetId(), k.GetType())
				}
				if i > 0 && out.GetKeys()[i-1].GetId() >= k.GetId() {
					t.Error("not by id")
				}
			}
			if len(out.GetKeys()) != len(want) || out.GetNextPageToken() != "" {
				t.Errorf("%d keys of %d, next %q", len(out.GetKeys()), len(want), out.GetNextPageToken())
			}
		})
	}
	for name, tc := range map[string]struct {
		caller  Caller
		request *adminv1.ListKeysRequest
		kind    error
	}{
		"status":    {operator, &adminv1.ListKeysRequest{Status: "actve"}, ErrInvalid},
		"page size": {operator, &adminv1.ListKeysRequest{PageSize: 1001}, ErrInvalid},
		"page":      {operator, &adminv1.ListKeysRequest{PageToken: plain.GetToken()}, ErrInvalid},
		"stranger":  {as("user:nobody"), &adminv1.ListKeysRequest{}, ErrRefused},
		"suspended": {as("user:frozen"), &adminv1.ListKeysRequest{}, ErrRefused},
	} {
		t.Run(name, func(t *testing.T) { expect(t, second(b.listKeys(t.Context(), tc.caller, tc.request)), tc.kind) })
	}
}

// Every key is on exactly one page, however long pages are and however many
// keys in between aren't listed.
func TestListPages(t *testing.T) {
	b := start(t)
	var batch []*adminv1.ImportKey
	for i := range 700 {
		text, format := plainKey, key.Format{Prefix: "sp_", SecretLength: 30}
		if i%7 == 0 {
			text, format = publicKey, key.Format{Prefix: "pu_test_", SecretLength: 30}
		}
		batch = append(batch, &adminv1.ImportKey{Key: fields(t, text), Token: minted(t, format)})
	}
	if out, err := b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: batch}); err != nil || out.GetMistakes() != nil {
		t.Fatal(err, out.GetMistakes())
	}
	for _, tc := range []struct {
		request *adminv1.ListKeysRequest
		want    int
	}{
		{&adminv1.ListKeysRequest{PageSize: 256}, 700},
		{&adminv1.ListKeysRequest{PageSize: 1}, 700},
		{&adminv1.ListKeysRequest{PageSize: 350}, 700},
		{&adminv1.ListKeysRequest{}, 700},
		{&adminv1.ListKeysRequest{PageSize: 33, Policy: "desk"}, 100},
		{&adminv1.ListKeysRequest{PageSize: 100, Policy: "desk"}, 100},
	} {
		seen := map[string]bool{}
		for {
			out, err := b.listKeys(t.Context(), operator, tc.request)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range out.GetKeys() {
				if seen[k.GetId()] {
					t.Fatalf("%s twice", k.GetId())
				}
				seen[k.GetId()] = true
			}
			if tc.request.PageToken = out.GetNextPageToken(); tc.request.PageToken == "" {
				break
			}
			if len(out.GetKeys()) != int(tc.request.GetPageSize()) {
				t.Fatalf("a page of %d keys before the last", len(out.GetKeys()))
			}
		}
		if len(seen) != tc.want {
			t.Errorf("%v: %d keys on all pages", tc.request, len(seen))
		}
	}
}
