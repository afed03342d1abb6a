package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/internal/oracle"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// TestTokensStayNowhere plants 1,000 tokens in every place that a token can
// come to, right or wrong, and looks for them in everything that the server
// writes: its log at its most talkative, its metrics, its errors, its
// explanations and its database file.
func TestTokensStayNowhere(t *testing.T) {
	s := serve(t)
	s.load(t, oracle.Fixture())
	check := s.dialCheck(t)
	ctx := context.Background()
	random := rand.New(rand.NewPCG(7, 7))
	var planted []string
	var said strings.Builder
	for i := range 1000 {
		system := []struct{ policy, typ, environment, tenant, host string }{
			{"kodey", "secret", "live", "team:t_1", "api.kodey.example"},
			{"cuneiform", "key", "test", "org:o_1", "api.cuneiform.example"},
			{"spotzee", "secret", "", "project:p_1", "apix.spotzee.com"},
			{"shortkit", "secret", "live", "org:k_1", "api.shortkit.dev"},
		}[i%4]
		token := oracle.Mint(fmt.Sprint("planted ", i), system.policy, system.typ, system.environment)
		// In a key of its own, made or imported, so that it is a live token too.
		fields := &adminv1.KeyFields{Policy: system.policy, Type: system.typ, Environment: system.environment, Tenant: system.tenant, Name: "n"}
		switch i % 3 {
		case 0:
			imported, err := s.keys.ImportKeys(ctx, connect.NewRequest(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{{Key: fields, Token: token, Creator: creatorOf(system.policy)}}}))
			if err != nil || len(imported.Msg.GetMistakes()) > 0 {
				t.Fatalf("import: %v %v", err, imported.Msg.GetMistakes())
			}
			said.WriteString(imported.Msg.String())
		case 1:
			made, err := s.keys.CreateKey(ctx, connect.NewRequest(&adminv1.CreateKeyRequest{As: creatorOf(system.policy), Key: fields}))
			if err != nil {
				t.Fatal(err)
			}
			token = made.Msg.GetKey().GetToken()
		}
		planted = append(planted, token)
		// In every place of a request.
		r := oracle.Request{Method: pickOne(random, "GET", token), Host: pickOne(random, system.host, token+".example", token), Path: pickOne(random, "/v1/"+token, "/v1/chat?key="+token, "/v1/chat")}
		for _, name := range []string{"authorization", "x-api-key", "x-team-id", "x-organization-id", "x-request-id", "x-latchkey-key-id", "x-latchkey-" + strings.ToLower(token), "cookie"} {
			r.Headers = append(r.Headers, oracle.Header{Name: name, Value: pickOne(random, "Bearer "+token, token, "Bearer "+token+" "+token)})
		}
		if i%5 == 0 {
			r.Extensions = map[string]string{"latchkey.policy": token}
		}
		if _, err := check.Check(ctx, checkRequest(r)); err != nil {
			said.WriteString(err.Error())
		}
		// In every field of the admin API.
		said.WriteString(s.misuse(ctx, token, i))
	}
	// Rotating, revealing and explaining with real tokens.
	said.WriteString(s.explainAll(ctx, t, planted))
	stdout, stderr, _ := s.cli(t, planted[0]+"\n", "explain", "--token", "-", "GET", "https://api.kodey.example/v1/chat", "-o", "json")
	said.WriteString(stdout + stderr)
	_, stderr, code := s.cli(t, "", "explain", "--token", planted[1], "GET", "https://api.kodey.example/v1/chat")
	if code == 0 {
		t.Error("a token in the argument list is accepted")
	}
	said.WriteString(stderr)

	places := map[string]string{"log": s.log.String(), "metrics": s.metrics(t), "errors and answers": said.String()}
	s.stop()
	files, err := filepath.Glob(filepath.Join(s.data, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			places[filepath.Base(file)] = string(raw)
		}
	}
	found := 0
	for place, text := range places {
		for _, token := range planted {
			if strings.Contains(text, token) {
				found++
				t.Errorf("%s holds a token (…%s)", place, token[len(token)-4:])
			}
		}
		t.Logf("%-20s %9d bytes", place, len(text))
	}
	t.Logf("%d planted tokens found %d times in %d places", len(planted), found, len(places))
}

func creatorOf(policy string) string {
	if policy == "cuneiform" {
		return "user:full"
	}
	return ""
}

func pickOne(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// misuse puts a token where it doesn't belong and returns what was answered.
func (s *server) misuse(ctx context.Context, token string, i int) string {
	var err error
	switch i % 12 {
	case 0:
		_, err = s.keys.GetKey(ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: token}))
	case 1:
		_, err = s.keys.RevokeKey(ctx, connect.NewRequest(&adminv1.RevokeKeyRequest{Id: token, Note: token}))
	case 2:
		_, err = s.keys.CreateKey(ctx, connect.NewRequest(&adminv1.CreateKeyRequest{As: token, Key: &adminv1.KeyFields{Policy: "kodey", Type: "secret", Tenant: "team:t_1"}}))
	case 3:
		_, err = s.keys.CreateKey(ctx, connect.NewRequest(&adminv1.CreateKeyRequest{Key: &adminv1.KeyFields{Policy: token, Type: token, Tenant: token, Scopes: []string{token}, Role: token}}))
	case 4:
		_, err = s.keys.CreateKey(ctx, connect.NewRequest(&adminv1.CreateKeyRequest{As: "user:full", Key: &adminv1.KeyFields{Policy: "cuneiform", Type: "key", Environment: "live", Tenant: "org:o_1", Scopes: []string{token}}}))
	case 5:
		var got *connect.Response[adminv1.ImportKeysResponse]
		got, err = s.keys.ImportKeys(ctx, connect.NewRequest(&adminv1.ImportKeysRequest{Keys: []*adminv1.ImportKey{{Key: &adminv1.KeyFields{Policy: "kodey", Type: "publishable", Tenant: "team:t_1"}, Token: token}, {Key: &adminv1.KeyFields{Policy: "kodey", Type: "secret", Tenant: "team:t_1"}, Token: token + "x", TokenSha256: token}}}))
		if err == nil {
			return got.Msg.String()
		}
	case 6:
		// Whoever sends a policy is shown the line that is wrong in it: only the
		// log must not repeat it.
		_, _ = s.policy.ApplyPolicy(ctx, connect.NewRequest(&adminv1.ApplyPolicyRequest{File: "p.yaml", Source: "name: x\n" + token + ": y\n"}))
	case 7:
		_, err = s.keys.ListKeys(ctx, connect.NewRequest(&adminv1.ListKeysRequest{As: token, Policy: token, PageToken: token, Status: token}))
	case 8:
		_, err = s.keys.RotateKey(ctx, connect.NewRequest(&adminv1.RotateKeyRequest{Id: token, As: token}))
	case 9:
		var got *connect.Response[adminv1.ExplainResponse]
		got, err = s.about.Explain(ctx, connect.NewRequest(&adminv1.ExplainRequest{Method: "GET", Url: "https://api.kodey.example/v1/chat", Token: token}))
		if err == nil {
			return got.Msg.String()
		}
	case 10:
		_, err = s.policy.RemovePolicy(ctx, connect.NewRequest(&adminv1.RemovePolicyRequest{Name: token}))
	case 11:
		return s.withBearer(ctx, token)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// withBearer presents a token to the admin API and returns the answer.
func (s *server) withBearer(ctx context.Context, token string) string {
	list := connect.NewRequest(&adminv1.ListKeysRequest{})
	list.Header().Set("Authorization", "Bearer "+token)
	if _, err := s.keys.ListKeys(ctx, list); err != nil {
		return err.Error()
	}
	return "ALLOWED"
}

// explainAll asks about every planted token, in the header as well.
func (s *server) explainAll(ctx context.Context, t *testing.T, planted []string) string {
	var said strings.Builder
	for i, token := range planted {
		request := &adminv1.ExplainRequest{Method: "GET", Url: "https://api.kodey.example/v1/chat"}
		if i%2 == 0 {
			request.Token = token
		} else {
			request.Headers = []string{"authorization: Bearer " + token}
		}
		got, err := s.about.Explain(ctx, connect.NewRequest(request))
		if err != nil {
			t.Fatal(err)
		}
		said.WriteString(got.Msg.String())
	}
	return said.String()
}

// TestKeysOpenNoAdminAPI presents a live key of every type to every listener
// that takes more than checks.
func TestKeysOpenNoAdminAPI(t *testing.T) {
	w := oracle.Fixture()
	s := serve(t)
	s.load(t, w)
	ctx := t.Context()
	tried := map[string]bool{}
	for i := range w.Keys {
		k := &w.Keys[i]
		kind := k.Policy + " " + k.Type + " " + k.Role
		if tried[kind] || k.Revoked || k.Disabled || past(k.Expires) {
			continue
		}
		tried[kind] = true
		if got := s.withBearer(ctx, k.Token); !strings.Contains(got, connect.CodePermissionDenied.String()) && !strings.Contains(got, connect.CodeUnauthenticated.String()) {
			t.Errorf("a %s key at the admin API: %q", kind, got)
		}
		// The listener for metrics serves no admin method, with any key.
		for _, path := range []string{"/latchkey.admin.v1.KeyService/ListKeys", "/latchkey.admin.v1.KeyService/CreateKey", "/envoy.service.auth.v3.Authorization/Check"} {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.http+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+k.Token)
			r.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode < 400 {
				t.Errorf("a %s key at %s: %d", kind, path, resp.StatusCode)
			}
		}
		// A caller is a principal of the directory, never a key.
		if _, err := s.keys.ListKeys(ctx, connect.NewRequest(&adminv1.ListKeysRequest{As: k.ID})); err == nil {
			t.Errorf("a %s key acts as a caller", kind)
		}
	}
	t.Logf("%d kinds of keys", len(tried))
}
