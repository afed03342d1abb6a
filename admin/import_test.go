package admin

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

func minted(t testing.TB, f key.Format) string {
	t.Helper()
	token, err := mint.Token(f, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

func sha(token string) string {
	d := key.NewToken(token).Digest()
	return hex.EncodeToString(d[:])
}

func TestImport(t *testing.T) {
	plain, known := minted(t, key.Format{Prefix: "sp_", SecretLength: 30}), minted(t, key.Format{Prefix: "sp_", SecretLength: 30})
	live, test := minted(t, key.Format{Prefix: "pu_live_", SecretLength: 30}), minted(t, key.Format{Prefix: "pu_test_", SecretLength: 30})
	former := minted(t, key.Format{Prefix: "old_", SecretLength: 24})
	sum := minted(t, key.Format{Prefix: "ro_live_", SecretLength: 30, Checksum: true})
	badSum := sum[:len(sum)-6] + "000000"
	item := func(text, token, digest, creator string) *adminv1.ImportKey {
		return &adminv1.ImportKey{Key: fields(t, text), Token: token, TokenSha256: digest, Creator: creator}
	}
	publicLive := with(t, publicKey, func(f *adminv1.KeyFields) { f.Environment = "live" })
	for _, tc := range []struct {
		name  string
		keys  []*adminv1.ImportKey
		wrong []string // index and a word, one each mistake
	}{
		{"token", []*adminv1.ImportKey{item(plainKey, plain, "", "")}, nil},
		{"digest", []*adminv1.ImportKey{item(plainKey, "", sha(plain), "")}, nil},
		{"former format", []*adminv1.ImportKey{item(chosenKey, former, "", "user:reader")}, nil},
		{"checksum", []*adminv1.ImportKey{item(roleKey, sum, "", "")}, nil},
		{"environment", []*adminv1.ImportKey{item(publicKey, test, "", ""), item(publicLive, live, "", "")}, nil},
		{"neither", []*adminv1.ImportKey{item(plainKey, "", "", "")}, []string{"0 exactly one"}},
		{"both", []*adminv1.ImportKey{item(plainKey, plain, sha(plain), "")}, []string{"0 exactly one"}},
		{"wrong form", []*adminv1.ImportKey{item(plainKey, live, "", "")}, []string{"0 no form of the type plain"}},
		{"wrong checksum", []*adminv1.ImportKey{item(roleKey, badSum, "", "")}, []string{"0 checksum"}},
		{"other environment", []*adminv1.ImportKey{item(publicKey, live, "", "")}, []string{"0 environment live"}},
		{"no digest", []*adminv1.ImportKey{item(plainKey, "", plain, "")}, []string{"0 SHA-256"}},
		{"known", []*adminv1.ImportKey{item(plainKey, known, "", "")}, []string{"0 exists already"}},
		{"known digest", []*adminv1.ImportKey{item(plainKey, "", strings.ToUpper(sha(known)), "")}, []string{"0 exists already"}},
		{"twice", []*adminv1.ImportKey{item(plainKey, plain, "", ""), item(plainKey, "", sha(plain), "")}, []string{"1 index 0"}},
		{"creator unknown", []*adminv1.ImportKey{item(chosenKey, former, "", "user:nobody")}, []string{"0 creator"}},
		{"creator holds less", []*adminv1.ImportKey{item(chosenKeyOf("docs:write"), former, "", "user:reader")}, []string{"0 its creator user:reader doesn't hold, in org:paid: docs:write"}},
		{"creator required", []*adminv1.ImportKey{item(chosenKey, former, "", "")}, []string{"0 name it as their creator"}},
		{"all at once", []*adminv1.ImportKey{
			item(plainKey, plain, "", ""),
			item(with(t, plainKey, func(f *adminv1.KeyFields) { f.Tenant = "org:nobody" }), known, "", ""),
			item(with(t, publicKey, func(f *adminv1.KeyFields) { f.Environment = "prod" }), live, "", ""),
		}, []string{"1 tenant", "1 exists already", "2 environment"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t)
			b.takeOver(known)
			before := b.store.Position()
			for _, dry := range []bool{true, false} {
				out, err := b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: tc.keys, DryRun: dry})
				if err != nil {
					t.Fatal(err)
				}
				if len(out.GetMistakes()) != len(tc.wrong) {
					t.Fatalf("want the mistakes %q, have %v", tc.wrong, out.GetMistakes())
				}
				for i, m := range out.GetMistakes() {
					index, word, _ := strings.Cut(tc.wrong[i], " ")
					if fmt.Sprint(m.GetIndex()) != index || !strings.Contains(m.GetMessage(), word) {
						t.Errorf("want %q, have %v", tc.wrong[i], m)
					}
					for _, token := range []string{plain, known, live, test, former, sum, badSum} {
						if strings.Contains(m.GetMessage(), token) || strings.Contains(m.GetMessage(), token[10:]) {
							t.Error("a mistake quotes a token")
						}
					}
				}
				if (dry || tc.wrong != nil) && b.store.Position() != before {
					t.Error("something was written")
				}
				if tc.wrong == nil && (len(out.GetKeys()) != len(tc.keys) || slices.ContainsFunc(out.GetKeys(), func(k *adminv1.Key) bool { return k.GetToken() != "" || k.GetPrefix() == "" })) {
					t.Errorf("keys %v", out.GetKeys())
				}
			}
			if tc.wrong != nil {
				return
			}
			b.recorded("keys.import", operator)
			for _, k := range tc.keys {
				d, err := digestOf(k)
				if err != nil {
					t.Fatal(err)
				}
				var f key.Facts
				if !b.store.Now().Lookup(d, &f) || f.Type != k.GetKey().GetType() || f.Creator != k.GetCreator() {
					t.Errorf("found %v", f)
				}
			}
		})
	}
}

// takeOver imports a token, so that it is known.
func (b *bench) takeOver(token string) {
	b.t.Helper()
	out, err := b.importKeys(b.t.Context(), operator, &adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{{Key: fields(b.t, plainKey), Token: token}}})
	if err != nil || len(out.GetMistakes()) > 0 {
		b.t.Fatal(err, out.GetMistakes())
	}
}

func TestImportLimits(t *testing.T) {
	b := start(t)
	keys := make([]*adminv1.ImportKey, maxImport+1)
	for i := range keys {
		keys[i] = &adminv1.ImportKey{Key: fields(t, plainKey), Token: minted(t, key.Format{Prefix: "sp_", SecretLength: 30})}
	}
	_, err := b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: keys})
	expect(t, err, ErrInvalid, "1 to 10000")
	_, err = b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{})
	expect(t, err, ErrInvalid, "1 to 10000")
	before := b.store.Position().Revision
	out, err := b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: keys[:maxImport]})
	if err != nil || len(out.GetKeys()) != maxImport || b.store.Position().Revision != before+1 {
		t.Fatalf("%v, %d keys", err, len(out.GetKeys()))
	}
	// An imported public key can be shown again, unless only its digest is known.
	token := minted(t, key.Format{Prefix: "pu_test_", SecretLength: 30})
	other := minted(t, key.Format{Prefix: "pu_test_", SecretLength: 30})
	out, err = b.importKeys(t.Context(), operator, &adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{
		{Key: fields(t, publicKey), Token: token}, {Key: fields(t, publicKey), TokenSha256: sha(other)},
	}})
	expect(t, err, nil)
	shown, err := b.getKey(t.Context(), operator, &adminv1.GetKeyRequest{Id: out.GetKeys()[0].GetId(), Reveal: true})
	if err != nil || shown.GetKey().GetToken() != token {
		t.Errorf("the imported token isn't shown: %v", err)
	}
	_, err = b.getKey(t.Context(), operator, &adminv1.GetKeyRequest{Id: out.GetKeys()[1].GetId(), Reveal: true})
	expect(t, err, ErrUnfit, "imported by digest")
}
