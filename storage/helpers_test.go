package storage_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/key/mint"
	"github.com/latchkey/latchkey/storage"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var form = key.Format{Prefix: "sk_live_", SecretLength: 30, Checksum: true}

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// mint returns a token and what is kept of it.
func minted(t failer) (key.Token, key.Secret) {
	t.Helper()
	token, err := mint.Token(form, rand.Reader)
	if err != nil {
		t.Fatalf("minting: %v", err)
	}
	return token, key.Secret{Digest: token.Digest(), Prefix: form.Prefix, Last4: token.Last4()}
}

// issue returns a key that isn't stored yet, and its token.
func issue(t failer) (*key.Record, key.Token) {
	t.Helper()
	token, secret := minted(t)
	fields := key.Record{Policy: "shortkit", Type: "secret", Tenant: "org:o_1", Name: "ci", Scopes: []string{"content:read"}}
	return key.Issue(fields, secret, start), token
}

func commit(t failer, db *storage.DB, c storage.Change) storage.Position {
	t.Helper()
	at, err := db.Commit(context.Background(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return at
}

// refused commits and expects an error of the given kind, any if it is nil,
// and a store that is as it was.
func refused(t failer, db *storage.DB, c storage.Change, kind error) {
	t.Helper()
	before := dump(db)
	_, err := db.Commit(context.Background(), c)
	if err == nil || kind != nil && !errors.Is(err, kind) {
		t.Fatalf("commit: error %v, want %v", err, kind)
	}
	if diff := before.diff(dump(db)); diff != "" {
		t.Fatalf("a refused change left a trace: %s", diff)
	}
}

func lookUp(db *storage.DB, id string) (r *key.Record) {
	db.View(func(v *storage.View) { r, _ = v.Key(id) })
	return r
}

// found reports whether a look-up found something.
func found[T any](_ T, ok bool) bool { return ok }

// factsOf returns what memory says of whoever presents the secret with a digest.
func factsOf(db *storage.DB, d key.Digest) *key.Facts {
	var f key.Facts
	if !db.Now().Lookup(d, &f) {
		return nil
	}
	return &f
}

// asStored reports whether memory says of each secret of a record what the
// record does.
func asStored(v *storage.View, r *key.Record) bool {
	for i := range r.Secrets {
		want, _ := r.FactsOf(r.Secrets[i].Digest)
		var f key.Facts
		if !v.Lookup(r.Secrets[i].Digest, &f) || !sameFacts(&f, want) {
			return false
		}
	}
	return true
}

func sameFacts(a, b *key.Facts) bool {
	x, y := *a, *b
	x.Scopes, y.Scopes = nil, nil
	return slices.Equal(a.Scopes, b.Scopes) && reflect.DeepEqual(x, y)
}

// contents is everything that a store tells.
type contents struct {
	position   storage.Position
	keys       map[string]*key.Record
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
	documents  map[string][]byte
	unread     error // why not all keys are there
}

func dump(db *storage.DB) contents {
	c := contents{keys: map[string]*key.Record{}, tenants: map[string]*directory.Tenant{}, principals: map[string]*directory.Principal{}}
	_, c.unread = db.Keys("", func(r *key.Record) bool {
		c.keys[r.ID] = r
		return true
	})
	tenants, principals, _ := db.Directory()
	for _, t := range tenants {
		c.tenants[t.ID] = t
	}
	for _, p := range principals {
		c.principals[p.ID] = p
	}
	c.documents, c.position = db.Documents()
	return c
}

// diff says what differs, in a word.
func (c contents) diff(o contents) string {
	switch {
	case c.position != o.position:
		return "position"
	case !maps.EqualFunc(c.keys, o.keys, sameKey):
		return "keys"
	case !maps.EqualFunc(c.tenants, o.tenants, func(a, b *directory.Tenant) bool { return *a == *b }):
		return "tenants"
	case !maps.EqualFunc(c.principals, o.principals, samePrincipal):
		return "principals"
	case !maps.EqualFunc(c.documents, o.documents, slices.Equal):
		return "policies"
	}
	return ""
}

func sameKey(a, b *key.Record) bool {
	sameSecret := func(x, y key.Secret) bool {
		return x.Digest == y.Digest && x.Prefix == y.Prefix && x.Last4 == y.Last4 && x.Created.Equal(y.Created) && x.Until.Equal(y.Until)
	}
	return a.ID == b.ID && a.Policy == b.Policy && a.Type == b.Type && a.Environment == b.Environment &&
		a.Tenant == b.Tenant && a.Principal == b.Principal && a.Creator == b.Creator && a.Role == b.Role &&
		slices.Equal(a.Scopes, b.Scopes) && a.Name == b.Name && a.Description == b.Description &&
		slices.EqualFunc(a.Secrets, b.Secrets, sameSecret) && a.Created.Equal(b.Created) && a.Expires.Equal(b.Expires) &&
		a.Revoked.Equal(b.Revoked) && a.Disabled == b.Disabled && a.System == b.System && a.Revision == b.Revision
}

func samePrincipal(a, b *directory.Principal) bool {
	return a.ID == b.ID && a.Suspended == b.Suspended && a.Revision == b.Revision && maps.Equal(a.Memberships, b.Memberships) &&
		maps.EqualFunc(a.Permissions, b.Permissions, slices.Equal)
}

// quickDir is a new folder on a disk in memory where there is one: thousands of
// stores are made below it, and none needs to outlive the machine.
func quickDir(t *testing.T) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "latchkey-test-"); err == nil {
		t.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		return dir
	}
	return t.TempDir()
}
