package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

func TestApplyDirectory(t *testing.T) {
	for _, tc := range []struct {
		name  string
		file  string
		wrong []string // each a line of the error
	}{
		{"plan", `{"tenants":[{"id":"org:a","plan":"free"}]}`, nil},
		{"parent in the file", `{"tenants":[{"id":"project:x","parent":"org:a"},{"id":"org:a"}]}`, nil},
		{"parent in the store", `{"tenants":[{"id":"project:x","parent":"org:paid"}]}`, nil},
		{"role and permission", `{"principals":[{"id":"user:a","memberships":{"org:paid":"member","project:p1":"editor"},"permissions":{"org:free":["doc.read","doc.write"]}}]}`, nil},
		{"member of a tenant to come", `{"principals":[{"id":"user:a","memberships":{"org:tomorrow":"member"}}]}`, nil},

		// sparse declares org without plans: any is right, until it goes.
		{"any plan", `{"tenants":[{"id":"org:a","plan":"gold"}]}`, nil},
		{"kind", `{"tenants":[{"id":"orgs:a"}]}`, []string{`tenants: orgs:a: no policy declares tenants of the kind "orgs": did you mean "org"?`}},
		{"kind of a membership", `{"principals":[{"id":"user:a","memberships":{"team:a":"x"}}]}`, []string{`memberships: team:a: no policy declares tenants of the kind "team"`}},
		{"role", `{"principals":[{"id":"user:a","memberships":{"org:paid":"onwer"}}]}`, []string{`no policy declares the role "onwer" for a org: did you mean "owner"?`}},
		{"role of another kind", `{"principals":[{"id":"user:a","memberships":{"project:p1":"owner"}}]}`, []string{`no policy declares the role "owner" for a project`}},
		{"permission", `{"principals":[{"id":"user:a","permissions":{"org:paid":["doc.raed"]}}]}`, []string{`no policy declares the permission "doc.raed": did you mean "doc.read"?`}},
		{"permission twice", `{"principals":[{"id":"user:a","permissions":{"org:paid":["doc.read","doc.read"]}}]}`, []string{"named twice"}},
		{"no parent", `{"tenants":[{"id":"project:x"}]}`, []string{"tenants: project:x: parent: it is missing"}},
		{"a parent too many", `{"tenants":[{"id":"org:x","parent":"org:paid"}]}`, []string{"a org has no parent"}},
		{"parent of the wrong kind", `{"tenants":[{"id":"project:x","parent":"project:p1"}]}`, []string{"name a tenant of the kind org"}},
		{"parent unknown", `{"tenants":[{"id":"project:x","parent":"org:nobody"}]}`, []string{"its parent org:nobody isn't in the directory"}},
		{"twice", `{"tenants":[{"id":"org:a"},{"id":"org:a"}],"principals":[{"id":"user:a"},{"id":"user:a"}]}`, []string{"org:a is named twice", "user:a is named twice"}},
		{"name", `{"tenants":[{"id":"a"}]}`, []string{"kind:name"}},
		{"status", `{"tenants":[{"id":"org:a","status":"gone"}]}`, []string{"suspended"}},
		{
			"all at once", `{"tenants":[{"id":"orgs:a"},{"id":"project:x"}],"principals":[{"id":"user:a","memberships":{"org:paid":"king"},"permissions":{"org:free":["nothing"]}}]}`,
			[]string{"orgs:a", "project:x: parent", `"king"`, `"nothing"`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t)
			before := b.store.Position()
			request := &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, tc.file), DryRun: true}
			_, dryErr := b.applyDirectory(t.Context(), operator, request)
			if b.store.Position() != before {
				t.Error("a dry run changed the store")
			}
			request.DryRun = false
			_, err := b.applyDirectory(t.Context(), operator, request)
			if tc.wrong == nil {
				expect(t, dryErr, nil)
				expect(t, err, nil)
				b.recorded("directory.apply", operator)
				return
			}
			expect(t, dryErr, ErrInvalid, tc.wrong...)
			expect(t, err, ErrInvalid, tc.wrong...)
			if err != nil && strings.Count(err.Error(), "\n")+1 != len(tc.wrong) {
				t.Errorf("want %d mistakes: %v", len(tc.wrong), err)
			}
			if b.store.Position() != before {
				t.Error("a wrong file changed the store")
			}
		})
	}
}

func TestPlansAreJudgedByEveryPolicy(t *testing.T) {
	b := empty(t)
	plan := &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, `{"tenants":[{"id":"org:a","plan":"gold"}]}`)}
	_, err := b.applyDirectory(t.Context(), operator, plan)
	expect(t, err, ErrInvalid, `no policy declares tenants of the kind "org"`)
	b.apply(desk)
	_, err = b.applyDirectory(t.Context(), operator, plan)
	expect(t, err, ErrInvalid, `no policy declares the plan "gold"`, "free, paid")
	b.apply(sparse)
	_, err = b.applyDirectory(t.Context(), operator, plan)
	expect(t, err, nil)
}

func TestUnchangedObjectsAreNotWritten(t *testing.T) {
	b := start(t)
	at := b.store.Position()
	out := b.people(people, true)
	if b.store.Position() != at || out.GetUnchanged() != 10 || out.GetPosition().GetRevision() != at.Revision {
		t.Errorf("applied again: %v", out)
	}
	out = b.people(`{"tenants":[{"id":"org:new"},{"id":"org:free","plan":"paid"},{"id":"org:paid","plan":"paid"}]}`, false)
	if !slices.Equal(out.GetAdded(), []string{"org:new"}) || !slices.Equal(out.GetChanged(), []string{"org:free"}) || out.GetUnchanged() != 1 || len(out.GetRemoved()) > 0 {
		t.Errorf("%v", out)
	}
	tenants, _, _ := b.store.Directory()
	for _, tenant := range tenants {
		if changed := tenant.ID == "org:new" || tenant.ID == "org:free"; changed != (tenant.Revision > at.Revision) {
			t.Errorf("%s has revision %d", tenant.ID, tenant.Revision)
		}
	}
	got, err := b.getDirectory(t.Context(), operator, nil)
	if err != nil || len(got.GetDirectory().GetTenants()) != 6 || len(got.GetDirectory().GetPrincipals()) != 5 {
		t.Errorf("%v: %v", err, got)
	}
}

func TestWarnings(t *testing.T) {
	b := start(t)
	for file, want := range map[string][]string{
		`{"principals":[{"id":"user:a","memberships":{"org:paid":"member"},"permissions":{"org:free":["doc.read"]}}]}`: nil,
		`{"tenants":[{"id":"org:new"}],"principals":[{"id":"user:a","memberships":{"org:new":"member"}}]}`:             nil, // in the same file
		`{"principals":[{"id":"org:a"}]}`: {`principals: org:a: policies declare tenants of the kind "org"`},
		`{"principals":[{"id":"user:a","memberships":{"org:b":"member","org:paid":"member","org:c":"member"},"permissions":{"org:d":["doc.read"]}}]}`: {
			"principals: user:a: memberships: org:b: there is no such tenant", "principals: user:a: memberships: org:c: ", "principals: user:a: permissions: org:d: ",
		},
	} {
		out, err := b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, file), DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(out.GetWarnings(), want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", file, out.GetWarnings(), want)
		}
	}
	many := &directoryv1.Principal{Id: "user:many", Memberships: map[string]string{}}
	for i := range 2 * maxWarnings {
		many.Memberships[fmt.Sprint("org:", i)] = "member"
	}
	out, err := b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: &directoryv1.Directory{Principals: []*directoryv1.Principal{many}}})
	if err != nil || len(out.GetWarnings()) != maxWarnings {
		t.Errorf("%d warnings, %v", len(out.GetWarnings()), err)
	}
}

func TestPrune(t *testing.T) {
	b := start(t)
	b.make(as("user:owner"), chosenKey)
	b.make(as("user:owner"), roleKey)
	b.make(as("user:member"), publicKey)
	b.make(as("user:owner"), personalKey)
	plain := b.make(operator, plainKey)
	prune := func(file string, force bool) (*adminv1.ApplyDirectoryResponse, error) {
		return b.applyDirectory(t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(t, file), Prune: true, Force: force})
	}
	at := b.store.Position()
	_, err := prune(`{}`, false)
	expect(t, err, ErrUnfit, "3 live keys belong to org:paid", "1 live key belongs to org:free", "1 live key belongs to user:owner",
		"2 live keys hold no more than their creator user:owner", "1 live key holds no more than its creator user:member", "--force")
	_, err = prune(`{"tenants":[{"id":"project:p1","parent":"org:paid"}]}`, true)
	expect(t, err, ErrInvalid, "its parent org:paid isn't in the directory")
	if b.store.Position() != at {
		t.Fatal("a refused removal changed the store")
	}
	if _, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: plain.GetId()}); err != nil {
		t.Fatal(err)
	}
	out, err := prune(strings.Replace(people, `{"id": "org:free", "plan": "free"},`, "", 1), false)
	if expect(t, err, nil); !slices.Equal(out.GetRemoved(), []string{"org:free"}) {
		t.Errorf("a tenant whose keys are revoked isn't removed: %v", out)
	}
	out, err = prune(`{}`, true)
	if expect(t, err, nil); len(out.GetRemoved()) != 9 {
		t.Errorf("%v", out)
	}
	if tenants, principals, _ := b.store.Directory(); len(tenants)+len(principals) != 0 {
		t.Errorf("%d tenants and %d principals are left", len(tenants), len(principals))
	}
}

func TestLargeDirectory(t *testing.T) {
	b := start(t)
	var file strings.Builder
	file.WriteString(`{"principals":[`)
	for i := range 5000 {
		if i > 0 {
			file.WriteByte(',')
		}
		fmt.Fprintf(&file, `{"id":"user:u%d","memberships":{"org:paid":"member"}}`, i)
	}
	file.WriteString(`]}`)
	if out := b.people(file.String(), false); len(out.GetAdded()) != 5000 {
		t.Errorf("%d added", len(out.GetAdded()))
	}
}
