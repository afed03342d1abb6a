package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// People paste tokens into wrong fields. Whatever the field, neither an error
// nor the log repeats it, and where it isn't meant to stand nothing is stored.
func TestNoErrorQuotesAToken(t *testing.T) {
	b := start(t)
	id := b.make(as("user:owner"), roleKey).GetId()
	directory := directoryOf(t, `{"tenants":[{"id":"org:t","plan":"free"},{"id":"project:p","parent":"org:paid"}],
		"principals":[{"id":"user:p","memberships":{"org:paid":"member"},"permissions":{"org:paid":["doc.read"]}}]}`)
	requests := map[string]proto.Message{
		"KeyService/CreateKey":  &adminv1.CreateKeyRequest{Key: fields(t, roleKey)},
		"KeyService/ImportKeys": &adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{{Key: fields(t, plainKey)}}},
		"KeyService/ListKeys":   &adminv1.ListKeysRequest{},
		"KeyService/ExportKeys": &adminv1.ExportKeysRequest{Selection: &adminv1.KeySelection{}},
		"KeyService/ChangeKeys": &adminv1.ChangeKeysRequest{
			Selection: &adminv1.KeySelection{Policy: "desk"}, DryRun: true,
			Change: &adminv1.ChangeKeysRequest_Update{Update: &adminv1.UpdateKeyRequest{Scopes: &adminv1.ScopeList{}}},
		},
		"KeyService/ImportKeys ": &adminv1.ImportKeysRequest{DryRun: true, Keys: []*adminv1.ImportKey{{
			Id: id, Key: fields(t, plainKey), FormerSecrets: []*adminv1.FormerSecret{{}},
		}}},
		"PolicyService/DiffPolicy":        &adminv1.DiffPolicyRequest{Old: &adminv1.DiffPolicyRequest_InUse{InUse: "desk"}, NewSource: sparse},
		"KeyService/GetKey":               &adminv1.GetKeyRequest{Id: id},
		"KeyService/UpdateKey":            &adminv1.UpdateKeyRequest{Id: id, Scopes: &adminv1.ScopeList{}},
		"KeyService/RotateKey":            &adminv1.RotateKeyRequest{Id: id},
		"KeyService/RevokeKey":            &adminv1.RevokeKeyRequest{Id: id, DryRun: true},
		"KeyService/DisableKey":           &adminv1.DisableKeyRequest{Id: id},
		"KeyService/EnableKey":            &adminv1.EnableKeyRequest{Id: id},
		"DirectoryService/ApplyDirectory": &adminv1.ApplyDirectoryRequest{Directory: directory, DryRun: true},
		"PolicyService/ApplyPolicy":       &adminv1.ApplyPolicyRequest{Source: sparse},
		"PolicyService/RemovePolicy":      &adminv1.RemovePolicyRequest{},
		"LogService/ListEntries":          &adminv1.ListEntriesRequest{},
	}
	tokens := map[string]string{
		"of a policy in use": minted(t, key.Format{Prefix: "sp_", SecretLength: 30}),
		"with a checksum":    minted(t, key.Format{Prefix: "ro_live_", SecretLength: 30, Checksum: true}),
		"of another policy":  minted(t, key.Format{Prefix: "sk_live_", SecretLength: 32}),
		"without a digit":    "sk_live_kguNYxnXvFHituylThpXwjdRNnUMLV",
		"with a colon":       "org:" + minted(t, key.Format{Prefix: "sp_", SecretLength: 30}),
	}
	planted := 0
	for name, request := range requests {
		for which, token := range tokens {
			for _, place := range stringsOf(request.ProtoReflect()) {
				planted++
				spoilt := proto.Clone(request)
				place.set(spoilt.ProtoReflect(), token)
				raw, err := jsonCodec{}.Marshal(spoilt)
				if err != nil {
					t.Fatal(err)
				}
				status, body := b.post(strings.TrimSpace(name), string(raw))
				secret := strings.TrimPrefix(token, "org:")
				if status != http.StatusOK && strings.Contains(body, secret[8:]) {
					t.Errorf("%s: %s: a token %s is repeated", name, place.name, which)
				}
				if strings.Contains(b.logs.String(), secret[8:]) {
					t.Fatalf("%s: %s: a token %s is in the log", name, place.name, which)
				}
			}
		}
	}
	for _, body := range []string{
		`{"key": ` + tokens["of a policy in use"] + `}`, `{"` + tokens["of another policy"] + `": 1}`, `{"as": "` + tokens["of another policy"],
		`{"key": {"expires_at": "` + tokens["with a checksum"] + `"}}`, `{"key": {"system": "` + tokens["with a checksum"] + `"}}`,
	} {
		_, answer := b.post("KeyService/CreateKey", body)
		for which, token := range tokens {
			if strings.Contains(answer, strings.TrimPrefix(token, "org:")[8:]) {
				t.Errorf("broken JSON: a token %s is repeated: %s", which, answer)
			}
		}
	}
	if planted < 150 {
		t.Errorf("only %d places were tried", planted)
	}
}

func (b *bench) post(method, body string) (int, string) {
	b.t.Helper()
	r := httptest.NewRequestWithContext(WithOperator(b.t.Context(), "uid:0"), "POST", "http://localhost/latchkey.admin.v1."+method, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return w.Code, string(answer)
}

// place is a string in a message.
type place struct {
	name string
	set  func(m protoreflect.Message, text string)
}

// stringsOf returns every place in a message that may hold a string: those of
// its own, and those of the messages that it has.
func stringsOf(m protoreflect.Message) []place {
	var places []place
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := string(f.Name())
		within := func(child protoreflect.Message, reach func(protoreflect.Message) protoreflect.Message) {
			for _, p := range stringsOf(child) {
				places = append(places, place{name + "." + p.name, func(m protoreflect.Message, text string) { p.set(reach(m), text) }})
			}
		}
		switch {
		case name == "source", name == "new_source":
			// The text of a policy; its mistakes show the line, scrubbed of tokens of policies in use.
		case f.IsMap() && m.Get(f).Map().Len() > 0:
			places = append(places, place{name + " by", func(m protoreflect.Message, text string) {
				at := m.Mutable(f).Map()
				at.Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					at.Set(protoreflect.ValueOfString(text).MapKey(), v)
					return false
				})
			}})
			if f.MapValue().Kind() == protoreflect.StringKind {
				places = append(places, place{name, func(m protoreflect.Message, text string) {
					m.Mutable(f).Map().Set(protoreflect.ValueOfString("org:paid").MapKey(), protoreflect.ValueOfString(text))
				}})
			}
		case f.IsMap():
		case f.Kind() == protoreflect.StringKind && f.IsList():
			places = append(places, place{name, func(m protoreflect.Message, text string) {
				m.Mutable(f).List().Append(protoreflect.ValueOfString(text))
			}})
		case f.Kind() == protoreflect.StringKind:
			places = append(places, place{name, func(m protoreflect.Message, text string) { m.Set(f, protoreflect.ValueOfString(text)) }})
		case f.IsList() && f.Kind() == protoreflect.MessageKind && m.Get(f).List().Len() > 0:
			within(m.Get(f).List().Get(0).Message(), func(m protoreflect.Message) protoreflect.Message { return m.Mutable(f).List().Get(0).Message() })
		case f.Kind() == protoreflect.MessageKind && !f.IsList() && m.Has(f):
			within(m.Get(f).Message(), func(m protoreflect.Message) protoreflect.Message { return m.Mutable(f).Message() })
		}
	}
	return places
}
