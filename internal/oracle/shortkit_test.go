package oracle

import "testing"

func TestShortkitMatrix(t *testing.T) {
	w := Fixture()
	publishable := []string{"GET /v1/feed", "HEAD /v1/feed", "GET /v1/feed/f", "HEAD /v1/feed/f", "POST /v1/events", "GET /v1/config", "HEAD /v1/config"}
	for _, area := range []string{"content", "feed", "events", "config", "analytics", "webhooks", "api-keys"} {
		for _, tail := range []string{"", "/f", "/f/g"} {
			for _, method := range allMethods {
				line := method + " /v1/" + area + tail
				want := "KEY_TYPE_NOT_ALLOWED"
				if contains(publishable, line) {
					want = "ALLOWED"
				}
				for _, environment := range []string{"live", "test"} {
					expect(t, w, request(w, "sho-sk-"+environment, line), "ALLOWED")
					expect(t, w, request(w, "sho-pk-"+environment, line), want)
				}
			}
		}
	}
	table(t, "sho-sk-live", `
		GET /v1 ENDPOINT_UNKNOWN
		GET /v1/feed/ ENDPOINT_UNKNOWN
		GET /v1/users ENDPOINT_UNKNOWN
		GET /v1/Feed ENDPOINT_UNKNOWN
		TRACE /v1/feed ENDPOINT_UNKNOWN`)
}

func TestShortkitEnvironments(t *testing.T) {
	w := Fixture()
	const tail = `},"meta":{"requestId":"{request_id}"}}`
	r := request(w, "sho-sk-test", "GET /v1/feed")
	r.Host = "api.shortkit.dev"
	if d := expect(t, w, r, "ENVIRONMENT_MISMATCH"); d.Body != `{"error":{"code":"ENVIRONMENT_MISMATCH","message":"Using test key on production endpoint"`+tail {
		t.Errorf("body %s", d.Body)
	}
	r = request(w, "sho-pk-live", "GET /v1/content")
	r.Host = "api.staging.shortkit.dev"
	if d := expect(t, w, r, "ENVIRONMENT_MISMATCH"); d.Body != `{"error":{"code":"ENVIRONMENT_MISMATCH","message":"Using live key on staging endpoint"`+tail {
		t.Errorf("body %s", d.Body)
	}
	r.Path = "/v1/nope" // no such endpoint comes before the wrong environment
	expect(t, w, r, "ENDPOINT_UNKNOWN")

	r = request(w, "sho-sk-test", "GET /v1/feed")
	for host, pinned := range map[string]string{"api.shortkit.dev": "test", "internal": "test"} {
		r.Host, r.Extensions = host, map[string]string{"latchkey.policy": "shortkit", "latchkey.environment": pinned}
		expect(t, w, r, "ALLOWED")
	}
	r.Extensions = map[string]string{"latchkey.policy": "shortkit", "latchkey.environment": "staging"}
	expect(t, w, r, "ENVIRONMENT_MISMATCH")
	r.Extensions = map[string]string{"latchkey.policy": "shortkit"} // on a host without an environment
	expect(t, w, r, "ENVIRONMENT_MISMATCH")
}

func TestShortkitBodies(t *testing.T) {
	w := Fixture()
	const tail = `},"meta":{"requestId":"{request_id}"}}`
	for key, body := range map[string]string{
		"sho-sk-live-revoked":  `{"error":{"code":"KEY_REVOKED","message":"API key has been revoked"` + tail,
		"sho-sk-live-expired":  `{"error":{"code":"UNAUTHORIZED","message":"Invalid API key provided"` + tail,
		"sho-sk-live-disabled": `{"error":{"code":"UNAUTHORIZED","message":"Invalid API key provided"` + tail,
		"sho-sk-suspended":     `{"error":{"code":"FORBIDDEN","message":"Key lacks required permissions"` + tail,
		"sho-pk-live":          `{"error":{"code":"FORBIDDEN","message":"Key lacks required permissions"` + tail,
	} {
		if d := w.Decide(request(w, key, "GET /v1/content")); d.Body != body {
			t.Errorf("%s: body %s", key, d.Body)
		}
	}
	d := w.Decide(Request{Method: "GET", Host: "api.shortkit.dev", Path: "/v1/feed"})
	if d.Reason != "KEY_MISSING" || d.Body != `{"error":{"code":"UNAUTHORIZED","message":"Invalid API key provided"`+tail {
		t.Errorf("%+v", d)
	}
}

func TestShortkitOrganisationHeader(t *testing.T) {
	w := Fixture()
	org := func(v string) Header { return Header{"x-organization-id", v} }
	for _, c := range []struct {
		value, reason string
	}{{"k_1", "ALLOWED"}, {"", "ALLOWED"}, {"k_2", "TENANT_MISMATCH"}, {"org:k_1", "TENANT_MISMATCH"}, {"k_1,k_1", "TENANT_MISMATCH"}, {" k_1", "TENANT_MISMATCH"}} {
		d := expect(t, w, request(w, "sho-pk-live", "GET /v1/feed", org(c.value)), c.reason)
		if d.Allow && d.TenantHeaders["x-organization-id"] != "k_1" {
			t.Errorf("x-organization-id %v", d.TenantHeaders)
		}
	}
	// It is an ordinary header for the others.
	d := expect(t, w, request(w, "kodey-sk", "GET /v1/chat", org("k_2")), "ALLOWED")
	if contains(d.Remove, "x-organization-id") {
		t.Error("kodey removes x-organization-id")
	}
}
