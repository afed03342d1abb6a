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

// resumed imports one key with resume, and returns what is wrong with it.
func (b *bench) resumed(k *adminv1.ImportKey) string {
	b.t.Helper()
	before := b.store.Position()
	out := b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{k}, Resume: true})
	if out.GetImported() != 0 || b.store.Position() != before {
		b.t.Errorf("a key that is there was written: %v", out)
	}
	var texts []string
	for _, m := range out.GetMistakes() {
		texts = append(texts, m.GetMessage())
	}
	if len(texts)+int(out.GetPresent()) != 1 {
		b.t.Errorf("%d are there, and wrong is %q", out.GetPresent(), texts)
	}
	return strings.Join(texts, "\n")
}

// What a line says of a key that is there is compared whole, whichever way it was
// imported: each field that differs is named, and none of what stands in it.
func TestResumeNamesWhatDiffers(t *testing.T) {
	b := start(t)
	token := minted(t, key.Format{Prefix: "ch_live_", SecretLength: 30})
	ends := timestamppb.New(b.clock.Now().Add(time.Hour))
	line := &adminv1.ImportKey{
		Token: token, Creator: "user:reader",
		Key: fields(t, `{"policy":"desk","type":"chosen","environment":"live","tenant":"org:paid","scopes":["docs:read"],"name":"n","description":"d"}`),
	}
	line.Key.ExpiresAt = ends
	digest := proto.CloneOf(line)
	digest.Token, digest.TokenSha256, digest.Prefix, digest.Last4 = "", sha(token), "ch_live_", token[len(token)-4:]
	b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{line}})
	back := b.export(&adminv1.ExportKeysRequest{})[0]
	later := timestamppb.New(ends.AsTime().Add(time.Nanosecond))
	for _, tc := range []struct {
		field  string // that is told; empty: it is the same key
		change func(*adminv1.ImportKey)
	}{
		{"", func(*adminv1.ImportKey) {}},
		{"name", func(k *adminv1.ImportKey) { k.Key.Name = "other" }},
		{"name", func(k *adminv1.ImportKey) { k.Key.Name = "" }},
		{"description", func(k *adminv1.ImportKey) { k.Key.Description = "other" }},
		{"scopes", func(k *adminv1.ImportKey) { k.Key.Scopes = []string{"docs:write"} }},
		{"scopes", func(k *adminv1.ImportKey) { k.Key.Scopes = nil }},
		{"creator", func(k *adminv1.ImportKey) { k.Creator = "user:owner" }},
		{"expires_at", func(k *adminv1.ImportKey) { k.Key.ExpiresAt = later }},
		{"name, expires_at", func(k *adminv1.ImportKey) { k.Key.Name, k.Key.ExpiresAt = "", later }},
	} {
		for form, k := range map[string]*adminv1.ImportKey{"token": line, "digest": digest, "put back": back} {
			k = proto.CloneOf(k)
			tc.change(k)
			have := b.resumed(k)
			field, _, told := strings.Cut(have, ":")
			if field != tc.field || told && !strings.Contains(have, "isn't so: take it out") {
				t.Errorf("%s: want %q, have %q", form, tc.field, have)
			}
			for _, secret := range []string{token, sha(token), "other", "docs:"} {
				if strings.Contains(have, secret) {
					t.Errorf("%s: %q is quoted in %q", form, secret, have)
				}
			}
		}
	}
	carried := minted(t, key.Format{Prefix: "ro_live_", SecretLength: 30, Checksum: true})
	role := &adminv1.ImportKey{Token: carried, Key: fields(t, roleKey)} // with the role that is given where none is named
	b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{role}})
	if have := b.resumed(role); have != "" {
		t.Errorf("with a role: %s", have)
	}
	role.Key.Role, role.Key.System = "owner", true
	if have := b.resumed(role); !strings.HasPrefix(have, "role, system:") {
		t.Errorf("with another role: %s", have)
	}
	// Where it may say less: a length of time ends at another moment each time.
	line.Key.ExpiresAt, line.Key.ExpiresIn = nil, durationpb.New(time.Minute)
	if have := b.resumed(line); have != "" {
		t.Errorf("with expires_in: %s", have)
	}
	digest.Last4 = "zzzz"
	if have := b.resumed(digest); !strings.HasPrefix(have, "last4:") {
		t.Errorf("with other last characters: %s", have)
	}
}

// What became of a key since is no difference, as far as it has less by that.
func TestResumeAfterALife(t *testing.T) {
	for _, tc := range []struct {
		name   string
		want   string // of the line of before
		after  string // of a line of after, in a store that is as before
		change func(b *bench, id string) error
	}{
		{"revoked", "", "revoked_at", func(b *bench, id string) error {
			_, err := b.revokeKey(b.t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id})
			return err
		}},
		{"disabled", "", "disabled", func(b *bench, id string) error {
			_, err := b.disableKey(b.t.Context(), operator, &adminv1.DisableKeyRequest{Id: id})
			return err
		}},
		{"rotated", "", "id", func(b *bench, id string) error {
			_, err := b.rotateKey(b.t.Context(), operator, &adminv1.RotateKeyRequest{Id: id})
			return err
		}},
		{"renamed", "name", "name", func(b *bench, id string) error {
			_, err := b.updateKey(b.t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String("other")})
			return err
		}},
		{"revoked and renamed", "", "revoked_at", func(b *bench, id string) error {
			_, err := b.updateKey(b.t.Context(), operator, &adminv1.UpdateKeyRequest{Id: id, Name: proto.String("other")})
			if err == nil {
				_, err = b.revokeKey(b.t.Context(), operator, &adminv1.RevokeKeyRequest{Id: id})
			}
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, before := start(t), start(t)
			id := b.make(operator, publicKey).GetId()
			b.clock.add(time.Minute)
			if _, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id, Grace: durationpb.New(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			was := b.export(&adminv1.ExportKeysRequest{})
			before.imported(&adminv1.ImportKeysRequest{Keys: was})
			b.clock.add(time.Minute)
			before.clock.add(2 * time.Minute)
			if err := tc.change(b, id); err != nil {
				t.Fatal(err)
			}
			for _, side := range []struct {
				b    *bench
				line *adminv1.ImportKey
				want string
			}{{b, was[0], tc.want}, {before, b.export(&adminv1.ExportKeysRequest{})[0], tc.after}} {
				if field, _, _ := strings.Cut(side.b.resumed(side.line), ":"); field != side.want {
					t.Errorf("want %q, have %q", side.want, field)
				}
			}
		})
	}
}

// An old secret that is valid for longer than its line says, or stands on no line,
// opens what the file closes.
func TestResumeComparesFormerSecrets(t *testing.T) {
	b := start(t)
	id := b.make(operator, publicKey).GetId()
	for range 2 {
		b.clock.add(time.Minute)
		if _, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.add(time.Minute)
	if _, err := b.rotateKey(t.Context(), operator, &adminv1.RotateKeyRequest{Id: id, Grace: durationpb.New(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	exported := b.export(&adminv1.ExportKeysRequest{})[0]
	for i, tc := range []struct {
		want   string
		change func(*adminv1.ImportKey)
	}{
		{"", func(*adminv1.ImportKey) {}},
		{"former_secrets", func(k *adminv1.ImportKey) { k.FormerSecrets[2].Until.Seconds-- }},
		{"", func(k *adminv1.ImportKey) { k.FormerSecrets[2].Until.Seconds++ }},
		{"former_secrets", func(k *adminv1.ImportKey) { k.FormerSecrets[1].CreatedAt.Nanos++ }},
		{"former_secrets", func(k *adminv1.ImportKey) { k.FormerSecrets[1].Last4 = "zzzz" }},
		{"former_secrets", func(k *adminv1.ImportKey) { k.FormerSecrets = k.FormerSecrets[1:] }},
		{"former_secrets", func(k *adminv1.ImportKey) { k.FormerSecrets = k.FormerSecrets[:2] }},
		{"former_secrets", func(k *adminv1.ImportKey) {
			k.FormerSecrets[0], k.FormerSecrets[1] = k.FormerSecrets[1], k.FormerSecrets[0]
		}},
		{"id", func(k *adminv1.ImportKey) { k.FormerSecrets[0].TokenSha256 = fmt.Sprintf("%064x", 1) }},
		{"created_at", func(k *adminv1.ImportKey) { k.CreatedAt.Nanos++ }},
		{"rotated_at", func(k *adminv1.ImportKey) { k.RotatedAt.Nanos++ }},
		{"", func(k *adminv1.ImportKey) { k.RotatedAt, k.CreatedAt = nil, nil }},
	} {
		k := proto.CloneOf(exported)
		tc.change(k)
		if field, _, _ := strings.Cut(b.resumed(k), ":"); field != tc.want {
			t.Errorf("%d: want %q, have %q", i, tc.want, field)
		}
	}
}

// Whoever goes on after a while isn't stopped by what has come to its end
// meanwhile: a key that is there isn't judged as a new one would be.
func TestResumeJudgesNothingAnew(t *testing.T) {
	b := start(t)
	token := minted(t, key.Format{Prefix: "ch_live_", SecretLength: 30})
	line := &adminv1.ImportKey{Token: token, Creator: "user:reader", Key: fields(t, chosenKey)}
	line.Key.ExpiresIn, line.Key.ExpiresAt = nil, timestamppb.New(b.clock.Now().Add(time.Hour))
	b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{line}})
	back := b.export(&adminv1.ExportKeysRequest{})[0]
	other := proto.CloneOf(line)
	other.Token = minted(t, key.Format{Prefix: "ch_live_", SecretLength: 30})
	b.clock.add(2 * time.Hour)
	b.people(`{"tenants": [{"id": "org:paid", "plan": "paid", "status": "suspended"}], "principals": [{"id": "user:reader", "status": "suspended"}]}`, false)
	for _, k := range []*adminv1.ImportKey{line, back} {
		if have := b.resumed(k); have != "" {
			t.Errorf("a key that is there: %s", have)
		}
	}
	out := b.imported(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{line, other}, Resume: true})
	if len(out.GetMistakes()) == 0 || out.GetMistakes()[0].GetIndex() != 1 {
		t.Errorf("one that isn't there: %v", out.GetMistakes())
	}
}
