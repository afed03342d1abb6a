package e2e

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/latchkey/latchkey/internal/oracle"
)

// FuzzCheckAgainstOracle lets the fuzzer put its own text in place of parts
// of a random request, and compares Check with the oracle.
func FuzzCheckAgainstOracle(f *testing.F) {
	f.Add(uint64(1), "", "", "", "", "", "", false)
	f.Add(uint64(2), "GET", "api.kodey.example", "/v1/chat", "", "x-team-id", "t_1", true)
	f.Add(uint64(3), "POST", "api.kodey.example:443", "/v1/chat/%2e%2e;/members", "Bearer  x", "x-latchkey-role", "OWNER", false)
	f.Add(uint64(4), "DELETE", "APIX.spotzee.com", "/api/admin/projects/p_1!", "bearer a,b", "x_latchkey_key", "", true)
	f.Add(uint64(5), "OPTIONS", "api.shortkit.dev.", "/v1/feed?x#y", "Basic eA==", "x-organization-id", "k_1,k_2", false)
	x := newFixture(f)
	f.Fuzz(func(t *testing.T, seed uint64, method, host, path, credential, header, value string, raw bool) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), w: x.oracle}
		r := g.request()
		put := func(field *string, text string) {
			if text != "" {
				*field = text
			}
		}
		put(&r.Method, rendered(method)) // of these Envoy shows nothing that isn't UTF-8
		put(&r.Host, rendered(host))
		if path != "" {
			r.Path, r.RawPath = rendered(path), nil
			if raw {
				r.RawPath = &path
			}
		}
		if r.RawPath == nil { // nor of these, without the raw ones
			credential, value = rendered(credential), rendered(value)
		}
		if credential != "" {
			r.Headers = append(r.Headers[:0:0], oracle.Header{Name: "authorization", Value: credential})
		}
		// Names reach a server in lower case, and pseudo-headers aren't a client's to choose.
		if header = strings.ToLower(rendered(header)); header != "" && !strings.Contains(header, ":") {
			r.Headers = append(r.Headers, oracle.Header{Name: header, Value: value})
		}
		if diff := compare(x.oracle.Decide(r), x.ask(t, r)); diff != "" {
			t.Errorf("%s\n\trequest %+v raw %v", diff, r, r.RawPath != nil)
		}
	})
}

// rendered is a path as Envoy shows it beside the raw one: '!' for each byte
// that isn't UTF-8.
func rendered(path string) string {
	out := []byte(path)
	for i := 0; i < len(path); {
		r, size := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && size == 1 {
			out[i] = '!'
		}
		i += size
	}
	return string(out)
}
