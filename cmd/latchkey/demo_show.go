package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/examples"
	"github.com/latchkey/latchkey/internal/envoytest"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// demoKeys is a key of each type of each example, by the variable that its
// token is put in.
var demoKeys = []struct {
	variable string
	as       string
	key      *adminv1.KeyFields
}{
	{"KODEY_PUBLISHABLE", "", &adminv1.KeyFields{Policy: "kodey", Type: "publishable", Tenant: "team:t_1"}},
	{"KODEY_SECRET", "", &adminv1.KeyFields{Policy: "kodey", Type: "secret", Tenant: "team:t_1"}},
	{"KODEY_USER", "user:ada", &adminv1.KeyFields{Policy: "kodey", Type: "user_secret", Principal: "user:ada"}},
	{"CUNEIFORM", "user:cleo", &adminv1.KeyFields{Policy: "cuneiform", Type: "key", Environment: "live", Tenant: "org:acme", Scopes: []string{"agents:read", "agents:query"}}},
	{"SPOTZEE_PUBLISHABLE", "", &adminv1.KeyFields{Policy: "spotzee", Type: "publishable", Tenant: "project:shop", Name: "web shop"}},
	{"SPOTZEE_SECRET", "", &adminv1.KeyFields{Policy: "spotzee", Type: "secret", Tenant: "project:shop", Name: "back office"}},
	{"SPOTZEE_ORGANISATION", "user:olga", &adminv1.KeyFields{Policy: "spotzee", Type: "organisation", Tenant: "organisation:globe", Role: "member", Name: "reports"}},
	{"SHORTKIT_SECRET", "", &adminv1.KeyFields{Policy: "shortkit", Type: "secret", Environment: "live", Tenant: "org:kit"}},
	{"SHORTKIT_PUBLISHABLE_TEST", "", &adminv1.KeyFields{Policy: "shortkit", Type: "publishable", Environment: "test", Tenant: "org:kit"}},
}

// demoRequest is one request of the demonstration.
type demoRequest struct {
	says   string
	key    string // variable; empty: none
	method string
	host   string
	path   string
	header string // further, as name: value
}

const (
	kodeyHost     = "api.kodey.example"
	cuneiformHost = "api.cuneiform.example"
	spotzeeHost   = "apix.spotzee.com"
	shortkitHost  = "api.shortkit.dev"
)

var demoRequests = []demoRequest{
	{"Without a key nothing opens.", "", "GET", kodeyHost, "/v1/chat", ""},
	{"A publishable key opens chat …", "KODEY_PUBLISHABLE", "GET", kodeyHost, "/v1/chat", ""},
	{"… and not the agents, which are behind the application's back end.", "KODEY_PUBLISHABLE", "GET", kodeyHost, "/v1/agents", ""},
	{"A secret key opens them. The upstream is told who is asking, and never sees the key.", "KODEY_SECRET", "GET", kodeyHost, "/v1/agents", ""},
	{"It does not reach another team.", "KODEY_SECRET", "GET", kodeyHost, "/v1/agents", "x-team-id: t_2"},
	{"A person's key reaches every team that she runs.", "KODEY_USER", "GET", kodeyHost, "/v1/teams/t_1", ""},
	{"Scopes were chosen when this key was made: it reads agents …", "CUNEIFORM", "GET", cuneiformHost, "/v1/agents/a_1", ""},
	{"… and may not delete them. The body is the one that this API documents.", "CUNEIFORM", "DELETE", cuneiformHost, "/v1/agents/a_1", ""},
	{"A key that ships with a web page may report events.", "SPOTZEE_PUBLISHABLE", "POST", spotzeeHost, "/api/client/events", ""},
	{"A project's key opens its own project …", "SPOTZEE_SECRET", "GET", spotzeeHost, "/api/projects/shop", ""},
	{"… and no other.", "SPOTZEE_SECRET", "GET", spotzeeHost, "/api/projects/blog", ""},
	{"An organisation's key reads what belongs to it; its role, member, does not write.", "SPOTZEE_ORGANISATION", "GET", spotzeeHost, "/api/admin/projects/blog", ""},
	{"A test key does not open production. Here the documented body says so.", "SHORTKIT_PUBLISHABLE_TEST", "GET", shortkitHost, "/v1/feed", ""},
	{"A key of one API is nobody at another, though it looks the same.", "KODEY_SECRET", "GET", shortkitHost, "/v1/feed", ""},
}

// show makes the keys, sends the requests and prints what came back.
func (d *demo) show(ctx context.Context) error {
	if err := d.people(ctx, examples.Systems...); err != nil {
		return err
	}
	d.say("Four APIs behind one Envoy, with a key of each of their types. To try them yourself:\n\n")
	d.say("  export LATCHKEY_ADMIN=%s\n", d.admin)
	for _, k := range demoKeys {
		a, err := ask(ctx, d.client.keys.CreateKey, &adminv1.CreateKeyRequest{As: k.as, Key: k.key})
		if err != nil {
			return fmt.Errorf("making %s: %w", k.variable, d.explain(err))
		}
		d.keys[k.variable] = a.GetKey()
		d.say("  export %s=%s\n", k.variable, a.GetKey().GetToken())
	}
	for _, r := range demoRequests {
		if err := d.send(ctx, r); err != nil {
			return err
		}
	}

	secret := d.keys["KODEY_SECRET"]
	if _, err := ask(ctx, d.client.keys.RevokeKey, &adminv1.RevokeKeyRequest{Id: secret.GetId(), Note: "demo"}); err != nil {
		return d.explain(err)
	}
	d.say("\nNow the secret key is revoked:\n  latchkey keys revoke %s\n", secret.GetId())
	if err := d.send(ctx, demoRequest{"The very next request is refused.", "KODEY_SECRET", "GET", kodeyHost, "/v1/agents", ""}); err != nil {
		return err
	}
	d.say("\nWhy? Ask for any request, with a key's id or its token:\n  latchkey explain --key %s GET https://%s/v1/agents\n", secret.GetId(), kodeyHost)
	return nil
}

// send sends a request through Envoy and prints it as curl would send it.
func (d *demo) send(ctx context.Context, r demoRequest) error {
	fields := []envoytest.Field{{Name: "Host", Value: r.host}}
	line := fmt.Sprintf("curl -i -X %s -H 'Host: %s'", r.method, r.host)
	if r.key != "" {
		fields = append(fields, envoytest.Field{Name: "Authorization", Value: "Bearer " + d.keys[r.key].GetToken()})
		line += fmt.Sprintf(` -H "Authorization: Bearer $%s"`, r.key)
	}
	if name, value, ok := strings.Cut(r.header, ": "); ok {
		fields = append(fields, envoytest.Field{Name: name, Value: value})
		line += fmt.Sprintf(" -H '%s'", r.header)
	}
	if r.method == "POST" {
		fields = append(fields, envoytest.Field{Name: "Content-Length", Value: "0"})
	}
	address := d.envoy.Addr(string(envoytest.Hardened))
	answer, err := envoytest.H1(ctx, address, envoytest.Request(r.method, r.path, fields, nil))
	if err != nil {
		return err
	}
	d.say("\n%s\n  %s http://%s%s\n", r.says, line, address, r.path)
	if answer.Status == 200 {
		return d.sayUpstream(answer.Body)
	}
	d.say("  ← %d  %s\n", answer.Status, strings.Join(strings.Fields(string(answer.Body)), " "))
	return nil
}

// sayUpstream prints what the upstream was told.
func (d *demo) sayUpstream(body []byte) error {
	var echo envoytest.Echo
	if err := json.Unmarshal(body, &echo); err != nil {
		return fmt.Errorf("reading the upstream's answer: %w", err)
	}
	d.say("  ← 200, and the upstream saw\n")
	for _, h := range echo.Headers {
		if strings.HasPrefix(strings.ToLower(h[0]), "x-latchkey-") {
			d.say("      %s: %s\n", strings.ToLower(h[0]), h[1])
		}
	}
	return nil
}

// say prints. Whoever closed the other end of the demo's output has seen enough.
func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }
