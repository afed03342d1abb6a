package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/internal/oracle"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// load brings a real server into the state of the oracle's world: the keys
// are imported while everybody may still do everything, then what became of
// them is done, then the directory is made what it is. Ids and rotated tokens
// are the server's: they are written into the world.
func (s *server) load(tb testing.TB, w *oracle.World) {
	tb.Helper()
	s.applyDirectory(tb, before(w))
	const batch = 500
	for from := 0; from < len(w.Keys); from += batch {
		s.importKeys(tb, w.Keys[from:min(from+batch, len(w.Keys))])
	}
	for i := range w.Keys {
		s.age(tb, &w.Keys[i])
	}
	s.applyDirectory(tb, directoryOf(w))
	for i := range w.Keys {
		if k := &w.Keys[i]; past(k.Expires) && !k.Revoked {
			eventually(tb, k.Name+" expires", func() error {
				got, err := s.keys.GetKey(tb.Context(), connect.NewRequest(&adminv1.GetKeyRequest{Id: k.ID}))
				if err == nil && got.Msg.GetKey().GetStatus() != "expired" {
					err = fmt.Errorf("status %s", got.Msg.GetKey().GetStatus())
				}
				return err
			})
		}
	}
}

func past(t time.Time) bool { return !t.IsZero() && t.Before(time.Now()) }

func (s *server) importKeys(tb testing.TB, keys []oracle.Key) {
	tb.Helper()
	request := &adminv1.ImportKeysRequest{}
	for _, k := range keys {
		token := k.Token
		if len(k.OldTokens) > 0 {
			token = k.OldTokens[0].Token
		}
		fields := &adminv1.KeyFields{
			Policy: k.Policy, Type: k.Type, Environment: k.Environment, Tenant: k.Tenant, Principal: k.Principal,
			Role: k.Role, Scopes: k.Scopes, Name: k.Name,
		}
		switch {
		case past(k.Expires):
			fields.ExpiresIn = durationpb.New(2 * time.Second)
		case !k.Expires.IsZero():
			fields.ExpiresAt = timestamppb.New(k.Expires)
		}
		request.Keys = append(request.Keys, &adminv1.ImportKey{Key: fields, Token: token, Creator: k.Creator})
	}
	got, err := s.keys.ImportKeys(tb.Context(), connect.NewRequest(request))
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range got.Msg.GetMistakes() {
		tb.Errorf("import of %s: %s", keys[m.GetIndex()].Name, m.GetMessage())
	}
	if len(got.Msg.GetKeys()) != len(keys) {
		tb.Fatalf("%d of %d keys imported", len(got.Msg.GetKeys()), len(keys))
	}
	for i, k := range got.Msg.GetKeys() {
		keys[i].ID = k.GetId()
	}
}

// age does to a key what became of it.
func (s *server) age(tb testing.TB, k *oracle.Key) {
	tb.Helper()
	ctx := tb.Context()
	var err error
	for range k.OldTokens {
		request := &adminv1.RotateKeyRequest{Id: k.ID}
		if until := k.OldTokens[0].Until; !until.IsZero() {
			request.Grace = durationpb.New(time.Until(until))
		}
		rotated, rotateErr := s.keys.RotateKey(ctx, connect.NewRequest(request))
		if rotateErr != nil {
			tb.Fatalf("rotating %s: %v", k.Name, rotateErr)
		}
		k.Token = rotated.Msg.GetKey().GetToken()
	}
	if k.Disabled {
		_, err = s.keys.DisableKey(ctx, connect.NewRequest(&adminv1.DisableKeyRequest{Id: k.ID}))
	}
	if k.Revoked && err == nil {
		_, err = s.keys.RevokeKey(ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: k.ID}))
	}
	if err != nil {
		tb.Fatalf("%s: %v", k.Name, err)
	}
}

func (s *server) applyDirectory(tb testing.TB, d *directoryv1.Directory) {
	tb.Helper()
	_, err := s.dir.ApplyDirectory(tb.Context(), connect.NewRequest(&adminv1.ApplyDirectoryRequest{Directory: d, Prune: true, Force: true}))
	if err != nil {
		tb.Fatal(err)
	}
}

func directoryOf(w *oracle.World) *directoryv1.Directory {
	d := &directoryv1.Directory{}
	for _, id := range slices.Sorted(maps.Keys(w.Tenants)) {
		t := w.Tenants[id]
		d.Tenants = append(d.Tenants, &directoryv1.Tenant{Id: id, Parent: t.Parent, Plan: t.Plan, Status: statusOf(t.Suspended)})
	}
	for _, id := range slices.Sorted(maps.Keys(w.Principals)) {
		p := w.Principals[id]
		out := &directoryv1.Principal{Id: id, Memberships: p.Memberships, Status: statusOf(p.Suspended), Permissions: map[string]*structpb.ListValue{}}
		for tenant, permissions := range p.Permissions {
			out.Permissions[tenant] = listOf(permissions)
		}
		d.Principals = append(d.Principals, out)
	}
	return d
}

func statusOf(suspended bool) string {
	if suspended {
		return "suspended"
	}
	return "active"
}

func listOf(values []string) *structpb.ListValue {
	l := &structpb.ListValue{}
	for _, v := range values {
		l.Values = append(l.Values, structpb.NewStringValue(v))
	}
	return l
}

// before is the directory while the keys are made: nobody is suspended, and
// whoever makes a key holds everything where it belongs.
func before(w *oracle.World) *directoryv1.Directory {
	d := directoryOf(w)
	byID := map[string]*directoryv1.Principal{}
	tenants := map[string]bool{}
	for _, t := range d.GetTenants() {
		t.Status = "active"
		tenants[t.GetId()] = true
	}
	for _, p := range d.GetPrincipals() {
		p.Status = "active"
		byID[p.GetId()] = p
	}
	person := func(id string) *directoryv1.Principal {
		if byID[id] == nil {
			byID[id] = &directoryv1.Principal{Id: id}
			d.Principals = append(d.Principals, byID[id])
		}
		return byID[id]
	}
	all := []string{"content.read", "content.upload", "content.update", "agent.read", "agent.create", "agent.update", "agent.delete"}
	for _, k := range w.Keys {
		if k.Tenant != "" && !tenants[k.Tenant] {
			tenants[k.Tenant] = true
			t := &directoryv1.Tenant{Id: k.Tenant}
			if k.Policy == "spotzee" && k.Type != "organisation" {
				t.Parent = "organisation:o_1"
			}
			d.Tenants = append(d.Tenants, t)
		}
		if k.Principal != "" {
			person(k.Principal)
		}
		if k.Creator == "" {
			continue
		}
		p := person(k.Creator)
		switch k.Policy {
		case "cuneiform":
			if p.Permissions == nil {
				p.Permissions = map[string]*structpb.ListValue{}
			}
			p.Permissions[k.Tenant] = listOf(all)
		case "spotzee":
			p.Memberships = maps.Clone(p.Memberships)
			if p.Memberships == nil {
				p.Memberships = map[string]string{}
			}
			if k.Type == "organisation" {
				p.Memberships[k.Tenant] = "owner"
			}
		}
	}
	return d
}
