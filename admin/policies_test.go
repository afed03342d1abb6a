package admin

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/policyfile"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestApplyPolicy(t *testing.T) {
	b := start(t)
	at := b.store.Position()
	out := b.apply(desk)
	if out.GetChanged() || b.store.Position() != at || out.GetPolicy().GetName() != "desk" {
		t.Errorf("the same policy again: %v", out)
	}
	for _, tc := range []struct {
		name, source string
		words        []string
	}{
		{"mistakes with their place", strings.Replace(sparse, "all-of-it]}\nendpoints", "all-of-them]}\nendpoints", 1), []string{"policy.yaml:7", "all-of-it"}},
		{"a host of another", strings.Replace(sparse, "name: sparse", "name: other", 1), []string{"sparse.example", "belongs to one policy"}},
		{"no policy", "a: b: c", []string{"policy.yaml:1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{File: "policy.yaml", Source: tc.source})
			expect(t, err, ErrInvalid, tc.words...)
			if b.store.Position() != at {
				t.Error("a wrong policy changed the store")
			}
		})
	}
	wider := strings.Replace(sparse, "hosts: [sparse.example]", "hosts: [sparse.example, also.example]", 1)
	dry, err := b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: wider, DryRun: true})
	if expect(t, err, nil); !dry.GetChanged() || len(dry.GetPolicy().GetHosts()) != 2 || b.store.Position() != at {
		t.Errorf("dry run: %v", dry)
	}
	if out := b.apply(wider); !out.GetChanged() || out.GetPosition().GetRevision() != at.Revision+1 {
		t.Errorf("%v", out)
	}
	b.recorded("policies.apply", operator)
	b.make(operator, plainKey)
	list, err := b.listPolicies(t.Context(), operator, nil)
	if err != nil || len(list.GetPolicies()) != 2 || list.GetPolicies()[1].GetKeys() != 1 || list.GetPolicies()[1].GetHosts()[1] != "also.example" {
		t.Errorf("%v: %v", err, list)
	}
}

// Each case changes the policy of the bench so that keys lose something, or
// so that they don't.
func TestStrand(t *testing.T) {
	replace := func(old, with string) string {
		t.Helper()
		if !strings.Contains(desk, old) {
			t.Fatalf("no %q in the policy", old)
		}
		return strings.Replace(desk, old, with, 1)
	}
	for _, tc := range []struct {
		name, source string
		words        []string // nil: nothing is stranded
	}{
		{"description", replace("    required: [name]\n", "    required: [name]\n    description: for roles\n"), nil},
		{"fewer scopes of a role", replace("[read, write, own]", "[read]"), nil},
		{"a role that nobody carries", replace("  project: {parent: org, roles: [editor]}", "  project: {parent: org, roles: [author]}"), nil},
		{"a scope that nobody chose", replace("grantable: [docs:read, docs:write]", "grantable: [docs:read]"), nil},
		{"the format as a former one", replace("format: me_{environment}_{secret:30}\n", "format: my_{environment}_{secret:30}\n    former_formats: ['me_{environment}_{secret:30}']\n"), nil},
		{"a format", replace("format: me_{environment}_{secret:30}", "format: my_{environment}_{secret:30}"), []string{"1 live key would", `1 loses the format of their tokens, which the type "personal"`}},
		{"a length", replace("format: me_{environment}_{secret:30}", "format: me_{environment}_{secret:31}"), []string{"format"}},
		{"a checksum", replace("format: me_{environment}_{secret:30}", "format: me_{environment}_{secret:30}{checksum}"), []string{"format"}},
		{"a former format that no key has", replace("    former_formats: [\"old_{secret:24}\"]\n", ""), nil},
		{"a type", replace("  personal:\n", "  private:\n"), []string{`1 loses their type "personal"`}},
		{"a role", replace("{default: member}", "{default: owner}"), nil},
		{"a role that a key carries", strings.Replace(replace("{default: member}", "{}"), "member: {scopes", "guest: {scopes", 1), []string{`1 loses their role "member"`}},
		{"a scope that a key has", replace("grantable: [docs:read, docs:write]", "grantable: [docs:write]"), []string{`1 loses their scope "docs:read"`}},
		{"an environment", replace("  test: {hosts: [test.desk.example]}\n", ""), []string{`1 loses their environment "test"`}},
		{"an owner", strings.Replace(replace("    owner: principal\n    reaches: {org: {roles: [owner]}}\n", "    owner: org\n"), "key.principal", "key.creator", 1), []string{"1 loses their owner"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t)
			b.make(as("user:owner"), chosenKey)
			b.make(as("user:owner"), roleKey)
			b.make(operator, publicKey)
			personal := b.make(as("user:owner"), personalKey)
			request := &adminv1.ApplyPolicyRequest{File: "desk.yaml", Source: tc.source, DryRun: true}
			_, err := b.applyPolicy(t.Context(), operator, request)
			if tc.words == nil {
				expect(t, err, nil)
				return
			}
			expect(t, err, ErrUnfit, append(tc.words, "--strand")...)
			if tc.name == "a format" { // a revoked key isn't stranded
				if _, err := b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: personal.GetId()}); err != nil {
					t.Fatal(err)
				}
				_, err = b.applyPolicy(t.Context(), operator, request)
				expect(t, err, nil)
			}
			request.DryRun, request.Strand = false, true
			_, err = b.applyPolicy(t.Context(), operator, request)
			expect(t, err, nil)
			// What is stranded already holds up nothing.
			request.Source, request.Strand = strings.Replace(tc.source, "required: [name]\n", "required: [name]\n    description: again\n", 1), false
			_, err = b.applyPolicy(t.Context(), operator, request)
			expect(t, err, nil)
		})
	}
}

func TestRemovePolicy(t *testing.T) {
	b := start(t)
	id := b.make(operator, plainKey).GetId()
	_, err := b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "sprase"})
	expect(t, err, ErrAbsent, `did you mean "sparse"?`)
	_, err = b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "sparse"})
	expect(t, err, ErrUnfit, "1 live key would be stranded", "1 loses their policy")
	_, err = b.removePolicy(t.Context(), operator, &adminv1.RemovePolicyRequest{Name: "sparse", Strand: true})
	expect(t, err, nil)
	b.recorded("policies.remove", operator)

	// What has lost its policy is shown and can be ended, and no more.
	shown, err := b.getKey(t.Context(), operator, &adminv1.GetKeyRequest{Id: id})
	if err != nil || shown.GetKey().GetPolicy() != "sparse" {
		t.Errorf("%v: %v", err, shown)
	}
	_, err = b.getKey(t.Context(), as("user:owner"), &adminv1.GetKeyRequest{Id: id})
	expect(t, err, ErrRefused, "not in use")
	_, err = b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id})
	expect(t, err, ErrUnfit, "not in use")
	_, err = b.revokeKey(t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id})
	expect(t, err, nil)
}

func TestApplyFile(t *testing.T) {
	b := empty(t)
	shown := func() *adminv1.Policy {
		t.Helper()
		all, err := b.Policies()
		if err != nil || len(all) != 1 {
			t.Fatal(err, all)
		}
		return all[0]
	}
	apply := func(source string) (bool, error) {
		return b.ApplyFile(t.Context(), "process", "sparse.yaml", []byte(source), false)
	}
	changed, err := apply(sparse)
	if expect(t, err, nil); !changed || shown().GetFile() != "sparse.yaml" || shown().GetError() != "" {
		t.Errorf("changed %v, %v", changed, shown())
	}
	b.recorded("policies.apply", Caller{Operator: "process"})
	version := shown().GetVersion()
	_, err = apply("name: sparse\nhost: x\n")
	expect(t, err, ErrInvalid, "sparse.yaml:2")
	if p := shown(); p.GetVersion() != version || !strings.Contains(p.GetError(), "sparse.yaml:2") {
		t.Errorf("a bad file: %v", p)
	}
	if changed, err = apply(sparse); err != nil || changed || shown().GetError() != "" {
		t.Errorf("the file is right again: %v, changed %v, %v", err, changed, shown())
	}
	other := strings.Replace(sparse, "sparse.example", "other.example", 1)
	for _, step := range []struct {
		source   string
		dryRun   bool
		replaced string
	}{
		{sparse, true, ""}, // it changes nothing
		{other, true, "sparse.yaml"},
		{other, false, "sparse.yaml"},
		{sparse, false, ""}, // what it replaces came over the API
	} {
		a, err := b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: step.source, DryRun: step.dryRun})
		if err != nil || a.GetReplacedFile() != step.replaced {
			t.Errorf("%+v: %v, %v", step, a, err)
		}
	}
	if p := shown(); p.GetFile() != "" {
		t.Errorf("applied over the API: %v", p)
	}
}

// Where a policy comes from is noted while nobody else can put another in its place: else the last to note it need not be
// the last who wrote.
func TestWhereAPolicyComesFromIsNotedInOrder(t *testing.T) {
	b := empty(t)
	loaded, err := policyfile.Load("sparse.yaml", []byte(sparse))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		how  applied
		file string
	}{
		{applied{file: "sparse.yaml"}, "sparse.yaml"},
		{applied{dryRun: true}, "sparse.yaml"},
		{applied{}, ""},
		{applied{file: "another.yaml"}, "another.yaml"},
	} {
		if _, err := b.Server.use(t.Context(), operator, loaded, step.how); err != nil {
			t.Fatal(err)
		}
		if file, _ := b.files.of("sparse"); file != step.file {
			t.Errorf("%+v: it comes from %q", step.how, file)
		}
	}
}

// A store that is opened again compiles what it holds, and a change of one
// policy compiles one.
func TestCompiler(t *testing.T) {
	c := new(Compiler)
	dir := storagetest.Dir(t)
	db := storagetest.Open(t, dir, storage.Options{Compile: c.Compile})
	s := New(Options{Ledger: db})
	for _, source := range []string{desk, sparse} {
		if _, err := s.ApplyFile(t.Context(), "process", "f", []byte(source), false); err != nil {
			t.Fatal(err)
		}
	}
	var first *Compiled
	db.View(func(v *storage.View) { first = v.Policies().(*Compiled) })
	if _, err := s.ApplyFile(t.Context(), "process", "f", []byte(strings.Replace(sparse, "sparse.example", "other.example", 1)), false); err != nil {
		t.Fatal(err)
	}
	var second *Compiled
	db.View(func(v *storage.View) { second = v.Policies().(*Compiled) })
	if first.one["desk"] != second.one["desk"] || first.one["sparse"] == second.one["sparse"] {
		t.Error("the policy that stayed was compiled again, or the other wasn't")
	}
	storagetest.Close(t, db)
	again := storagetest.Open(t, dir, storage.Options{Compile: new(Compiler).Compile})
	again.View(func(v *storage.View) {
		p := v.Policies().(*Compiled)
		if p.Policy("desk").Version() != second.Policy("desk").Version() || p.Policies.Get("sparse") == nil {
			t.Error("the store opened again has other policies")
		}
	})
	if _, err := c.Compile(map[string][]byte{"x": []byte("\xff")}); err == nil {
		t.Error("a broken document compiles")
	}
}

// Of a key that was imported by digest the form isn't known, so that every
// form of its type must stay.
func TestStrandUnknownForm(t *testing.T) {
	b := start(t)
	out, err := b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{
		{Key: fields(t, chosenKey), TokenSha256: strings.Repeat("ab", 32), Creator: "user:owner"},
	}})
	if err != nil || out.GetMistakes() != nil || out.GetKeys()[0].GetPrefix() != "" {
		t.Fatal(err, out)
	}
	for source, kind := range map[string]error{
		strings.Replace(desk, "required: [name]\n", "required: [name]\n    description: other\n", 1): nil,
		strings.Replace(desk, "    former_formats: [\"old_{secret:24}\"]\n", "", 1):                  ErrUnfit,
		strings.Replace(desk, "old_{secret:24}", "older_{secret:24}", 1):                             ErrUnfit,
	} {
		_, err := b.applyPolicy(t.Context(), operator, &adminv1.ApplyPolicyRequest{Source: source, DryRun: true})
		expect(t, err, kind)
	}
}
