package e2e

import (
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
		"--envoy-admin", "127.0.0.1:0", "--authz", "unix:"+s.socket(), "--upstream-grpc", up.GRPCAddr(), "--check-timeout", "5s"))
	m.awaitLatchkey(tb)
	return m
}
