package oracle

import (
	"strings"
	"testing"
	"time"
)

func TestCredentialGrammar(t *testing.T) {
	w := Fixture()
	token := w.Find("kodey-sk").Token
	for value, reason := range map[string]string{
		"":                                   "KEY_MISSING",
		"Basic YTpi":                         "KEY_MISSING",
		"Basic YTpi,Bearer " + token:         "KEY_MISSING",
		"Digest a=1, b=2":                    "KEY_MISSING",
		token:                                "KEY_MISSING",
		" Bearer " + token:                   "KEY_MISSING",
		"Bearer":                             "KEY_MISSING",
		"Bearer ":                            "KEY_MISSING",
		"BearerX " + token:                   "KEY_MISSING",
		"Bearer " + token + "," + token:      "KEY_AMBIGUOUS",
		"Bearer " + token + ",":              "KEY_AMBIGUOUS",
		"Bearer " + token + " " + token:      "KEY_AMBIGUOUS",
		"Bearer  " + token:                   "KEY_MALFORMED",
		"Bearer\t" + token:                   "KEY_MALFORMED",
		"Bearer " + token + " ":              "KEY_MALFORMED",
		"Bearer " + token + "!":              "KEY_MALFORMED",
		"Bearer " + token + "a":              "KEY_MALFORMED",
		"Bearer " + token[:len(token)-1]:     "KEY_MALFORMED",
		"Bearer sk_test_" + token[8:]:        "KEY_MALFORMED",
		"Bearer u" + token:                   "KEY_UNKNOWN", // usk_live_ and the secret of an sk_live_ key
		"Bearer pk" + token[2:]:              "KEY_UNKNOWN",
		"Bearer " + strings.ToUpper(token):   "KEY_MALFORMED",
		"Bearer " + strings.Repeat("a", 300): "KEY_MALFORMED",
		"bearer " + token:                    "ALLOWED",
		"BEARER " + token:                    "ALLOWED",
		"Bearer " + token:                    "ALLOWED",
	} {
		r := Request{Method: "GET", Host: "api.kodey.example", Path: "/v1/chat", Headers: []Header{{"authorization", value}}}
		d := expect(t, w, r, reason)
		www := ""
		if reason == "KEY_MISSING" {
			www = `Bearer realm="kodey"`
		} else if reason != "ALLOWED" {
			www = `Bearer realm="kodey", error="invalid_token"`
		}
		if d.WWWAuthenticate != www {
			t.Errorf("%q: %s", value, d.WWWAuthenticate)
		}
	}
	two := Request{
		Method: "GET", Host: "api.kodey.example", Path: "/v1/chat",
		Headers: []Header{{"authorization", "Bearer " + token}, {"authorization", "Bearer " + token}},
	}
	expect(t, w, two, "KEY_AMBIGUOUS")
	elsewhere := Request{
		Method: "GET", Host: "api.kodey.example", Path: "/v1/chat?key=" + token,
		Headers: []Header{{"x-api-key", token}, {"cookie", "k=" + token}, {"proxy-authorization", "Bearer " + token}},
	}
	expect(t, w, elsewhere, "KEY_MISSING")
}

func TestAKeyBelongsToOnePolicy(t *testing.T) {
	w := Fixture()
	for _, k := range w.Keys {
		for policy, host := range hosts {
			if policy == k.Policy {
				continue
			}
			r := Request{Method: "GET", Host: host, Path: "/v1/chat", Headers: []Header{{"authorization", "Bearer " + k.Token}}}
			want := "KEY_MALFORMED"
			if hasForm(policy, k.Token) {
				want = "KEY_UNKNOWN"
			}
			expect(t, w, r, want)
		}
	}
}

func TestStates(t *testing.T) {
	w := Fixture()
	for key, reason := range map[string]string{
		"kodey-sk-revoked": "KEY_REVOKED", "kodey-sk-expired": "KEY_EXPIRED", "kodey-sk-disabled": "KEY_DISABLED",
		"kodey-sk-expires-later": "ALLOWED", "kodey-sk-revoked-expired-disabled": "KEY_REVOKED", "kodey-sk-expired-disabled": "KEY_EXPIRED",
		"kodey-usk-revoked": "KEY_REVOKED", "kodey-usk-barred": "PRINCIPAL_GONE", "kodey-usk-left": "PRINCIPAL_GONE",
		"kodey-sk-suspended": "TENANT_SUSPENDED", "kodey-sk-rotated-grace": "ALLOWED", "kodey-sk-rotated-dead": "ALLOWED", "kodey-sk-rotated-revoked": "KEY_REVOKED",
	} {
		expect(t, w, request(w, key, "GET /v1/chat"), reason)
		if strings.HasPrefix(reason, "KEY_") || reason == "PRINCIPAL_GONE" { // before anything about paths
			expect(t, w, request(w, key, "GET /v1/../%2e"), reason)
		}
	}
	old := func(key string) Request {
		r := request(w, key, "GET /v1/chat")
		r.Headers[0].Value = "Bearer " + w.Find(key).OldTokens[0].Token
		return r
	}
	expect(t, w, old("kodey-sk-rotated-grace"), "ALLOWED")
	expect(t, w, old("kodey-sk-rotated-dead"), "KEY_REVOKED")
	expect(t, w, old("kodey-sk-rotated-revoked"), "KEY_REVOKED")

	// Expiry and the end of a grace period are exclusive.
	w.Now = farAway
	expect(t, w, request(w, "kodey-sk-expires-later", "GET /v1/chat"), "KEY_EXPIRED")
	expect(t, w, old("kodey-sk-rotated-grace"), "KEY_REVOKED")
	w.Now = farAway.Add(-time.Nanosecond)
	expect(t, w, request(w, "kodey-sk-expires-later", "GET /v1/chat"), "ALLOWED")
	expect(t, w, old("kodey-sk-rotated-grace"), "ALLOWED")
}

func TestDenyIsTheDefault(t *testing.T) {
	w := Fixture()
	delete(w.Tenants, "team:t_1")
	delete(w.Tenants, "organisation:so_1")
	w.Tenants["org:o_1"] = Tenant{Parent: "org:o_1"}
	expect(t, w, request(w, "kodey-sk", "GET /v1/chat"), "TENANT_SUSPENDED")
	expect(t, w, request(w, "kodey-usk-one", "GET /v1/chat"), "TENANT_MISMATCH")
	expect(t, w, request(w, "spo-sk-admin", "GET /api/client/x"), "TENANT_SUSPENDED")
	expect(t, w, request(w, "cun-live", "GET /v1/tags"), "TENANT_SUSPENDED")
	if d := (&World{}).Decide(Request{}); d.Allow || d.Status != 403 {
		t.Errorf("the empty request in the empty world: %+v", d)
	}
}

func TestHosts(t *testing.T) {
	w := Fixture()
	for host, known := range map[string]bool{
		"api.kodey.example": true, "API.Kodey.EXAMPLE": true, "api.kodey.example:443": true, "api.kodey.example:8080": true,
		"api.kodey.example.": false, "api.kodey.example.:443": false, "api.kodey.example:": false, "api.kodey.example:80:80": false,
		"api.kodey.example:x": false, "api.kodey.example:999999": false, "x@api.kodey.example": false, "api.kodey.example,api.kodey.example": false, "": false, ":443": false,
		"127.0.0.1": false, "kodey.example": false, "x.api.kodey.example": false, "api.\u212aodey.example": false, " api.kodey.example": false,
	} {
		r := request(w, "kodey-sk", "GET /v1/chat", Header{"x-forwarded-host", "api.kodey.example"})
		r.Host = host
		want := "HOST_UNKNOWN"
		if known {
			want = "ALLOWED"
		}
		expect(t, w, r, want)
	}
	r := request(w, "kodey-sk", "GET /v1/chat")
	r.Host, r.Extensions = "elsewhere", map[string]string{"latchkey.policy": "kodey"}
	expect(t, w, r, "ALLOWED")
	r.Extensions["latchkey.environment"] = "live"
	expect(t, w, r, "ALLOWED")
	r.Extensions["latchkey.environment"] = "test"
	expect(t, w, r, "ENVIRONMENT_MISMATCH")
	r.Host, r.Extensions = "api.kodey.example", map[string]string{"latchkey.policy": "spotzee"}
	expect(t, w, r, "KEY_MALFORMED")
	r.Extensions["latchkey.policy"] = "nobody"
	expect(t, w, r, "HOST_UNKNOWN")
}

func TestPaths(t *testing.T) {
	w := Fixture()
	for path, reason := range map[string]string{
		"": "PATH_AMBIGUOUS", "*": "PATH_AMBIGUOUS", "v1/chat": "PATH_AMBIGUOUS", "?x": "PATH_AMBIGUOUS",
		"//v1/chat": "PATH_AMBIGUOUS", "/v1//chat": "PATH_AMBIGUOUS", "/v1/chat//": "PATH_AMBIGUOUS",
		"/v1/./chat": "PATH_AMBIGUOUS", "/v1/x/../chat": "PATH_AMBIGUOUS", "/v1/chat/..": "PATH_AMBIGUOUS", "/v1/chat/.": "PATH_AMBIGUOUS",
		"/v1/chat;x": "PATH_AMBIGUOUS", `/v1\chat`: "PATH_AMBIGUOUS", "/v1/%63hat": "PATH_AMBIGUOUS", "/v1/chat%": "PATH_AMBIGUOUS",
		"/v1/chat/!": "PATH_AMBIGUOUS", "/v1/chat/[a]": "PATH_AMBIGUOUS", "/v1/chat/\xff": "PATH_AMBIGUOUS", "/v1/chat/é": "PATH_AMBIGUOUS",
		"/v1/chat#x": "PATH_AMBIGUOUS", "/v1/chat/a b": "PATH_AMBIGUOUS",
		"/v1/chat/":                                "ENDPOINT_UNKNOWN",
		"/v1/chat/...":                             "ALLOWED",
		"/v1/chat/..x":                             "ALLOWED",
		"/v1/chat/-._~$&'()*+,=:@":                 "ALLOWED",
		"/v1/chat?%2e%2e/;#":                       "ALLOWED",
		"/v1/chat" + strings.Repeat("/a", 254):     "ALLOWED", // 256 segments
		"/v1/chat" + strings.Repeat("/a", 255):     "PATH_AMBIGUOUS",
		"/v1/chat/" + strings.Repeat("a", 8192-9):  "ALLOWED",
		"/v1/chat/" + strings.Repeat("a", 8192-8):  "PATH_AMBIGUOUS",
		"/v1/chat?" + strings.Repeat("a", 10*1024): "ALLOWED",
	} {
		expect(t, w, request(w, "kodey-sk", "GET "+path), reason)
	}
	for _, c := range []struct{ path, raw, reason string }{
		{"/v1/chat/!", "/v1/chat/!", "ALLOWED"},
		{"/v1/chat/!", "/v1/chat/\xff", "PATH_AMBIGUOUS"},
		{"/v1/chat/a", "/v1/chat/a", "ALLOWED"},
		{"/v1/chat/a", "/v1/members", "PATH_AMBIGUOUS"},
		{"/v1/chat/a", "", "PATH_AMBIGUOUS"},
		{"/v1/chat?q=!", "/v1/chat?q=\xff", "ALLOWED"},
	} {
		r := request(w, "kodey-sk", "GET "+c.path)
		r.RawPath = &c.raw
		expect(t, w, r, c.reason)
	}
}

func TestIdentityHeaders(t *testing.T) {
	w := Fixture()
	spoofed := []Header{{"x-latchkey-principal", "user:root"}, {"x-latchkey-key-id", "evil"}, {"x-latchkey-admin", "1"}, {"x_latchkey_tenant", "evil"}, {"x-latch", "ok"}}
	d := expect(t, w, request(w, "kodey-sk", "GET /v1/chat", spoofed...), "ALLOWED")
	for name, value := range map[string]string{
		"x-latchkey-key-id": "key_kodey-sk", "x-latchkey-policy": "kodey", "x-latchkey-type": "secret", "x-latchkey-tenant": "team:t_1", "x-latchkey-environment": "live",
	} {
		if d.Identity[name] != value || contains(d.Remove, name) {
			t.Errorf("%s: %q", name, d.Identity[name])
		}
	}
	for _, name := range []string{"authorization", "x-latchkey-principal", "x-latchkey-role", "x-latchkey-tenants", "x-latchkey-admin", "x_latchkey_tenant"} {
		if !contains(d.Remove, name) || d.Identity[name] != "" {
			t.Errorf("%s is not removed", name)
		}
	}
	if contains(d.Remove, "x-latch") {
		t.Error("x-latch is removed")
	}
	if d := w.Decide(request(w, "kodey-usk-many", "GET /v1/chat")); d.Identity["x-latchkey-principal"] != "user:bob" {
		t.Errorf("principal %v", d.Identity)
	}
}

func TestFixtureIsSound(t *testing.T) {
	w := Fixture()
	tokens, ids := map[string]string{}, map[string]bool{}
	for _, k := range w.Keys {
		all := []string{k.Token}
		for _, old := range k.OldTokens {
			all = append(all, old.Token)
		}
		for _, token := range all {
			if other, dup := tokens[token]; dup {
				t.Errorf("%s and %s have one token", k.Name, other)
			}
			if tokens[token] = k.Name; !hasForm(k.Policy, token) {
				t.Errorf("%s: its token has no form of %s", k.Name, k.Policy)
			}
		}
		if ids[k.ID] {
			t.Errorf("id %s twice", k.ID)
		}
		ids[k.ID] = true
	}
	if Fixture().Find("kodey-sk").Token != w.Find("kodey-sk").Token {
		t.Error("tokens differ from run to run")
	}
	t.Logf("%d keys, %d tenants, %d principals", len(w.Keys), len(w.Tenants), len(w.Principals))
}
