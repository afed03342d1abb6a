package authz

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/policy"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is what a check may know, in maps that a test may change before it
// asks.
type world struct {
	policies   *policy.Policies
	keys       map[string]*key.Record
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
	revision   uint64
	latest     time.Time
	lease      *Lease
	lookups    int // how often a key was looked up
}

func (w *world) Tenant(id string) (directory.Tenant, bool) {
	return directory.Maps{Tenants: w.tenants, Principals: w.principals}.Tenant(id)
}

func (w *world) Principal(id string) (directory.Person, bool) {
	return directory.Maps{Tenants: w.tenants, Principals: w.principals}.Principal(id)
}

func (w *world) Lookup(d key.Digest, to *key.Facts) bool {
	w.lookups++
	for _, r := range w.keys {
		if f, ok := r.FactsOf(d); ok {
			*to = *f
			return true
		}
	}
	return false
}

func (w *world) view() View {
	return View{Policies: w.policies, Keys: w, Directory: w, Revision: w.revision, Latest: w.latest, Lease: w.lease}
}

// filler is what the secrets of the fixture end with.
const filler = "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"

// tokens of the fixture, by the id of their key.
var tokens = map[string]string{
	"key_full":    "sk_live_0" + filler[1:],
	"key_guest":   "sk_live_1" + filler[1:],
	"key_none":    "sk_live_2" + filler[1:],
	"key_browser": "", // has a checksum, so it is minted
	"key_member":  "mk_live_-_" + filler[2:],
	"key_user":    "uk_live_4" + filler[1:],
	"key_both":    "uk_live_5" + filler[1:],
	"key_lost":    "uk_live_6" + filler[1:],
	"key_parent":  "ok_live_7" + filler[1:],
	"key_test":    "sk_test_8" + filler[1:],
}

// newWorld returns the fixture: a key of each type, two teams of an
// organisation, one that belongs to nobody, and people of every kind.
func newWorld(tb testing.TB, more ...*policy.Policy) *world {
	tb.Helper()
	src, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	policies, err := policy.NewPolicies(append(more, compile(tb, string(src)))...)
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{
		policies: policies, revision: 7, keys: map[string]*key.Record{},
		tenants: map[string]*directory.Tenant{
			"org:o_1":  {ID: "org:o_1", Plan: "pro"},
			"org:o_2":  {ID: "org:o_2"},
			"team:t_1": {ID: "team:t_1", Parent: "org:o_1", Plan: "free"},
			"team:t_2": {ID: "team:t_2", Parent: "org:o_1", Plan: "pro"},
			"team:t_3": {ID: "team:t_3", Parent: "org:o_2"},
		},
		principals: map[string]*directory.Principal{
			"user:ada": {ID: "user:ada", Memberships: map[string]string{"team:t_1": "owner", "team:t_3": "guest"}},
			"user:bob": {ID: "user:bob", Memberships: map[string]string{"team:t_1": "owner", "team:t_2": "owner"}},
			"user:eve": {ID: "user:eve", Memberships: map[string]string{"team:t_1": "guest"}},
		},
	}
	for _, r := range []key.Record{
		{ID: "key_full", Type: "secret", Tenant: "team:t_1", Creator: "user:ada", Scopes: []string{"read", "write"}},
		{ID: "key_guest", Type: "secret", Tenant: "team:t_1", Creator: "user:eve", Scopes: []string{"read", "write"}},
		{ID: "key_none", Type: "secret", Tenant: "team:t_1"},
		{ID: "key_browser", Type: "browser", Tenant: "team:t_1"},
		{ID: "key_member", Type: "member", Tenant: "team:t_1", Role: "guest"},
		{ID: "key_user", Type: "user", Principal: "user:ada"},
		{ID: "key_both", Type: "user", Principal: "user:bob"},
		{ID: "key_lost", Type: "user", Principal: "user:eve"},
		{ID: "key_parent", Type: "parent", Tenant: "org:o_1"},
		{ID: "key_test", Type: "secret", Tenant: "team:t_1", Environment: "test", Scopes: []string{"read"}},
	} {
		r.Policy = "acme"
		if r.Environment == "" {
			r.Environment = "live"
		}
		if tokens[r.ID] == "" {
			format, _ := policies.Get("acme").Type(r.Type).Format(r.Environment)
			token, err := mint.Token(format, strings.NewReader(strings.Repeat("latchkey", 99)))
			if err != nil {
				tb.Fatal(err)
			}
			tokens[r.ID] = token.Reveal()
		}
		r.Secrets = []key.Secret{{Digest: key.NewToken(tokens[r.ID]).Digest()}}
		w.keys[r.ID] = &r
	}
	return w
}

func compile(tb testing.TB, text string) *policy.Policy {
	tb.Helper()
	var doc policyv1.Policy
	if _, err := strictyaml.Decode("policy.yaml", []byte(text), &doc); err != nil {
		tb.Fatal(err)
	}
	p, err := policy.Compile(&doc)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// acme returns the fixture's policy.
func (w *world) acme() *policy.Policy { return w.policies.Get("acme") }

// bearer is the header that presents a key of the fixture.
func bearer(id string) string { return "authorization: Bearer " + tokens[id] }

// setToken gives a key another token in place of its own.
func setToken(r *key.Record, token string) { r.Secrets[0].Digest = key.NewToken(token).Digest() }
