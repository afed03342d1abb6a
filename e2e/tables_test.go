package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/e2e/world"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/policytable"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

// TestExampleTables runs every row of the four requests.yaml through a real
// Envoy in both profiles, in front of one server that has all four policies.
// `latchkey policy test` runs the same rows without either.
func TestExampleTables(t *testing.T) {
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	var tables []*policytable.Table
	everybody := &directoryv1.Directory{}
	for _, name := range world.Systems {
		table, err := policytable.Load(filepath.Join(root, "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
		everybody.Tenants = append(everybody.Tenants, table.Directory.GetTenants()...)
		everybody.Principals = append(everybody.Principals, table.Directory.GetPrincipals()...)
	}
	s.applyDirectory(t, everybody)
	m := startMesh(t, s.socket())
	for _, table := range tables {
		tokens := map[string]string{}
		for _, k := range table.Keys {
			tokens[k.GetName()] = s.issue(t, table, k)
		}
		cases := table.Cases()
		for len(cases) > 0 {
			// Cases of one row share its directory: they are sent together.
			n := 1
			for n < len(cases) && cases[n].Directory == cases[0].Directory {
				n++
			}
			s.during(t, cases[0].Directory, everybody, func() { m.sendAll(t, cases[:n], tokens) })
			cases = cases[n:]
		}
		t.Logf("%s: %d rows, %d cells in %d profiles", table.Policy.GetName(), table.Rows(), len(table.Cases()), len(profiles))
	}
}

// issue makes a key of a table and does to it what became of it. It returns
// the token that rows present.
func (s *server) issue(t *testing.T, table *policytable.Table, k *tablev1.Key) string {
	t.Helper()
	ctx := t.Context()
	fields := &adminv1.KeyFields{
		Policy: table.Policy.GetName(), Type: k.GetType(), Environment: k.GetEnvironment(), Tenant: k.GetTenant(),
		Principal: k.GetPrincipal(), Role: k.GetRole(), Scopes: k.GetScopes(), Name: k.GetName(),
	}
	if k.GetState() == policytable.Expired {
		fields.ExpiresIn = durationpb.New(time.Second)
	}
	made, err := s.keys.CreateKey(ctx, connect.NewRequest(&adminv1.CreateKeyRequest{As: k.GetCreator(), Key: fields}))
	if err != nil {
		t.Fatalf("%s: %v", k.GetName(), err)
	}
	id := made.Msg.GetKey().GetId()
	switch k.GetState() {
	case policytable.Revoked:
		_, err = s.keys.RevokeKey(ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: id}))
	case policytable.Disabled:
		_, err = s.keys.DisableKey(ctx, connect.NewRequest(&adminv1.DisableKeyRequest{Id: id}))
	case policytable.Rotated:
		_, err = s.keys.RotateKey(ctx, connect.NewRequest(&adminv1.RotateKeyRequest{Id: id}))
	case policytable.Retiring:
		_, err = s.keys.RotateKey(ctx, connect.NewRequest(&adminv1.RotateKeyRequest{Id: id, Grace: durationpb.New(time.Hour)}))
	case policytable.Expired:
		eventually(t, k.GetName()+" expires", func() error {
			got, err := s.keys.GetKey(ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: id}))
			if err == nil && got.Msg.GetKey().GetStatus() != "expired" {
				err = fmt.Errorf("status %s", got.Msg.GetKey().GetStatus())
			}
			return err
		})
	}
	if err != nil {
		t.Fatalf("%s: %v", k.GetName(), err)
	}
	return made.Msg.GetKey().GetToken()
}

// during replaces objects of the directory while f runs.
func (s *server) during(t *testing.T, d, everybody *directoryv1.Directory, f func()) {
	t.Helper()
	if d == nil {
		f()
		return
	}
	if _, err := s.dir.ApplyDirectory(t.Context(), connect.NewRequest(&adminv1.ApplyDirectoryRequest{Directory: d})); err != nil {
		t.Fatal(err)
	}
	f()
	s.applyDirectory(t, everybody)
}

// sendAll sends cases, several at a time.
func (m *mesh) sendAll(t *testing.T, cases []policytable.Case, tokens map[string]string) {
	t.Helper()
	work := make(chan policytable.Case)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for c := range work {
				for _, profile := range profiles {
					m.sendCase(t, profile, c, tokens)
				}
			}
		})
	}
	for _, c := range cases {
		work <- c
	}
	close(work)
	workers.Wait()
}

func (m *mesh) sendCase(t *testing.T, profile envoytest.Profile, c policytable.Case, tokens map[string]string) {
	place := fmt.Sprintf("%s: %s (%s): %s by %s", c.Place, c.Rule, profile, c.Request, c.KeyName())
	reasons := policy.Reasons()
	i := slices.IndexFunc(reasons, func(r policy.Reason) bool { return r.String() == c.Expect })
	if i < 0 {
		t.Errorf("%s: no reason %q", place, c.Expect)
		return
	}
	want := reasons[i]
	id := nextCase()
	fields := []envoytest.Field{{Name: "Host", Value: c.Host}, {Name: "Connection", Value: "close"}, {Name: "Content-Length", Value: "0"}, {Name: envoytest.CaseHeader, Value: id}}
	if c.Key != nil {
		fields = append(fields, envoytest.Field{Name: "Authorization", Value: "Bearer " + tokens[c.Key.GetName()]})
	}
	for name, value := range c.Headers {
		fields = append(fields, envoytest.Field{Name: name, Value: value})
	}
	resp, err := envoytest.H1(t.Context(), m.envoy.Addr(string(profile)), envoytest.Request(c.Method, c.Path, fields, nil))
	if err != nil {
		t.Errorf("%s: %v", place, err)
		return
	}
	reached := m.up.Take(id)
	if resp.Status != want.Status() || (len(reached) == 1) != want.Allows() {
		t.Errorf("%s: status %d, reached the upstream %d times, want %s", place, resp.Status, len(reached), c.Expect)
		return
	}
	if !want.Allows() {
		return
	}
	for name, value := range c.Identity {
		got := strings.Join(reached[0].Values("x-latchkey-"+name), "|")
		if got != value {
			t.Errorf("%s: the upstream is told x-latchkey-%s %q, want %q", place, name, got, value)
		}
	}
}
