package authz

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/key"
)

// mapListener is the one without encode_raw_headers: it shows headers as a map.
const mapListener = 21001

type capture struct {
	ID       string `json:"id"`
	Listener int    `json:"listener_port"`
	Path     string `json:"authz_path"`
	check    *authv3.CheckRequest
	bytes    []byte
	client   sent
}

func (c capture) raw() bool { return c.Listener != mapListener }

func captures(tb testing.TB) []capture {
	tb.Helper()
	dir := filepath.Join("testdata", "captures")
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []capture
	if err := json.Unmarshal(index, &all); err != nil {
		tb.Fatal(err)
	}
	if len(all) != 53 {
		tb.Fatalf("%d captures, want 53", len(all))
	}
	for i := range all {
		c := &all[i]
		if c.bytes, err = os.ReadFile(filepath.Join(dir, c.ID+".bin")); err != nil {
			tb.Fatal(err)
		}
		c.check = &authv3.CheckRequest{}
		if err := proto.Unmarshal(c.bytes, c.check); err != nil {
			tb.Fatalf("%s: %v", c.ID, err)
		}
	}
	return all
}

// Where Envoy shows something other than what the client sent, by capture.
var (
	methodsChanged = map[string]string{
		"48_ext_connect_ws": "GET", // RFC 8441: a websocket over HTTP/2 arrives as its HTTP/1 form
	}
	pathsChanged = map[string]string{
		"15_dotdot_norm":    "/v1/members", // normalize_path
		"17_enc_slash_fwd":  "/v1/members", // UNESCAPE_AND_FORWARD
		"19_dblslash_merge": "/v1/members", // merge_slashes
		"21_semicolon_norm": "/v1/members", // normalize_path takes ..; for a dot segment
	}
	hostsChanged = map[string]string{
		"30_http10": "default.example", // HTTP/1.0 without Host: default_host_for_http_10
	}
	headersChanged = map[string]map[string]string{
		"37_spoof_ids_edge": {"x-forwarded-for": "10.0.0.1,192.0.2.2"}, // use_remote_address appends
	}
	// Headers that the client sent and Envoy doesn't show.
	headersHidden = map[string][]string{
		"37_spoof_ids_edge":    {"x-envoy-original-path"},   // an external client may not speak for Envoy
		"45_allowed_headers":   {"cookie", "x-other"},       // allowed_headers
		"50_h2_authority_host": {"host"},                    // :authority wins over host
		"53_tls_nocert":        {"x-forwarded-client-cert"}, // nobody but Envoy tells of certificates
	}
)

// added are headers that Envoy adds by itself.
var added = []string{
	":authority", ":method", ":path", ":scheme", "x-forwarded-proto", "x-request-id", "x-forwarded-for", "x-forwarded-client-cert",
	"x-envoy-external-address", "x-envoy-auth-partial-body", "upgrade", "connection",
}

// TestCaptures holds what we read of a CheckRequest against what the client
// wrote.
func TestCaptures(t *testing.T) {
	for _, c := range captures(t) {
		t.Run(c.ID, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "captures", c.ID+".client"))
			if err != nil {
				t.Fatal(err)
			}
			c.client = parseClient(t, text)
			r := newRequest(c.check)
			checkLine(t, c, r)
			checkHeaders(t, c, r)
		})
	}
}

func checkLine(t *testing.T, c capture, r *Request) {
	t.Helper()
	want := func(changed map[string]string, sent string) string {
		if other, ok := changed[c.ID]; ok {
			return other
		}
		return sent
	}
	target := want(pathsChanged, c.client.target)
	if !c.raw() {
		target = rendered(target)
	}
	path, query, _ := strings.Cut(target, "?")
	for _, f := range []struct{ what, got, want string }{
		{"method", r.method, want(methodsChanged, c.client.method)},
		{"host", r.host, want(hostsChanged, c.client.host)},
		{"path", r.path, path},
		{"query", r.query, query},
	} {
		if f.got != f.want {
			t.Errorf("%s is %q, want %q", f.what, f.got, f.want)
		}
	}
	if r.torn {
		t.Error("the two renderings of the path contradict each other")
	}
	if bool(r.verbatim) != (c.raw() && target != "") {
		t.Errorf("verbatim is %v", r.verbatim)
	}
	if c.ID == "41_ctx_ext" && r.extensions["policy"] != "kodey" {
		t.Errorf("extensions are %v", r.extensions)
	}
}

func checkHeaders(t *testing.T, c capture, r *Request) {
	t.Helper()
	names := slices.Clone(added)
	for _, h := range c.client.headers {
		if slices.Contains(headersHidden[c.ID], h.name) {
			if value, times := r.header(h.name); times > 0 && h.value == value {
				t.Errorf("%s: %q is shown, and should be hidden", h.name, value)
			}
			continue
		}
		names = append(names, h.name)
		sent := c.client.values(h.name)
		value, times := strings.Join(sent, ","), len(sent)
		if other, ok := headersChanged[c.ID][h.name]; ok {
			value = other
		}
		if !c.raw() {
			value = rendered(value)
		}
		if !c.raw() || h.name == "authorization" {
			times = 1 // Envoy has joined them
		}
		if got, n := r.header(h.name); got != value || n != times {
			t.Errorf("%s: got %q sent %d times, want %q sent %d times", h.name, got, n, value, times)
		}
	}
	for _, h := range slices.Concat(r.headers.mapped, r.headers.listed) {
		if !slices.Contains(names, h.name) {
			t.Errorf("%s: nobody sent this header", h.name)
		}
	}
}

const capturedPolicy = `
name: captured
hosts: [api.example, other.example]
tenants: {team: {}}
scopes: [chat, members]
key_types:
  secret: {format: "sk_live_{secret:30}", owner: team, grantable: [all]}
endpoints:
  Chat: {scopes: [chat], routes: ["* /v1/chat", "* /v1/chat/**", "* /v1/ws", POST /kodey.Chat/Send]}
  Members: {scopes: [members], routes: ["* /v1/members"]}
`

// TestCapturesThroughCheck asks about each captured request with the key that
// most of them present, and a policy in which that key opens /v1/chat alone.
func TestCapturesThroughCheck(t *testing.T) {
	w := newWorld(t, compile(t, capturedPolicy))
	w.keys["key_captured"] = &key.Record{
		ID: "key_captured", Policy: "captured", Type: "secret", Tenant: "team:t_1", Scopes: []string{"chat"},
		Secrets: []key.Secret{{Digest: key.NewToken("sk_live_7Xk9mNpQ2rStUvWxYz3aBcDeFgHjKm").Digest()}},
	}
	special := map[string]string{
		"02_dup_auth_map": "KEY_AMBIGUOUS", "08_dup_auth_raw": "KEY_AMBIGUOUS",
		"03_dup_xkey_cookies_map": "KEY_MISSING", "09_dup_xkey_cookies_raw": "KEY_MISSING",
		"04_nonutf8_auth_map": "KEY_MALFORMED", "10_nonutf8_auth_raw": "KEY_MALFORMED",
		"05_h2_get_map": "KEY_MALFORMED", "11_h2_get_raw": "KEY_MALFORMED",
		"06_h2_path_ff_map": "KEY_MISSING", "12_h2_path_ff_raw": "KEY_MISSING",
		"14_dotdot": "PATH_AMBIGUOUS", "16_enc_slash": "PATH_AMBIGUOUS", "18_dblslash": "PATH_AMBIGUOUS", "20_semicolon": "PATH_AMBIGUOUS",
		"22_backslash": "PATH_AMBIGUOUS", "23_pct00": "PATH_AMBIGUOUS", "24_badpct": "PATH_AMBIGUOUS", "39_connect": "PATH_AMBIGUOUS",
		"15_dotdot_norm": "SCOPE_MISSING", "17_enc_slash_fwd": "SCOPE_MISSING", "19_dblslash_merge": "SCOPE_MISSING", "21_semicolon_norm": "SCOPE_MISSING",
		"26_absolute_https": "SCOPE_MISSING", "25_absolute_form": "SCOPE_MISSING",
		"28_host_dup": "HOST_UNKNOWN", "29_host_empty": "HOST_UNKNOWN", "30_http10": "HOST_UNKNOWN",
		"31_noauth": "KEY_MISSING", "32_emptyauth": "KEY_MISSING", "40_options_cors": "KEY_MISSING", "50_h2_authority_host": "KEY_MISSING",
		"33_obsfold": "KEY_MALFORMED", "34_barecr": "KEY_MALFORMED", "35_tabsep": "KEY_MALFORMED", "46_grpc": "KEY_MALFORMED", "47_grpcweb": "KEY_MALFORMED",
		"48_ext_connect_ws": "KEY_MALFORMED", "49_h2_methodlc": "KEY_MALFORMED", "51_h2_ws_value": "KEY_MISSING",
		"41_ctx_ext": "ENDPOINT_UNKNOWN", "42_rewrite": "ENDPOINT_UNKNOWN",
	}
	allowed := 0
	for _, c := range captures(t) {
		want := special[c.ID]
		if want == "" {
			want = "ALLOWED"
			allowed++
		}
		delete(special, c.ID)
		if got := w.check(t, c.check); got.reason != want {
			t.Errorf("%s: %s, want %s", c.ID, got.reason, want)
		}
	}
	if allowed != 12 || len(special) != 0 {
		t.Errorf("%d captures should be allowed; no capture is called %v", allowed, special)
	}
}
