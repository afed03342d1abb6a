package admin

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

// desk has a type whose scopes are chosen and bounded by the creator, a type
// of roles, a fixed type whose keys are public, and one of principals.
const desk = `
name: desk
environments:
  live: {hosts: [api.desk.example]}
  test: {hosts: [test.desk.example]}
tenants:
  org:
    plans: [free, paid]
    named_by: [header x-org]
    roles:
      member: {scopes: [read], permissions: [doc.read]}
      owner:  {scopes: [read, write, own], permissions: [doc.read, doc.write]}
  project: {parent: org, roles: [editor]}
permissions: [doc.read, doc.write]
scopes:
  docs:read:  {requires: [doc.read]}
  docs:write: {requires: [doc.write]}
  read: {}
  write: {}
  own: {}
  feed: {}
key_types:
  chosen:
    format: ch_{environment}_{secret:30}
    former_formats: ["old_{secret:24}"]
    owner: org
    grantable: [docs:read, docs:write]
    ceiling: creator
    creator_required: true
    longest_grace: 1h
    longest_life: 90d
    required: [expires]
    management:
      - {actions: [create], rule: tenant.plan == "paid", message: free organizations make no keys}
  role:
    format: ro_{environment}_{secret:30}{checksum}
    owner: org
    role: {default: member}
    ceiling: creator
    required: [name]
    rotation: none
    system_keys: true
    management:
      - {rule: caller.role == "owner", message: keys are managed by owners}
  public:
    format: pu_{environment}_{secret:30}
    owner: org
    scopes: [feed]
    reveal: always
    management:
      - {actions: [reveal], rule: caller.role == "owner", message: only owners look}
  personal:
    format: me_{environment}_{secret:30}
    owner: principal
    reaches: {org: {roles: [owner]}}
    scopes: [all]
    longest_grace: 0s
    management:
      - {rule: caller.id == key.principal, message: a personal key is its owner's}
endpoints:
  Read: {scopes: [read], routes: ["GET /v1/docs"]}
  Feed: {scopes: [feed], routes: ["GET /v1/feed"]}
`

// sparse has no environments and claims another host.
const sparse = `
name: sparse
hosts: [sparse.example]
tenants: {org: {}}
scopes: [all-of-it]
key_types:
  plain: {format: "sp_{secret:30}", owner: org, scopes: [all-of-it]}
endpoints:
  All: {scopes: [all-of-it], routes: ["* /**"]}
`

const people = `
  {"tenants": [
    {"id": "org:paid", "plan": "paid"}, {"id": "org:free", "plan": "free"},
    {"id": "org:frozen", "plan": "paid", "status": "suspended"},
    {"id": "project:p1", "parent": "org:paid"}, {"id": "project:p2", "parent": "org:frozen"}],
   "principals": [
    {"id": "user:owner", "memberships": {"org:paid": "owner", "org:free": "owner"}},
    {"id": "user:boss", "memberships": {"org:paid": "owner"}},
    {"id": "user:member", "memberships": {"org:paid": "member"}},
    {"id": "user:reader", "permissions": {"org:paid": ["doc.read"]}},
    {"id": "user:frozen", "memberships": {"org:paid": "owner"}, "status": "suspended"}]}`

var operator = Caller{Operator: "uid:0"}

func as(principal string) Caller { return Caller{Operator: "uid:0", Acting: principal} }

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a server over a real store, with both policies and the people.
type bench struct {
	*Server
	t     testing.TB
	store *storage.DB
	clock *clock
	logs  *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func empty(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}, logs: &syncBuffer{}}
	b.store = storagetest.New(t, storage.Options{Compile: new(Compiler).Compile, Now: b.clock.Now})
	b.Server = New(Options{Ledger: b.store, Now: b.clock.Now, Log: slog.New(slog.NewTextHandler(b.logs, nil))})
	return b
}

// logged is empty with a log of JSON lines.
func logged(t testing.TB) *bench {
	t.Helper()
	b := empty(t)
	b.Server = New(Options{Ledger: b.store, Now: b.clock.Now, Log: slog.New(slog.NewJSONHandler(b.logs, nil))})
	return b
}

func start(t testing.TB) *bench {
	t.Helper()
	b := empty(t)
	b.apply(desk)
	b.apply(sparse)
	b.people(people, false)
	return b
}

func (b *bench) apply(source string) *adminv1.ApplyPolicyResponse {
	b.t.Helper()
	out, err := b.applyPolicy(b.t.Context(), operator, &adminv1.ApplyPolicyRequest{File: "policy.yaml", Source: source})
	if err != nil {
		b.t.Fatalf("applying a policy: %v", err)
	}
	return out
}

func directoryOf(t testing.TB, text string) *directoryv1.Directory {
	t.Helper()
	d := &directoryv1.Directory{}
	if err := (jsonCodec{}).Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (b *bench) people(text string, prune bool) *adminv1.ApplyDirectoryResponse {
	b.t.Helper()
	out, err := b.applyDirectory(b.t.Context(), operator, &adminv1.ApplyDirectoryRequest{Directory: directoryOf(b.t, text), Prune: prune})
	if err != nil {
		b.t.Fatalf("applying a directory: %v", err)
	}
	return out
}

// fields reads key fields written as JSON.
func fields(t testing.TB, text string) *adminv1.KeyFields {
	t.Helper()
	f := &adminv1.KeyFields{}
	if err := (jsonCodec{}).Unmarshal([]byte(text), f); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

func (b *bench) create(caller Caller, text string) (*adminv1.Key, error) {
	b.t.Helper()
	out, err := b.createKey(b.t.Context(), caller, &adminv1.CreateKeyRequest{Key: fields(b.t, text)})
	return out.GetKey(), err
}

func (b *bench) make(caller Caller, text string) *adminv1.Key {
	b.t.Helper()
	k, err := b.create(caller, text)
	if err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
	return k
}

func (b *bench) record(id string) *key.Record {
	b.t.Helper()
	var r *key.Record
	var err error
	b.store.View(func(v *storage.View) { r, err = v.Key(id) })
	if r == nil || err != nil {
		b.t.Fatalf("no key %s in the store", id)
	}
	return r
}

// one of each type, in a form that is right.
const (
	chosenKey   = `{"policy":"desk","type":"chosen","environment":"live","tenant":"org:paid","scopes":["docs:read"],"expires_in":"3600s"}`
	roleKey     = `{"policy":"desk","type":"role","environment":"live","tenant":"org:paid","name":"ci"}`
	publicKey   = `{"policy":"desk","type":"public","environment":"test","tenant":"org:paid"}`
	personalKey = `{"policy":"desk","type":"personal","environment":"live","principal":"user:owner"}`
	plainKey    = `{"policy":"sparse","type":"plain","tenant":"org:free"}`
)

// expect checks an error: nil where no words are wanted, else of the kind and
// with each of the words.
func expect(t testing.TB, err error, kind error, words ...string) {
	t.Helper()
	if kind == nil {
		if err != nil {
			t.Errorf("want no error, have: %v", err)
		}
		return
	}
	if !errors.Is(err, kind) {
		t.Errorf("want an error of the kind %q, have: %v", kind, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("want %q in the error: %v", word, err)
		}
	}
}
