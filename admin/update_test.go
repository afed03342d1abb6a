package admin

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func TestUpdate(t *testing.T) {
	type U = adminv1.UpdateKeyRequest
	scopes := func(list ...string) *adminv1.ScopeList { return &adminv1.ScopeList{Scopes: list} }
	at := func(d time.Duration) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(d))
	}
	owner, member := as("user:owner"), as("user:member")
	for _, tc := range []struct {
		name   string
		maker  Caller
		key    string
		caller Caller
		update *U
		kind   error
		words  []string
	}{
		{"name", operator, plainKey, operator, &U{Name: proto.String("new")}, nil, nil},
		{"name taken away", operator, plainKey, operator, &U{Name: proto.String("")}, nil, nil},
		{"required name taken away", operator, roleKey, operator, &U{Name: proto.String("")}, ErrInvalid, []string{"name:"}},
		{"name of two lines", operator, plainKey, operator, &U{Name: proto.String("a\nb")}, ErrInvalid, []string{"name:"}},
		{"a rule says no", owner, roleKey, member, &U{Name: proto.String("x")}, ErrRefused, []string{"managed by owners"}},

		{"later", operator, plainKey, operator, &U{ExpiresIn: durationpb.New(time.Hour)}, nil, nil},
		{"longest life counts from creation", owner, chosenKey, owner, &U{ExpiresAt: at(90 * 24 * time.Hour)}, nil, nil},
		{"beyond the longest life", owner, chosenKey, owner, &U{ExpiresAt: at(90*24*time.Hour + 1)}, ErrInvalid, []string{"90d at most"}},
		{"longest life isn't renewed", owner, chosenKey, owner, &U{ExpiresIn: durationpb.New(90 * 24 * time.Hour)}, ErrInvalid, []string{"90d at most"}},
		{"never", operator, plainKey, operator, &U{NeverExpires: true}, nil, nil},
		{"never where a life is limited", owner, chosenKey, owner, &U{NeverExpires: true}, ErrInvalid, []string{"90d at most"}},
		{"never and at a time", operator, plainKey, operator, &U{NeverExpires: true, ExpiresAt: at(time.Hour)}, ErrInvalid, []string{"give one"}},
		{"both", operator, plainKey, operator, &U{ExpiresIn: durationpb.New(1), ExpiresAt: at(time.Hour)}, ErrInvalid, []string{"give one"}},
		{"past", operator, plainKey, operator, &U{ExpiresAt: at(time.Minute)}, ErrInvalid, []string{"is past"}},

		{"fewer scopes", owner, chosenKey, member, &U{Scopes: scopes()}, nil, nil},
		{"more scopes", owner, chosenKey, owner, &U{Scopes: scopes("docs:write", "docs:read")}, nil, nil},
		{"more than the caller holds", owner, chosenKey, member, &U{Scopes: scopes("docs:read", "docs:write")}, ErrRefused, []string{"the caller user:member", "docs:write"}},
		{"more than the creator holds", as("user:reader"), chosenKey, operator, &U{Scopes: scopes("docs:write")}, ErrRefused, []string{"its creator user:reader", "docs:write"}},
		{"scopes outside the set", owner, chosenKey, owner, &U{Scopes: scopes("own")}, ErrInvalid, []string{`"own" can't be granted`}},
		{"scopes of a fixed type", operator, plainKey, operator, &U{Scopes: scopes("all-of-it")}, ErrInvalid, []string{"scopes:"}},

		{"role", owner, roleKey, owner, &U{Role: proto.String("owner")}, nil, nil},
		{"role unknown", owner, roleKey, owner, &U{Role: proto.String("king")}, ErrInvalid, []string{"role:"}},
		{"no role", owner, roleKey, owner, &U{Role: proto.String("")}, ErrInvalid, []string{"role:"}},

		{"handed over", owner, chosenKey, operator, &U{Creator: proto.String("user:member")}, nil, nil},
		{"handed over to one who holds less", owner, roleKeyOf("owner"), operator, &U{Creator: proto.String("user:member")}, ErrRefused, []string{"its creator user:member", "own"}},
		{"handed over by one who holds less", owner, chosenKeyOf("docs:write"), member, &U{Creator: proto.String("user:boss")}, ErrRefused, []string{"the caller user:member", "docs:write"}},
		{"handed over to an equal", owner, chosenKeyOf("docs:write"), owner, &U{Creator: proto.String("user:boss")}, nil, nil},
		{"handed over to a stranger", owner, chosenKey, operator, &U{Creator: proto.String("user:nobody")}, ErrRefused, []string{"isn't in the directory"}},
		{"handed over to a suspended one", owner, chosenKey, operator, &U{Creator: proto.String("user:frozen")}, ErrRefused, []string{"suspended"}},
		{"handed to the operator", owner, roleKey, operator, &U{Creator: proto.String("")}, nil, nil},
		{"handed to the operator by another", owner, roleKey, owner, &U{Creator: proto.String("")}, ErrRefused, []string{"only the operator"}},
		{"handed to the operator where a creator is required", owner, chosenKey, operator, &U{Creator: proto.String("")}, ErrInvalid, []string{"creator:"}},

		{"nothing", operator, plainKey, operator, &U{}, nil, nil},
		{"all at once", owner, roleKey, operator, &U{Role: proto.String("king"), Name: proto.String("\n"), NeverExpires: true, ExpiresAt: at(0)}, ErrInvalid, []string{"role:", "name:", "never_expires:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t)
			id := b.make(tc.maker, tc.key).GetId()
			b.clock.add(10 * time.Minute)
			before := b.record(id)
			request := proto.Clone(tc.update).(*U)
			request.Id, request.DryRun = id, true
			_, err := b.updateKey(t.Context(), tc.caller, request)
			expect(t, err, tc.kind, tc.words...)
			if !reflect.DeepEqual(b.record(id), before) {
				t.Error("a dry run changed the key")
			}
			request.DryRun = false
			out, err := b.updateKey(t.Context(), tc.caller, request)
			expect(t, err, tc.kind, tc.words...)
			after := b.record(id)
			if err != nil {
				if !reflect.DeepEqual(after, before) {
					t.Error("a refused update changed the key")
				}
				return
			}
			if request.Name != nil && after.Name != request.GetName() || request.Role != nil && after.Role != request.GetRole() ||
				request.Creator != nil && after.Creator != request.GetCreator() || request.ExpiresAt != nil && !after.Expires.Equal(request.ExpiresAt.AsTime()) ||
				request.ExpiresIn != nil && !after.Expires.Equal(b.clock.Now().Add(request.ExpiresIn.AsDuration())) ||
				request.Scopes != nil && len(after.Scopes) != len(request.Scopes.Scopes) {
				t.Errorf("not what was asked for: %v", out.GetKey())
			}
			if after.Current().Digest != before.Current().Digest || out.GetKey().GetToken() != "" {
				t.Error("an update touched the token")
			}
		})
	}
}

func roleKeyOf(role string) string {
	return `{"policy":"desk","type":"role","environment":"live","tenant":"org:paid","name":"ci","role":"` + role + `"}`
}

func chosenKeyOf(scope string) string {
	return `{"policy":"desk","type":"chosen","environment":"live","tenant":"org:paid","expires_in":"3600s","scopes":["` + scope + `"]}`
}

// A key whose creator has gone can be narrowed and handed over.
func TestOrphanedKey(t *testing.T) {
	b := start(t)
	id := b.make(as("user:owner"), chosenKey).GetId()
	b.people(`{"principals": [{"id": "user:owner"}]}`, false)
	_, err := b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String("orphan")})
	expect(t, err, nil)
	_, err = b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Creator: proto.String("user:member")})
	expect(t, err, nil)
	_, err = b.updateKey(t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Creator: proto.String("user:owner")})
	expect(t, err, ErrRefused, "docs:read")
}
