package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/envoytest"
)

// startPrinted is startMesh with one listener, called as the hardened one is,
// by the very configuration that `latchkey envoy config` prints for the four
// policies.
func startPrinted(tb testing.TB, s *server) *mesh {
	tb.Helper()
	up := envoytest.RunUpstream(tb)
	args := slices.Concat([]string{"envoy", "config"}, examplePolicies(tb), []string{
		"--listen", "127.0.0.1:0", "--name", string(envoytest.Hardened), "--envoy-admin", "127.0.0.1:0",
		"--authz", "unix:" + s.socket(), "--upstream", up.Addr(), "--upstream-grpc", up.GRPCAddr(), "--check-timeout", "5s",
	})
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
	m := &mesh{up: up, envoy: envoytest.Run(tb, envoytest.Config{
		Written:   []byte(before + codec + indent + "delayed_close_timeout: 0.02s\n" + after),
		Listeners: []envoytest.Listener{{Name: string(envoytest.Hardened)}},
	})}
	m.awaitLatchkey(tb)
	return m
}
