package key_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a moment some minutes after the start.
func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

func secret(text string) key.Secret {
	token := key.NewToken(text)
	return key.Secret{Digest: token.Digest(), Prefix: "sk_", Last4: token.Last4()}
}

// issued is a key of the start that ends after 60 minutes.
func issued() *key.Record {
	return key.Issue(key.Record{Policy: "shortkit", Type: "secret", Tenant: "org:o_1", Scopes: []string{"a", "b"}, Expires: at(60)}, secret("first"), start)
}

func must(t *testing.T) func(*key.Record, error) *key.Record {
	return func(r *key.Record, err error) *key.Record {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func TestIssue(t *testing.T) {
	berlin := time.FixedZone("UTC+1", 3600)
	fields := key.Record{
		ID: "key_forged", Policy: "shortkit", Type: "secret", Tenant: "org:o_1", Scopes: []string{"a"},
		Expires: at(60).In(berlin), Revoked: start, Disabled: true, Revision: 7, Secrets: []key.Secret{secret("forged")},
	}
	s := secret("first")
	s.Until = at(1)
	r := key.Issue(fields, s, time.Now().In(berlin))
	if r.ID == fields.ID || !strings.HasPrefix(r.ID, "key_") || len(r.ID) != 36 {
		t.Errorf("id %q", r.ID)
	}
	if len(r.Secrets) != 1 || r.Current().Digest != s.Digest || !r.Current().Until.IsZero() || r.Current().Created != r.Created {
		t.Errorf("secrets %+v", r.Secrets)
	}
	if !r.Revoked.IsZero() || r.Disabled || r.Revision != 0 {
		t.Errorf("a new key has a past: %+v", r)
	}
	if r.Created.Location() != time.UTC || r.Expires.Location() != time.UTC || !r.Expires.Equal(at(60)) {
		t.Errorf("times %v, %v", r.Created, r.Expires)
	}
	fields.Scopes[0] = "all"
	if r.Scopes[0] != "a" {
		t.Error("the scopes are shared with the caller")
	}
	if first, second := key.NewID(), key.NewID(); first == second {
		t.Error("an id came twice")
	}
}

func TestStatus(t *testing.T) {
	must := must(t)
	active := issued()
	disabled := must(active.Disable())
	rotated := must(active.Rotate(secret("second"), 10*time.Minute, at(20)))
	forever := must(active.Update(key.Update{Expires: new(time.Time)}))
	for _, test := range []struct {
		name string
		r    *key.Record
		at   time.Time
		want key.Status
	}{
		{"fresh", active, start, key.Active},
		{"a clock that is behind", active, at(-5), key.Active},
		{"just before its end", active, at(60).Add(-1), key.Active},
		{"its end is exclusive", active, at(60), key.Expired},
		{"later", active, at(600), key.Expired},
		{"without an end", forever, at(1e6), key.Active},
		{"disabled", disabled, at(1), key.Disabled},
		{"disabled and expired", disabled, at(60), key.Expired},
		{"enabled again", must(disabled.Enable()), at(1), key.Active},
		{"revoked", active.Revoke(at(5)), at(5), key.Revoked},
		{"revoked, to a clock behind", active.Revoke(at(5)), at(1), key.Revoked},
		{"revoked and expired", active.Revoke(at(5)), at(60), key.Revoked},
		{"revoked and disabled", disabled.Revoke(at(5)), at(6), key.Revoked},
		{"in the grace", rotated, at(29), key.Retiring},
		{"after the grace", rotated, at(30), key.Active},
		{"in the grace and disabled", must(rotated.Disable()), at(29), key.Disabled},
	} {
		if got := test.r.Status(test.at); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if live := test.want != key.Revoked && test.want != key.Expired; test.r.Live(test.at) != live {
			t.Errorf("%s: live %v", test.name, !live)
		}
	}
}

func TestStatusOfSecrets(t *testing.T) {
	must := must(t)
	first, second, third := secret("first").Digest, secret("second").Digest, secret("third").Digest
	r := must(issued().Rotate(secret("second"), 10*time.Minute, at(20)))
	for _, test := range []struct {
		name                 string
		r                    *key.Record
		at                   time.Time
		first, second, third key.Status
	}{
		{"in the grace", r, at(29), key.Retiring, key.Active, key.Revoked},
		{"the end of a grace is exclusive", r, at(30), key.Revoked, key.Active, key.Revoked},
		{"rotated at once", must(r.Rotate(secret("third"), 0, at(25))), at(25), key.Revoked, key.Revoked, key.Active},
		{"rotated again later", must(r.Rotate(secret("third"), 10*time.Minute, at(40))), at(45), key.Revoked, key.Retiring, key.Active},
		{"revoked", r.Revoke(at(25)), at(26), key.Revoked, key.Revoked, key.Revoked},
		{"expired in the grace", must(r.Update(key.Update{Expires: new(at(25))})), at(26), key.Expired, key.Expired, key.Revoked},
		{"disabled in the grace", must(r.Disable()), at(26), key.Disabled, key.Disabled, key.Revoked},
	} {
		for _, s := range []struct {
			digest key.Digest
			want   key.Status
		}{{first, test.first}, {second, test.second}, {third, test.third}} {
			if got := test.r.StatusOf(s.digest, test.at); got != s.want {
				t.Errorf("%s: secret %s is %s, want %s", test.name, s.digest, got, s.want)
			}
		}
	}
}

func TestRefusedTransitions(t *testing.T) {
	must := must(t)
	active := issued()
	revoked := active.Revoke(at(5))
	rotated := must(active.Rotate(secret("second"), 10*time.Minute, at(20)))
	name := "new"
	for _, test := range []struct {
		name string
		do   func() (*key.Record, error)
		want error
	}{
		{"rotate revoked", func() (*key.Record, error) { return revoked.Rotate(secret("x"), 0, at(6)) }, key.ErrRevoked},
		{"rotate expired", func() (*key.Record, error) { return active.Rotate(secret("x"), 0, at(60)) }, key.ErrExpired},
		{"rotate in the grace", func() (*key.Record, error) { return rotated.Rotate(secret("x"), 1, at(29)) }, key.ErrStillRetiring},
		{"disable revoked", func() (*key.Record, error) { return revoked.Disable() }, key.ErrRevoked},
		{"enable revoked", func() (*key.Record, error) { return revoked.Enable() }, key.ErrRevoked},
		{"update revoked", func() (*key.Record, error) { return revoked.Update(key.Update{Name: &name}) }, key.ErrRevoked},
	} {
		if r, err := test.do(); r != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	must(must(active.Disable()).Rotate(secret("x"), 0, at(1))) // a disabled key may be
	if _, err := rotated.Rotate(secret("x"), 1, at(29)); !strings.Contains(err.Error(), "2026-03-01T12:30:00Z") {
		t.Errorf("%q doesn't say until when", err)
	}
}

func TestNothingChangesNothing(t *testing.T) {
	must := must(t)
	r := issued()
	revoked := r.Revoke(at(5))
	if revoked.Revoke(at(9)) != revoked {
		t.Error("revoking twice is a change")
	}
	if must(r.Enable()) != r || must(r.Update(key.Update{})) != r {
		t.Error("what changes nothing is a change")
	}
	same, scopes, expires := r.Name, []string{"a", "b"}, r.Expires.In(time.FixedZone("", 3600))
	if must(r.Update(key.Update{Name: &same, Scopes: &scopes, Expires: &expires})) != r {
		t.Error("an update to the same is a change")
	}
	disabled := must(r.Disable())
	if must(disabled.Disable()) != disabled {
		t.Error("disabling twice is a change")
	}
}

func TestUpdate(t *testing.T) {
	r := issued()
	text, scopes, never := "x", []string{"c"}, time.Time{}
	got := must(t)(r.Update(key.Update{Name: &text, Description: &text, Creator: &text, Role: &text, Scopes: &scopes, Expires: &never}))
	want := r.Clone()
	want.Name, want.Description, want.Creator, want.Role, want.Scopes, want.Expires = text, text, text, text, []string{"c"}, never
	scopes[0] = "all"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Whatever is done, the record it was done to stays, nothing is shared, and
// some things hold.
func TestTransitionsAreValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := issued(), start
		revoked := false
		for i := range rapid.IntRange(1, 15).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "minutes")) * time.Minute)
			before := r.Clone()
			var next *key.Record
			var err error
			switch rapid.IntRange(0, 4).Draw(t, "transition") {
			case 0:
				grace := time.Duration(rapid.IntRange(0, 20).Draw(t, "grace")) * time.Minute
				next, err = r.Rotate(secret(string(rune('A'+i))), grace, now)
			case 1:
				next, err = r.Disable()
			case 2:
				next, err = r.Enable()
			case 3:
				scopes := []string{"c"}
				next, err = r.Update(key.Update{Scopes: &scopes})
			case 4:
				if rapid.IntRange(0, 3).Draw(t, "revoke") == 0 {
					next = r.Revoke(now)
				}
			}
			if err != nil || next == nil {
				continue
			}
			shared := next == r
			if !shared { // writing into it must not reach the old one
				probe := *next
				if len(probe.Scopes) > 0 {
					probe.Scopes[0] += "!"
				}
				probe.Secrets[0].Prefix += "!"
			}
			if !reflect.DeepEqual(r, before) {
				t.Fatalf("a transition changed the record that it was asked of")
			}
			if next.ID != r.ID || next.Created != r.Created || next.Tenant != r.Tenant || len(next.Secrets) < len(r.Secrets) {
				t.Fatalf("a transition changed who the key is: %+v", next)
			}
			r, revoked = next, revoked || !next.Revoked.IsZero()
			live := 0
			for _, s := range r.Secrets {
				if s := r.StatusOf(s.Digest, now); s == key.Active || s == key.Retiring {
					live++
				}
			}
			if live > 2 || live > 0 && revoked || !r.Current().Until.IsZero() {
				t.Fatalf("%d live secrets, revoked %v", live, revoked)
			}
			if revoked && r.Status(now) != key.Revoked {
				t.Fatal("a revoked key came back")
			}
		}
	})
}

func TestNeighbours(t *testing.T) {
	next, seen := key.Neighbours(), map[string]bool{}
	first := next()
	for range 1000 {
		id := next()
		if _, short := key.ParseID(id).Random(); !short || seen[id] || id[:10] != first[:10] {
			t.Fatalf("%s: want a fresh id beside %s", id, first)
		}
		seen[id] = true
	}
	if other := key.Neighbours()(); other[:10] == first[:10] && key.Neighbours()()[:10] == first[:10] {
		t.Errorf("all ids begin as %s", first[:10])
	}
}
