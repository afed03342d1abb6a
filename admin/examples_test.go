package admin

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchkey/latchkey/examples"
	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// withExamples is a store with the four example systems at once.
func withExamples(t testing.TB) *bench {
	t.Helper()
	b := empty(t)
	for _, system := range examples.Systems {
		source, err := examples.Files.ReadFile(system + "/policy.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ApplyFile(t.Context(), "process", system+"/policy.yaml", source, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, system := range examples.Systems {
		source, err := examples.Files.ReadFile(system + "/directory.yaml")
		if err != nil {
			t.Fatal(err)
		}
		d := &directoryv1.Directory{}
		if _, err := strictyaml.Decode(system+"/directory.yaml", source, d); err != nil {
			t.Fatal(err)
		}
		if _, err := b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: d}); err != nil {
			t.Fatalf("%s: %v", system, err)
		}
	}
	return b
}

// Who makes which keys, in the words of the four documents.
func TestExamplesCreate(t *testing.T) {
	b := withExamples(t)
	cuneiform := func(org, scopes string) string {
		return `{"policy":"cuneiform","type":"key","environment":"live","tenant":"org:` + org + `","scopes":[` + scopes + `]}`
	}
	spotzee := func(kind, tenant, role string) string {
		return `{"policy":"spotzee","type":"` + kind + `","tenant":"` + tenant + `","role":"` + role + `","name":"n"}`
	}
	kodey := func(kind, owner, id string) string {
		return `{"policy":"kodey","type":"` + kind + `","` + owner + `":"` + id + `"}`
	}
	for _, tc := range []struct {
		name   string
		caller Caller
		key    string
		kind   error
		words  []string
	}{
		{"a team's key", as("user:ada"), kodey("secret", "tenant", "team:t_1"), nil, nil},
		{"a suspended team's key", operator, kodey("secret", "tenant", "team:t_frozen"), ErrUnfit, []string{"suspended"}},
		{"a user's key", as("user:ada"), kodey("user_secret", "principal", "user:ada"), nil, nil},
		{"another user's key", as("user:ben"), kodey("user_secret", "principal", "user:ada"), ErrRefused, []string{"managed by its own user"}},
		{"a user's key for a team", as("user:ada"), kodey("user_secret", "tenant", "team:t_1"), ErrInvalid, []string{"principal:"}},

		{"paid plan", as("user:cleo"), cuneiform("acme", `"agents:write","knowledge:read"`), nil, nil},
		{"starter plan", as("user:cleo"), cuneiform("acme-starter", ``), nil, nil},
		{"trial plan", as("user:cleo"), cuneiform("acme-trial", `"agents:read"`), ErrRefused, []string{"trial organizations cannot create keys"}},
		{"no plan", as("user:cleo"), cuneiform("acme-unplanned", `"agents:read"`), ErrRefused, []string{"trial organizations cannot create keys"}},
		{"no creator", operator, cuneiform("acme", `"agents:read"`), ErrRefused, []string{"on behalf of a principal"}},
		{"above the creator", as("user:emil"), cuneiform("acme", `"agents:write","agents:read","knowledge:write"`), ErrRefused, []string{"agents:write (it lacks agent.create, agent.update)", "knowledge:write"}},
		{"half of what is required", as("user:finn"), cuneiform("acme", `"agents:write"`), ErrRefused, []string{"it lacks agent.update"}},
		{"in another organization", as("user:hugo"), cuneiform("acme", `"agents:read"`), ErrRefused, []string{"agents:read"}},
		{"outside the five", as("user:cleo"), cuneiform("acme", `"agents:delete"`), ErrInvalid, []string{`"agents:delete" can't be granted`}},

		{"a project's admin", as("user:petra"), spotzee("secret", "project:shop", "admin"), nil, nil},
		{"editor by default", as("user:petra"), spotzee("publishable", "project:shop", ""), nil, nil},
		{"a project's publisher", as("user:piet"), spotzee("secret", "project:shop", "support"), ErrRefused, []string{"project's admins"}},
		{"another project's admin", as("user:bela"), spotzee("secret", "project:shop", "support"), ErrRefused, []string{"project's admins"}},
		{"the organisation's owner for a project", as("user:olga"), spotzee("secret", "project:shop", "support"), ErrRefused, []string{"project's admins"}},
		{"an owner hands out owner", as("user:olga"), spotzee("organisation", "organisation:globe", "owner"), nil, nil},
		{"an admin hands out admin", as("user:adam"), spotzee("organisation", "organisation:globe", "admin"), nil, nil},
		{"an admin hands out owner", as("user:adam"), spotzee("organisation", "organisation:globe", "owner"), ErrRefused, []string{"only owners hand out owner", "org:own"}},
		{"a member", as("user:mona"), spotzee("organisation", "organisation:globe", "member"), ErrRefused, []string{"admins and owners"}},
		{"no role picked", as("user:olga"), spotzee("organisation", "organisation:globe", ""), ErrInvalid, []string{"role:", "admin, member, owner"}},
		{"a child of a suspended organisation", operator, spotzee("secret", "project:stranded", "editor"), ErrUnfit, []string{"suspended"}},

		{"production", operator, `{"policy":"shortkit","type":"secret","environment":"live","tenant":"org:kit"}`, nil, nil},
		{"no environment of two", operator, `{"policy":"shortkit","type":"secret","tenant":"org:kit"}`, ErrInvalid, []string{"live, test"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := b.create(tc.caller, tc.key)
			expect(t, err, tc.kind, tc.words...)
		})
	}
}

func TestExamplesRotate(t *testing.T) {
	b := withExamples(t)
	for name, tc := range map[string]struct {
		caller Caller
		key    string
		kind   error
		words  []string
	}{
		"kodey":     {operator, `{"policy":"kodey","type":"secret","tenant":"team:t_1"}`, nil, nil},
		"cuneiform": {as("user:cleo"), `{"policy":"cuneiform","type":"key","environment":"test","tenant":"org:acme"}`, ErrInvalid, []string{"at once"}},
		"spotzee":   {operator, `{"policy":"spotzee","type":"secret","tenant":"project:shop","name":"n"}`, ErrUnfit, []string{"create another one"}},
		"shortkit":  {operator, `{"policy":"shortkit","type":"publishable","environment":"test","tenant":"org:kit"}`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			id := b.make(tc.caller, tc.key).GetId()
			_, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id, Grace: durationpb.New(time.Hour)})
			expect(t, err, tc.kind, tc.words...)
		})
	}
}
