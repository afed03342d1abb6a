package envoytest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// Each setting of the hardened profile does something that the plain one does not.
func TestHardening(t *testing.T) {
	w := newWorld(t)
	field := func(name, value string) envoytest.Field { return envoytest.Field{Name: name, Value: value} }
	// What a request came to: the status, what the upstream got, a fact about the answer.
	type result struct {
		status int
		path   string
		values []string // of the header that the case sends, at the upstream
		host   string
	}
	const host = "api.example"
	for _, c := range []struct {
		name, path      string
		host            string // %s is the listener's port
		extra           envoytest.Field
		plain, hardened result
	}{
		{"normalize_path", "/v1/x/../%6dembers", host, field("x-a", "1"), result{200, "/v1/x/../%6dembers", []string{"1"}, host}, result{200, "/v1/members", []string{"1"}, host}},
		{"merge_slashes", "//v1//chat", host, field("x-a", "1"), result{200, "//v1//chat", []string{"1"}, host}, result{200, "/v1/chat", []string{"1"}, host}},
		{"escaped slashes", "/v1/a%2fb", host, field("x-a", "1"), result{200, "/v1/a%2fb", []string{"1"}, host}, result{status: 400}},
		{"underscores", "/", host, field("x_latchkey_role", "owner"), result{200, "/", []string{"owner"}, host}, result{status: 400}},
		{"use_remote_address", "/", host, field("x-envoy-original-path", "/other"), result{200, "/", []string{"/other"}, host}, result{200, "/", nil, host}},
		{"strip_matching_host_port", "/", host + ":%s", field("x-a", "1"), result{200, "/", []string{"1"}, host + ":%s"}, result{200, "/", []string{"1"}, host}},
		{"strip_trailing_host_dot", "/", host + ".", field("x-a", "1"), result{200, "/", []string{"1"}, host + "."}, result{200, "/", []string{"1"}, host}},
	} {
		for i, want := range []result{c.plain, c.hardened} {
			addr := w.addr(profiles[i])
			_, port, _ := strings.Cut(addr, ":")
			at := func(host string) string { return strings.Replace(host, "%s", port, 1) }
			id := fmt.Sprintf("%s-%d", c.name, i)
			raw := envoytest.Request("GET", c.path, []envoytest.Field{
				field("host", at(c.host)), field("authorization", "Bearer allow"), field("x-case", id), c.extra,
			}, nil)
			got := result{status: h1(t, addr, raw).Status}
			for _, rec := range w.upstream.Take(id) {
				got.path, got.values, got.host = rec.Path, rec.Values(c.extra.Name), rec.Host
			}
			if got.status != want.status || got.path != want.path || !slices.Equal(got.values, want.values) || got.host != at(want.host) {
				t.Errorf("%s, %s: got %+v, want %+v", c.name, profiles[i], got, want)
			}
		}
	}
}

// The hardened profile catches mistakes of the authorization server, too.
func TestHardenedAgainstMutations(t *testing.T) {
	w := newWorld(t)
	send := func(p envoytest.Profile, token string) envoytest.Response {
		t.Helper()
		return h1(t, w.addr(p), get("/v1/chat", token, string(p)+token))
	}
	for p, want := range map[envoytest.Profile]string{envoytest.Plain: "/rewritten", envoytest.Hardened: "/v1/chat"} {
		send(p, "rewrite")
		if rec := w.only(t, string(p)+"rewrite"); rec.Path != want {
			t.Errorf("%s: a set :path sent the request to %s, want %s", p, rec.Path, want)
		}
	}
	if resp := send(envoytest.Plain, "split"); resp.Status != 401 || resp.Header.Get("Set-Cookie") == "" {
		t.Errorf("plain: %+v", resp)
	}
	if resp := send(envoytest.Hardened, "split"); resp.Status != 500 || resp.Header.Get("Set-Cookie") != "" {
		t.Errorf("hardened: %+v", resp)
	}
	for p, want := range map[envoytest.Profile]int{envoytest.Plain: 5000, envoytest.Hardened: 4096} {
		if resp := send(p, "long"); len(resp.Body) != want {
			t.Errorf("%s: a body of %d bytes, want %d", p, len(resp.Body), want)
		}
	}
}
