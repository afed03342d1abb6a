package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// latchkey runs a command in the hub, where its admin socket is, and returns what it prints.
func latchkey(t *testing.T, hub *runningPod, stdin string, args ...string) string {
	t.Helper()
	out, said, err := hub.containers["latchkey"].exec(stdin, append([]string{"/usr/local/bin/latchkey"}, args...)...)
	if err != nil {
		t.Fatalf("latchkey %s: %v\n%s%s", strings.Join(args, " "), err, out, said)
	}
	return out
}

type madeKey struct{ ID, Token string }

// newKey makes a key that may read notes, and waits until the pods know it.
func newKey(t *testing.T, hub *runningPod) (key madeKey) {
	t.Helper()
	made := latchkey(t, hub, "", "keys", "create", "--policy", "notes", "--type", "secret", "--tenant", "team:t_1", "--environment", "live", "--scope", "notes:read", "-o", "json")
	if err := json.Unmarshal([]byte(made), &key); err != nil {
		t.Fatal(err)
	}
	latchkey(t, hub, "", "replicas", "await", "--wait", "1m")
	return key
}

// checks asks at a socket of the pod as Envoy does.
func (p *runningPod) checks(t *testing.T, socket, token string) {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for header, want := range map[string]int{"Bearer " + token: http.StatusOK, "Bearer " + token[1:]: http.StatusUnauthorized} {
		answer, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
				Method: "GET", Host: "api.notes.example", Path: "/v1/notes", Headers: map[string]string{"authorization": header},
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got := int(answer.GetDeniedResponse().GetStatus().GetCode())
		if answer.GetOkResponse() != nil {
			got = http.StatusOK
		}
		if got != want {
			t.Errorf("Check answers %d, want %d", got, want)
		}
	}
}

// requests go through Envoy, which asks the sidecar, which follows the hub.
func requests(t *testing.T, hub, pod *runningPod) {
	if status := latchkey(t, hub, "", "status"); !regexp.MustCompile(`(?m)^ready +yes$`).MatchString(status) {
		t.Fatalf("the hub isn't ready:\n%s", status)
	}
	var build struct{ Version, Commit string }
	if err := json.Unmarshal([]byte(latchkey(t, hub, "", "version", "-o", "json")), &build); err != nil || build.Version != told.version || build.Commit != told.revision {
		t.Errorf("it says that it is %+v, want %+v: %v", build, told, err)
	}
	if replicas := latchkey(t, hub, "", "replicas", "list"); !strings.Contains(replicas, told.version) {
		t.Errorf("the sidecar doesn't say that it is %s:\n%s", told.version, replicas)
	}
	if _, said, err := hub.containers["latchkey"].exec("", "/usr/local/bin/latchkey", "db", "backup", "/etc/copy"); err == nil || !strings.Contains(said, "read-only file system") {
		t.Errorf("it writes to its root: %v, %s", err, said)
	}
	latchkey(t, hub, `tenants: [{id: "team:t_1"}]`, "directory", "apply", "-f", "-")
	key := newKey(t, hub)
	// The hub answers Envoys too, where it has one beside it.
	hub.checks(t, filepath.Join(hub.volumes["data"], "latchkey-data/authz.sock"), key.Token)

	app := newApp(t, pod)
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/v1/notes", "", http.StatusUnauthorized},
		{"GET", "/v1/notes", key.Token[:len(key.Token)-1], http.StatusUnauthorized},
		{"GET", "/v1/notes", key.Token, http.StatusOK},
		{"GET", "/v1/notes/1", key.Token, http.StatusOK},
		{"DELETE", "/v1/notes/1", key.Token, http.StatusForbidden},
		{"GET", "/v1/others", key.Token, http.StatusForbidden},
	} {
		pod.answered(t, c.want, c.method, c.path, c.token)
	}
	if seen := app.take(); len(seen) != 2 || seen[0].Header.Get("X-Latchkey-Tenant") != "team:t_1" || seen[0].Header.Get("Authorization") != "" {
		t.Errorf("the application saw %v", seen)
	}
	if revoked := latchkey(t, hub, "", "keys", "revoke", key.ID, "--wait", "-o", "json"); !strings.Contains(revoked, `"applied": 1`) {
		t.Errorf("the receipt is %s", revoked)
	}
	pod.answered(t, http.StatusUnauthorized, "GET", "/v1/notes", key.Token)
	if _, err := pod.dial(t.Context(), 8080); err == nil {
		t.Error("the application is reached past Envoy")
	}
	if _, err := pod.dial(t.Context(), 9901); err == nil {
		t.Error("Envoy's admin interface is reached from outside of the pod")
	}
}

// ask sends a request to the pod, and returns its answer without the body. Envoy gives latchkey a fifth of a second, which a machine
// with other work may not have: an outage is asked again.
func (p *runningPod) ask(ctx context.Context, method, path, token string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://api.notes.example"+path, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := p.client(10000)
	defer client.CloseIdleConnections()
	for {
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusServiceUnavailable {
			return answer, nil
		}
	}
}

// answered sends a request to the pod that must be answered by a status.
func (p *runningPod) answered(t *testing.T, want int, method, path, token string) *http.Response {
	t.Helper()
	got, err := p.ask(t.Context(), method, path, token)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != want {
		t.Errorf("%s %s is answered %d, want %d", method, path, got.StatusCode, want)
	}
	return got
}
