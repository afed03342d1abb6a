package admin

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// with replaces, adds or (where empty) removes fields of a JSON object.
func with(t testing.TB, text string, change func(*adminv1.KeyFields)) string {
	t.Helper()
	f := fields(t, text)
	change(f)
	raw, err := jsonCodec{}.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestCreate(t *testing.T) {
	type F = adminv1.KeyFields
	for _, tc := range []struct {
		name   string
		caller Caller
		key    string
		change func(*F)
		kind   error // nil: it is made
		words  []string
	}{
		{"chosen scopes", as("user:owner"), chosenKey, nil, nil, nil},
		{"none chosen is none", as("user:owner"), chosenKey, func(f *F) { f.Scopes = nil }, nil, nil},
		{"role by default", as("user:owner"), roleKey, nil, nil, nil},
		{"role by name", as("user:owner"), roleKey, func(f *F) { f.Role = "owner" }, nil, nil},
		{"by the operator", operator, roleKey, func(f *F) { f.Role = "owner" }, nil, nil},
		{"no rule names create", as("user:member"), publicKey, nil, nil, nil},
		{"one's own", as("user:owner"), personalKey, nil, nil, nil},
		{"no environments", operator, plainKey, nil, nil, nil},
		{"system key", operator, roleKey, func(f *F) { f.System = true }, nil, nil},

		{"policy", operator, plainKey, func(f *F) { f.Policy = "spars" }, ErrInvalid, []string{"policy:", `"spars"`, `did you mean "sparse"?`}},
		{"no policy", operator, plainKey, func(f *F) { f.Policy = "" }, ErrInvalid, []string{"policy:", "desk, sparse"}},
		{"type", operator, plainKey, func(f *F) { f.Type = "plan" }, ErrInvalid, []string{"type:", `did you mean "plain"?`}},
		{"environment given where there is none", operator, plainKey, func(f *F) { f.Environment = "live" }, ErrInvalid, []string{"environment:", "leave it out"}},
		{"environment left out where there are two", operator, roleKey, func(f *F) { f.Environment = "" }, ErrInvalid, []string{"environment:", "live, test"}},
		{"environment", operator, roleKey, func(f *F) { f.Environment = "tset" }, ErrInvalid, []string{"environment:", `did you mean "test"?`}},
		{"no tenant", operator, roleKey, func(f *F) { f.Tenant = "" }, ErrInvalid, []string{"tenant:", "org:"}},
		{"tenant of another kind", operator, roleKey, func(f *F) { f.Tenant = "project:p1" }, ErrInvalid, []string{"tenant:", "kind org"}},
		{"tenant unknown", operator, roleKey, func(f *F) { f.Tenant = "org:nobody" }, ErrInvalid, []string{"tenant:", "isn't in the directory"}},
		{"tenant suspended", operator, roleKey, func(f *F) { f.Tenant = "org:frozen" }, ErrUnfit, []string{"tenant:", "suspended"}},
		{"principal beside a tenant", operator, roleKey, func(f *F) { f.Principal = "user:owner" }, ErrInvalid, []string{"principal:", "leave the principal out"}},
		{"tenant beside a principal", as("user:owner"), personalKey, func(f *F) { f.Tenant = "org:paid" }, ErrInvalid, []string{"tenant:"}},
		{"no principal", operator, personalKey, func(f *F) { f.Principal = "" }, ErrInvalid, []string{"principal:"}},
		{"principal unknown", operator, personalKey, func(f *F) { f.Principal = "user:nobody" }, ErrInvalid, []string{"principal:", "isn't in the directory"}},
		{"principal suspended", operator, personalKey, func(f *F) { f.Principal = "user:frozen" }, ErrUnfit, []string{"principal:", "suspended"}},
		{"role of no kind", operator, roleKey, func(f *F) { f.Role = "onwer" }, ErrInvalid, []string{"role:", `did you mean "owner"?`}},
		{"role where none is carried", operator, publicKey, func(f *F) { f.Role = "owner" }, ErrInvalid, []string{"role:", "leave it out"}},
		{"scope outside the set", as("user:owner"), chosenKey, func(f *F) { f.Scopes = []string{"docs:read", "read", "nonsense"} }, ErrInvalid, []string{`"read" can't be granted`, `"nonsense" can't be granted`}},
		{"scope twice", as("user:owner"), chosenKey, func(f *F) { f.Scopes = []string{"docs:read", "docs:read"} }, ErrInvalid, []string{"named twice"}},
		{"scopes of a fixed type", operator, publicKey, func(f *F) { f.Scopes = []string{"feed"} }, ErrInvalid, []string{"scopes:"}},
		{"above the caller", as("user:member"), chosenKey, func(f *F) { f.Scopes = []string{"docs:read", "docs:write"} }, ErrRefused, []string{"docs:write (it lacks doc.write)", "user:member"}},
		{"above the caller's permissions", as("user:reader"), chosenKey, func(f *F) { f.Scopes = []string{"docs:write"} }, ErrRefused, []string{"docs:write"}},
		{"within the caller's permissions", as("user:reader"), chosenKey, nil, nil, nil},
		{"a rule says no", as("user:owner"), chosenKey, func(f *F) { f.Tenant = "org:free" }, ErrRefused, []string{"free organizations make no keys"}},
		{"a rule says no to the role", as("user:member"), roleKey, nil, ErrRefused, []string{"keys are managed by owners"}},
		{"a rule misses an attribute", as("user:reader"), roleKey, nil, ErrRefused, []string{"keys are managed by owners"}},
		{"another's", as("user:member"), personalKey, nil, ErrRefused, []string{"a personal key is its owner's"}},
		{"on behalf of a stranger", as("user:nobody"), publicKey, nil, ErrRefused, []string{"acting principal", "isn't in the directory"}},
		{"on behalf of a suspended one", as("user:frozen"), publicKey, nil, ErrRefused, []string{"suspended"}},
		{"a creator is required", operator, chosenKey, nil, ErrRefused, []string{"on behalf of a principal"}},
		{"system key on behalf", as("user:owner"), roleKey, func(f *F) { f.System = true }, ErrRefused, []string{"operator alone"}},
		{"system key of another type", operator, publicKey, func(f *F) { f.System = true }, ErrInvalid, []string{"no system keys"}},
		{"no name", operator, roleKey, func(f *F) { f.Name = " " }, ErrInvalid, []string{"name:", "must have it"}},
		{"no expiry", as("user:owner"), chosenKey, func(f *F) { f.ExpiresIn = nil }, ErrInvalid, []string{"expires", "90d at most"}},
		{"too long a life", as("user:owner"), chosenKey, func(f *F) { f.ExpiresIn.Seconds = 91 * 86400 }, ErrInvalid, []string{"90d at most", "2030-04-01"}},
		{"the longest life", as("user:owner"), chosenKey, func(f *F) { f.ExpiresIn.Seconds = 90 * 86400 }, nil, nil},
		{"expiry now", as("user:owner"), chosenKey, func(f *F) { f.ExpiresIn.Seconds = 0 }, ErrInvalid, []string{"expires_in:"}},
		{"long name", operator, roleKey, func(f *F) { f.Name = strings.Repeat("é", 129) }, ErrInvalid, []string{"name:", "at most 128"}},
		{"the longest name", operator, roleKey, func(f *F) { f.Name = strings.Repeat("é", 128) }, nil, nil},
		{"line break in the description", operator, roleKey, func(f *F) { f.Description = "a\nb" }, ErrInvalid, []string{"description:"}},
		{"all at once", operator, roleKey, func(f *F) {
			f.Environment, f.Tenant, f.Role, f.Name, f.System = "prod", "org:nobody", "king", "", false
		}, ErrInvalid, []string{"environment:", "tenant:", "role:", "name:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t)
			text := tc.key
			if tc.change != nil {
				text = with(t, text, tc.change)
			}
			before := b.store.Position()
			dry, dryErr := b.createKey(t.Context(), tc.caller, &adminv1.CreateKeyRequest{Key: fields(t, text), DryRun: true})
			expect(t, dryErr, tc.kind, tc.words...)
			if dry.GetKey().GetToken() != "" || b.store.Position() != before {
				t.Error("a dry run made something")
			}
			k, err := b.create(tc.caller, text)
			expect(t, err, tc.kind, tc.words...)
			if err != nil {
				if b.store.Position() != before {
					t.Error("a refused creation changed the store")
				}
				return
			}
			r := b.record(k.GetId())
			if r.Current().Digest != key.NewToken(k.GetToken()).Digest() || !strings.HasPrefix(k.GetToken(), k.GetPrefix()) || !strings.HasSuffix(k.GetToken(), k.GetLast4()) || len(k.GetLast4()) != 4 {
				t.Errorf("the token doesn't belong to the record: prefix %q, last4 %q", k.GetPrefix(), k.GetLast4())
			}
			if k.GetStatus() != "active" || r.Creator != tc.caller.Acting || k.GetRevision() != r.Revision {
				t.Errorf("status %q, creator %q, revision %d of %d", k.GetStatus(), r.Creator, k.GetRevision(), r.Revision)
			}
			b.recorded("keys.create", tc.caller)
		})
	}
}

// recorded checks who did what in the newest log entry.
func (b *bench) recorded(action string, who Caller) {
	b.t.Helper()
	entries, err := b.store.Log(b.store.Position().Revision-1, 1)
	if err != nil || len(entries) != 1 {
		b.t.Fatalf("reading the log: %v, %d entries", err, len(entries))
	}
	if e := entries[0]; e.GetAction() != action || e.GetOperator() != who.Operator || e.GetActing() != who.Acting {
		b.t.Errorf("recorded %q by %q for %q", e.GetAction(), e.GetOperator(), e.GetActing())
	}
}

// Whatever is made, nothing but the answer to create has its token.
func TestTokenIsShownOnce(t *testing.T) {
	b := start(t)
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.SampledFrom([]string{chosenKey, roleKey, publicKey, personalKey, plainKey}).Draw(r, "key")
		caller := as("user:owner")
		k, err := b.create(caller, text)
		if err != nil {
			r.Fatal(err)
		}
		list, err := b.listKeys(t.Context(), caller, &adminv1.ListKeysRequest{})
		if err != nil {
			r.Fatal(err)
		}
		got, err := b.getKey(t.Context(), caller, &adminv1.GetKeyRequest{Id: k.GetId()})
		if err != nil {
			r.Fatal(err)
		}
		for _, shown := range append(list.GetKeys(), got.GetKey()) {
			raw, err := jsonCodec{}.Marshal(shown)
			if err != nil {
				r.Fatal(err)
			}
			if shown.GetToken() != "" || strings.Contains(string(raw), k.GetToken()) {
				r.Fatalf("%s shows a token", shown.GetId())
			}
		}
	})
}
