package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// printed is what `latchkey envoy config` prints for these policies, for an
// Envoy of a test: on free ports, with one listener that is called as the
// hardened one is.
func (s *server) printed(tb testing.TB, up *envoytest.Upstream, policies []string, flags ...string) string {
	tb.Helper()
	args := slices.Concat([]string{"envoy", "config"}, policies, []string{
		"--listen", "127.0.0.1:0", "--name", string(envoytest.Hardened), "--upstream", up.Addr(),
	}, flags)
	text, errs, code := s.cli(tb, "", args...)
	if code != 0 {
		tb.Fatalf("latchkey envoy config: exit code %d\n%s", code, errs)
	}
	// What Envoy refuses by itself would take a second each.
	const codec = "codec_type: AUTO\n"
	before, after, ok := strings.Cut(text, codec)
	if !ok {
		tb.Fatalf("latchkey envoy config prints no %q:\n%s", codec, text)
	}
	indent := before[strings.LastIndexByte(before, '\n')+1:]
	// Nor is a busy machine to be taken for an outage.
	after = strings.Replace(after, "unhealthy_threshold: 2\n", fmt.Sprintf("unhealthy_threshold: %d\n", unanswered), 1)
	return before + codec + indent + "delayed_close_timeout: 0.02s\n" + after
}

// startWritten starts an Envoy by a configuration that is there already.
func startWritten(tb testing.TB, up *envoytest.Upstream, config string) *mesh {
	tb.Helper()
	return &mesh{up: up, envoy: envoytest.Run(tb, envoytest.Config{
		Written:   []byte(config),
		Listeners: []envoytest.Listener{{Name: string(envoytest.Hardened)}},
	})}
}

// startPrinted is startMesh by the very configuration that `latchkey envoy
// config` prints for the four policies.
func startPrinted(tb testing.TB, s *server) *mesh {
	tb.Helper()
	up := envoytest.RunUpstream(tb)
	m := startWritten(tb, up, s.printed(tb, up, examplePolicies(tb),
		"--envoy-admin", "127.0.0.1:0", "--authz", "unix:"+s.socket(), "--upstream-grpc", up.GRPCAddr(), "--check-timeout", checkTime.String()))
	m.awaitLatchkey(tb)
	return m
}

// What a running Envoy says of itself is judged as the file is that it was
// started with.
func TestConfigDumpsAreRead(t *testing.T) {
	s := serve(t)
	up := envoytest.RunUpstream(t)
	config := s.printed(t, up, examplePolicies(t), "--envoy-admin", "127.0.0.1:0", "--authz", "unix:"+s.socket(), "--pin", "pinned.example=kodey")
	const safe, open = "failure_mode_allow: false", "failure_mode_allow: true"
	for _, c := range []struct {
		config string
		code   int
		rules  []string
	}{
		{config, 0, nil},
		{strings.Replace(config, safe, open, 1), 3, []string{"failure-mode-allow"}},
	} {
		m := startWritten(t, up, c.config)
		resp, err := http.Get("http://" + m.envoy.AdminAddr() + "/config_dump")
		if err != nil {
			t.Fatal(err)
		}
		dump, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		args := []string{"envoy", "lint", "-", "-o", "json"}
		for _, p := range examplePolicies(t) {
			args = append(args, "--policy", p)
		}
		out, errs, code := s.cli(t, string(dump), args...)
		var found []struct{ Rule, Path string }
		if err := json.Unmarshal([]byte(out), &found); err != nil || code != c.code {
			t.Errorf("exit code %d, want %d: %v\n%s%s", code, c.code, err, out, errs)
		}
		var rules []string
		for _, f := range found {
			if !slices.Contains(rules, f.Rule) {
				rules = append(rules, f.Rule)
			}
		}
		if !slices.Equal(rules, c.rules) {
			t.Errorf("found %v, want %v", found, c.rules)
		}
		m.envoy.Stop()
	}
}
