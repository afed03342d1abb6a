package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// everyState makes keys in every state that a key can be in, and returns when they are so.
func (b *bench) everyState() {
	b.t.Helper()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	ctx := b.t.Context()
	b.make(as("user:reader"), chosenKey)
	b.make(operator, `{"policy":"desk","type":"role","environment":"live","tenant":"org:paid","name":"ci","role":"owner","system":true}`)
	retiring := b.make(operator, publicKey).GetId()
	b.clock.add(time.Hour + 123456789*time.Nanosecond)
	for range 2 { // one secret has ended, one is in its grace
		b.clock.add(time.Minute)
		_, err := b.rotateKey(ctx, operator, &adminv1.RotateKeyRequest{Id: retiring})
		must(err)
	}
	_, err := b.rotateKey(ctx, operator, &adminv1.RotateKeyRequest{Id: retiring, Grace: durationpb.New(24 * time.Hour)})
	must(err)
	off := b.make(operator, plainKey).GetId()
	_, err = b.disableKey(ctx, operator, &adminv1.DisableKeyRequest{Id: off})
	must(err)
	b.make(operator, `{"policy":"sparse","type":"plain","tenant":"org:free","description":"<over> \"soon\" ✓","expires_in":"60s"}`)
	gone := b.make(as("user:owner"), personalKey).GetId()
	_, err = b.revokeKey(ctx, operator, &adminv1.RevokeKeyRequest{Id: gone})
	must(err)
	b.clock.add(time.Minute)
}

func (b *bench) export(q *adminv1.ExportKeysRequest) (all []*adminv1.ImportKey) {
	b.t.Helper()
	for {
		page, err := b.exportKeys(b.t.Context(), operator, q)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, page.GetKeys()...)
		if q.PageToken = page.GetNextPageToken(); q.PageToken == "" {
			return all
		}
	}
}

func (b *bench) imported(q *adminv1.ImportKeysRequest) *adminv1.ImportKeysResponse {
	b.t.Helper()
	out, err := b.importKeys(b.t.Context(), operator, q)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// What was exported and put back is the same to the nanosecond, in a world
// where the owner is suspended and the creator has gone.
func TestExportIsPutBackAsItWas(t *testing.T) {
	from, to := start(t), empty(t)
	from.everyState()
	to.clock.now = from.clock.Now()
	to.apply(desk)
	to.apply(sparse)
	to.people(`{"tenants": [{"id": "org:paid", "plan": "paid", "status": "suspended"}, {"id": "org:free", "plan": "free"}],
		"principals": [{"id": "user:owner"}]}`, false)
	keys := from.export(&adminv1.ExportKeysRequest{PageSize: 2})
	if len(keys) != 6 {
		t.Fatalf("%d keys were exported, want 6", len(keys))
	}
	for _, k := range keys {
		if k.GetToken() != "" || k.GetKey().GetExpiresIn() != nil {
			t.Errorf("exported: %v", k)
		}
	}
	if out := to.imported(&adminv1.ImportKeysRequest{Keys: keys[:3]}); len(out.GetMistakes()) > 0 || out.GetImported() != 3 {
		t.Fatal(out)
	}
	// Broken off there, and begun anew.
	out := to.imported(&adminv1.ImportKeysRequest{Keys: keys})
	if len(out.GetMistakes()) != 3 || !strings.Contains(out.GetMistakes()[0].GetMessage(), "--resume") {
		t.Errorf("what is there already: %v", out.GetMistakes())
	}
	for _, want := range []uint32{3, 0} {
		if out := to.imported(&adminv1.ImportKeysRequest{Keys: keys, Resume: true, OmitKeys: true}); len(out.GetMistakes()) > 0 || out.GetImported() != want || len(out.GetKeys()) > 0 {
			t.Fatalf("want %d imported: %v", want, out)
		}
	}
	again := to.export(&adminv1.ExportKeysRequest{})
	for i, k := range keys {
		if !proto.Equal(k, again[i]) {
			t.Errorf("want %v\nhave %v", k, again[i])
		}
		// What an export left out would be missing in both.
		was, is := from.record(k.GetId()).ToProto(), to.record(k.GetId()).ToProto()
		if is.Revision = was.Revision; !proto.Equal(was, is) {
			t.Errorf("stored: want %v\nhave %v", was, is)
		}
	}
	// The secret that is replaced is known to be, and the revoked key is.
	for _, k := range keys {
		want := to.record(k.GetId()).Status(to.clock.Now())
		if have := from.record(k.GetId()).Status(from.clock.Now()); want != have {
			t.Errorf("%s is %s, and was %s", k.GetId(), want, have)
		}
		for i, s := range k.GetFormerSecrets() {
			var f key.Facts
			d, err := key.ParseDigest(s.GetTokenSha256())
			if err != nil || !to.store.Now().Lookup(d, &f) {
				t.Fatal("a former secret is not known", err)
			}
			if i < 2 && f.Status(to.clock.Now()) != key.Revoked {
				t.Errorf("a former secret is %s", f.Status(to.clock.Now()))
			}
		}
	}
}

func TestExportSelects(t *testing.T) {
	b := start(t)
	b.everyState()
	for _, tc := range []struct {
		sel  *adminv1.KeySelection
		want int
	}{
		{nil, 6},
		{&adminv1.KeySelection{Policy: "sparse"}, 2},
		{&adminv1.KeySelection{Type: "role"}, 1},
		{&adminv1.KeySelection{Tenant: "org:free"}, 2},
		{&adminv1.KeySelection{Principal: "user:owner"}, 1},
		{&adminv1.KeySelection{Creator: "user:reader"}, 1},
		{&adminv1.KeySelection{Environment: "test"}, 1},
		{&adminv1.KeySelection{Status: "expired"}, 2},
		{&adminv1.KeySelection{Status: "retiring"}, 1},
		{&adminv1.KeySelection{Tenant: "org:paid", Status: "disabled"}, 0},
	} {
		if keys := b.export(&adminv1.ExportKeysRequest{Selection: tc.sel, PageSize: 1}); len(keys) != tc.want {
			t.Errorf("%v: %d keys, want %d", tc.sel, len(keys), tc.want)
		}
	}
	_, err := b.exportKeys(t.Context(), operator, &adminv1.ExportKeysRequest{Selection: &adminv1.KeySelection{Status: "activ"}, PageSize: maxImport + 1, PageToken: "x"})
	expect(t, err, ErrInvalid, `did you mean "active"`, "page_size", "page_token")
}

func TestPutBackMistakes(t *testing.T) {
	b := start(t)
	there := b.make(operator, plainKey)
	exported := b.export(&adminv1.ExportKeysRequest{})[0]
	n := 0
	fresh := func(change func(*adminv1.ImportKey)) *adminv1.ImportKey {
		n++
		k := proto.Clone(exported).(*adminv1.ImportKey)
		k.Id, k.TokenSha256 = fmt.Sprintf("key_%032x", n), fmt.Sprintf("%064x", n)
		change(k)
		return k
	}
	former := func(until time.Time) *adminv1.FormerSecret {
		n++
		return &adminv1.FormerSecret{TokenSha256: fmt.Sprintf("%064x", n), Until: timestamppb.New(until)}
	}
	later := b.clock.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		change func(*adminv1.ImportKey)
		want   string // empty: nothing is wrong
		resume bool
	}{
		"as it is":             {change: func(*adminv1.ImportKey) {}},
		"an id of no form":     {change: func(k *adminv1.ImportKey) { k.Id = "key_1" }, want: "id: that is not the id"},
		"a relative expiry":    {change: func(k *adminv1.ImportKey) { k.Key.ExpiresIn = durationpb.New(time.Hour) }, want: "expires_in"},
		"no time":              {change: func(k *adminv1.ImportKey) { k.CreatedAt = &timestamppb.Timestamp{Nanos: -1} }, want: "created_at: not a time"},
		"no policy in use":     {change: func(k *adminv1.ImportKey) { k.Key.Policy = "spars" }, want: `policy: "spars" is not in use`},
		"no such type":         {change: func(k *adminv1.ImportKey) { k.Key.Type = "plan" }, want: "no key type"},
		"no such role":         {change: func(k *adminv1.ImportKey) { k.Key.Role = "boss" }, want: "carry no role"},
		"no such scope":        {change: func(k *adminv1.ImportKey) { k.Key.Scopes = []string{"x"} }, want: "can't be chosen"},
		"no owner":             {change: func(k *adminv1.ImportKey) { k.Key.Tenant = "" }, want: "give exactly one"},
		"an unknown owner":     {change: func(k *adminv1.ImportKey) { k.Key.Tenant = "org:nobody" }, want: "isn't in the directory"},
		"another kind":         {change: func(k *adminv1.ImportKey) { k.Key.Tenant = "project:p1" }, want: "of the kind org"},
		"a prefix of another":  {change: func(k *adminv1.ImportKey) { k.Prefix = "zz_" }, want: "prefix: no token of the type plain"},
		"five last characters": {change: func(k *adminv1.ImportKey) { k.Last4 = "abcde" }, want: "last4"},
		"two live secrets more": {change: func(k *adminv1.ImportKey) {
			k.FormerSecrets = []*adminv1.FormerSecret{former(later), former(later)}
		}, want: "2 are still valid"},
		"an end that is missing": {change: func(k *adminv1.ImportKey) {
			k.FormerSecrets = []*adminv1.FormerSecret{{TokenSha256: strings.Repeat("ab", 32)}}
		}, want: "until: it is missing"},
		"a former token that is the current": {change: func(k *adminv1.ImportKey) {
			was := former(b.clock.Now())
			was.TokenSha256, k.FormerSecrets = k.TokenSha256, []*adminv1.FormerSecret{was}
		}, want: "former_secrets: the same token stands twice in this key"},
		"of a key that is there":    {change: func(k *adminv1.ImportKey) { k.TokenSha256 = exported.GetTokenSha256() }, want: "that of another key, " + there.GetId()},
		"there already":             {change: func(k *adminv1.ImportKey) { k.Id, k.TokenSha256 = exported.GetId(), exported.GetTokenSha256() }, want: "exists already"},
		"there, with another token": {change: func(k *adminv1.ImportKey) { k.Id = exported.GetId() }, want: "doesn't have this token", resume: true},
		"there, of another owner": {change: func(k *adminv1.ImportKey) {
			k.Id, k.TokenSha256, k.Key.Tenant = exported.GetId(), exported.GetTokenSha256(), "org:paid"
		}, want: "of another policy, type, environment or owner", resume: true},
		"there, and not revoked": {change: func(k *adminv1.ImportKey) {
			k.Id, k.TokenSha256, k.RevokedAt = exported.GetId(), exported.GetTokenSha256(), timestamppb.New(b.clock.Now())
		}, want: "isn't revoked", resume: true},
		"its parts without its id": {change: func(k *adminv1.ImportKey) { k.Id = "" }, want: "give its id too"},
		// Of what is over nothing is asked.
		"revoked, of a policy that is gone": {change: func(k *adminv1.ImportKey) {
			k.Key.Policy, k.Key.Tenant, k.RevokedAt = "gone", "shop:nobody", timestamppb.New(b.clock.Now())
		}},
		"expired, without its owner": {change: func(k *adminv1.ImportKey) {
			k.Key.Tenant, k.Key.ExpiresAt = "org:nobody", timestamppb.New(b.clock.Now())
		}},
		"revoked, without a name for its policy": {change: func(k *adminv1.ImportKey) {
			k.Key.Policy, k.RevokedAt = "a b", timestamppb.New(b.clock.Now())
		}, want: "policy: it isn't a name"},
	} {
		out := b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{fresh(tc.change)}, DryRun: true, Resume: tc.resume})
		var have []string
		for _, m := range out.GetMistakes() {
			have = append(have, m.GetMessage())
		}
		if tc.want == "" && len(have) > 0 || tc.want != "" && (len(have) != 1 || !strings.Contains(have[0], tc.want)) {
			t.Errorf("%s: want %q, have %q", name, tc.want, have)
		}
	}
	// Twice in one request, by id and by a former secret.
	one := fresh(func(k *adminv1.ImportKey) { k.FormerSecrets = []*adminv1.FormerSecret{former(b.clock.Now())} })
	other := fresh(func(k *adminv1.ImportKey) { k.TokenSha256 = one.GetFormerSecrets()[0].GetTokenSha256() })
	third := fresh(func(k *adminv1.ImportKey) { k.Id = one.GetId() })
	out := b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{one, other, third}})
	if len(out.GetMistakes()) != 2 || out.GetMistakes()[0].GetIndex() != 1 || out.GetMistakes()[1].GetIndex() != 2 {
		t.Errorf("twice: %v", out.GetMistakes())
	}
}
