package authz

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"

	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
)

// said are metadata as a test writes them; policy and revision go without saying.
type said map[string]any

type reasonCase struct {
	world    func(*world)
	request  *authv3.CheckRequest
	metadata said
	nobody   bool // no policy claims the request
}

// ofKey adds what is told of a key to it.
func ofKey(id, typ string, more said) said {
	f := said{"key_id": id, "type": typ, "environment": "live"}
	maps.Copy(f, more)
	return f
}

func get(target string, headers ...string) *authv3.CheckRequest {
	return envoy(mapped, "GET", target, append(headers, "x-request-id: r1")...)
}

var (
	things  = said{"endpoint": "Read things"}
	inTeam1 = said{"tenant": "team:t_1", "plan": "free"}
)

func with(all ...said) said {
	f := said{}
	for _, more := range all {
		maps.Copy(f, more)
	}
	return f
}

// reasonCases has a request for every reason that Check can answer with.
func reasonCases() map[policy.Reason]reasonCase {
	return map[policy.Reason]reasonCase{
		policy.HostUnknown: {request: get("/things", bearer("key_full"), "host: other.example"), nobody: true},
		policy.Public:      {request: get("/status", bearer("key_full")), metadata: said{"endpoint": "Status"}},
		policy.Preflight: {
			request:  envoy(mapped, "OPTIONS", "/things", "origin: https://x", "access-control-request-method: POST", "x-request-id: r1"),
			metadata: said{"endpoint": "Write things"},
		},
		policy.ReplicaStale: {world: cutOff(time.Minute+1, time.Minute), request: get("/things", bearer("key_full")), metadata: things},
		policy.NotReady:     {world: func(w *world) { w.revision = 0 }, request: get("/things", bearer("key_full")), nobody: true},
		policy.KeyMissing:   {request: get("/things"), metadata: things},
		policy.KeyAmbiguous: {request: get("/things", bearer("key_full"), "x-api-key: "+tokens["key_full"]), metadata: things},
		policy.KeyMalformed: {request: get("/things", "x-api-key: "+tokens["key_browser"][1:]), metadata: things},
		policy.KeyUnknown:   {request: get("/things", "x-api-key: sk_live_"+filler), metadata: things},
		policy.KeyRevoked: {
			world:   func(w *world) { w.keys["key_full"].Revoked = noon.Add(-time.Hour) },
			request: get("/things", bearer("key_full")), metadata: ofKey("key_full", "secret", with(things, inTeam1, said{"scopes": "read write"})),
		},
		policy.KeyExpired: {
			world:   func(w *world) { w.keys["key_full"].Expires = noon },
			request: get("/things", bearer("key_full")), metadata: ofKey("key_full", "secret", with(things, inTeam1, said{"scopes": "read write"})),
		},
		policy.KeyDisabled: {
			world:   func(w *world) { w.keys["key_full"].Disabled = true },
			request: get("/things", bearer("key_full")), metadata: ofKey("key_full", "secret", with(things, inTeam1, said{"scopes": "read write"})),
		},
		policy.PrincipalGone: {
			world:   func(w *world) { w.principals["user:ada"].Suspended = true },
			request: get("/things", bearer("key_user")), metadata: ofKey("key_user", "user", with(things, said{"principal": "user:ada", "scopes": "read write"})),
		},
		policy.TenantSuspended: {
			world:   func(w *world) { w.tenants["org:o_1"].Suspended = true },
			request: get("/things", bearer("key_full")), metadata: ofKey("key_full", "secret", with(things, inTeam1, said{"scopes": "read write"})),
		},
		policy.PathAmbiguous:   {request: get("/things/%61", bearer("key_full")), metadata: ofKey("key_full", "secret", with(inTeam1, said{"scopes": "read write"}))},
		policy.EndpointUnknown: {request: get("/nothing", bearer("key_full")), metadata: ofKey("key_full", "secret", with(inTeam1, said{"scopes": "read write"}))},
		policy.EnvironmentMismatch: {
			request:  get("/things", bearer("key_test")),
			metadata: ofKey("key_test", "secret", with(things, inTeam1, said{"environment": "test", "scopes": "read"})),
		},
		policy.KeyTypeNotAllowed: {
			request:  get("/admin/x", bearer("key_full")),
			metadata: ofKey("key_full", "secret", with(inTeam1, said{"endpoint": "Administer", "scopes": "read write"})),
		},
		policy.ScopeMissing: {request: get("/things", bearer("key_none")), metadata: ofKey("key_none", "secret", with(things, inTeam1))},
		policy.PermissionMissing: {
			request:  envoy(mapped, "DELETE", "/things/1", bearer("key_guest"), "x-request-id: r1"),
			metadata: ofKey("key_guest", "secret", with(inTeam1, said{"endpoint": "Delete things", "scopes": "read"})),
		},
		policy.TenantMismatch: {
			request:  get("/things", bearer("key_full"), "x-team-id: t_2"),
			metadata: ofKey("key_full", "secret", with(things, said{"scopes": "read write", "plan": "free"})),
		},
		policy.Allowed: {
			request:  get("/things", bearer("key_full")),
			metadata: ofKey("key_full", "secret", with(things, inTeam1, said{"scopes": "read write"})),
		},
	}
}

// problem is the body of a refusal by a policy without replies.
func problem(r policy.Reason) string {
	code, title := r.String(), map[int]string{401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}[r.Status()]
	if r.Status() == 401 {
		code = "UNAUTHORIZED"
	}
	return fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"detail":%q,"code":%q,"request_id":"r1"}`, title, r.Status(), r.Message(), code)
}

func refusalHeaders(r policy.Reason) map[string]string {
	h := map[string]string{"content-type": "application/problem+json", "cache-control": "no-store"}
	switch {
	case r == policy.KeyMissing:
		h["www-authenticate"] = `Bearer realm="acme"`
	case r.Status() == 401:
		h["www-authenticate"] = `Bearer realm="acme", error="invalid_token"`
	case r.Status() == 503:
		h["retry-after"] = "1"
	}
	return h
}

func checkRefusal(t *testing.T, got heard, reason policy.Reason) {
	t.Helper()
	code := map[int]codes.Code{401: codes.Unauthenticated, 403: codes.PermissionDenied, 503: codes.Unavailable}[reason.Status()]
	if got.allowed || got.reason != reason.String() || got.status != reason.Status() || got.code != code {
		t.Errorf("answered with %s, status %d, gRPC %s; want status %d, gRPC %s", got.reason, got.status, got.code, reason.Status(), code)
	}
	if want := problem(reason); got.body != want {
		t.Errorf("the body is\n%s, want\n%s", got.body, want)
	}
	if want := refusalHeaders(reason); !maps.Equal(got.headers, want) {
		t.Errorf("headers are %v, want %v", got.headers, want)
	}
}

func TestEveryReason(t *testing.T) {
	newWorld(t) // mints what the cases present
	cases := reasonCases()
	for _, reason := range policy.Reasons() {
		t.Run(reason.String(), func(t *testing.T) {
			w := newWorld(t)
			c, ok := cases[reason]
			if !ok {
				t.Fatal("no case for this reason: add one")
			}
			if c.world != nil {
				c.world(w)
			}
			got := w.check(t, c.request)
			if reason.Allows() {
				if !got.allowed || got.status != 200 {
					t.Errorf("refused with %s", got.reason)
				}
			} else {
				checkRefusal(t, got, reason)
			}
			want := with(c.metadata, said{"reason": reason.String(), "revision": float64(w.revision)})
			if !c.nobody {
				want["policy"] = "acme"
			}
			if !maps.Equal(got.metadata, want) {
				t.Errorf("metadata are\n%v, want\n%v", got.metadata, want)
			}
		})
	}
}

// TestStrangersLearnNothing: to a client every 401 is the same to the byte,
// but for whether a credential was there.
func TestStrangersLearnNothing(t *testing.T) {
	newWorld(t)
	bodies, challenges := map[string]bool{}, map[string][]string{}
	for reason, c := range reasonCases() {
		if reason.Status() != 401 {
			continue
		}
		w := newWorld(t)
		if c.world != nil {
			c.world(w)
		}
		got := w.check(t, c.request)
		bodies[got.body] = true
		challenge := got.headers["www-authenticate"]
		challenges[challenge] = append(challenges[challenge], reason.String())
		delete(got.headers, "www-authenticate")
		if want := map[string]string{"content-type": "application/problem+json", "cache-control": "no-store"}; !maps.Equal(got.headers, want) {
			t.Errorf("%s adds %v", reason, got.headers)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("the 401s have %d bodies: %v", len(bodies), slices.Sorted(maps.Keys(bodies)))
	}
	if want := []string{"KEY_MISSING"}; len(challenges) != 2 || !slices.Equal(challenges[`Bearer realm="acme"`], want) {
		t.Errorf("challenges: %v", challenges)
	}
}

// TestNothingIsLookedUpInVain: what can't be a token is refused without the store.
func TestNothingIsLookedUpInVain(t *testing.T) {
	newWorld(t)
	for reason, c := range reasonCases() {
		w := newWorld(t)
		if c.world != nil {
			c.world(w)
		}
		w.check(t, c.request)
		want := 1
		if reason < policy.KeyUnknown {
			want = 0
		}
		if w.lookups != want {
			t.Errorf("%s: %d look-ups, want %d", reason, w.lookups, want)
		}
	}
}

// TestForeignKeys: a key of another policy, or of a type that was taken out
// of the policy, is nobody's, and nothing is told of it.
func TestForeignKeys(t *testing.T) {
	for name, change := range map[string]func(*key.Record){
		"another policy": func(r *key.Record) { r.Policy = "other" },
		"a former type":  func(r *key.Record) { r.Type = "former" },
	} {
		w := newWorld(t)
		change(w.keys["key_full"])
		got := w.check(t, get("/things", bearer("key_full")))
		checkRefusal(t, got, policy.KeyUnknown)
		if want := with(things, said{"policy": "acme", "reason": "KEY_UNKNOWN", "revision": 7.0}); !maps.Equal(got.metadata, want) {
			t.Errorf("%s: metadata are %v, want %v", name, got.metadata, want)
		}
	}
}
