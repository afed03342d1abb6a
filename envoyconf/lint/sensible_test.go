package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/envoyconf"
	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/link/linktest"
)

// findingsIn are the findings in a text, each as severity and rule.
func findingsIn(t *testing.T, src string) (found []string) {
	t.Helper()
	all, err := lint.File("envoy.yaml", []byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		found = append(found, string(f.Severity)+" "+f.Rule)
	}
	return found
}

// Of configurations as others have them nothing is said that they needn't care about.
func TestSensibleConfigurations(t *testing.T) {
	for name, want := range map[string][]string{
		"edge.yaml": nil,
		// Health checks on a port of their own; connections that a mesh passes on; and a shadow rule that picks what is asked about.
		"istio.yaml": {"note no-check", "warning bypass-chain", "error partly-enabled"},
	} {
		src, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if found := findingsIn(t, string(src)); !slices.Equal(found, want) {
			t.Errorf("%s: found %v, want %v", name, found, want)
		}
	}
}

// A whole configuration of somebody's is one that Envoy takes, with files that are there.
func TestSensibleConfigurationsAreTaken(t *testing.T) {
	envoy, err := envoytest.Find()
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join("testdata", "edge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pair := linktest.NewCA(t, "ca").Issue(t, linktest.Leaf{DNSNames: []string{"api.example.com"}})
	for name, content := range map[string][]byte{"tls.crt": pair.CertificatePEM(), "tls.key": pair.KeyPEM(t)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	validate(t, envoy, strings.NewReplacer("/etc/envoy/", dir+"/", "/var/log/envoy/", dir+"/", "/run/envoy/", dir+"/").Replace(string(src)))
}

// What is sensible is near to what is not: one word decides.
func TestNearlySensibleConfigurations(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "edge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, by string
		want    []string
	}{
		"a redirect that leads on":            {"redirect: { https_redirect: true }", "route: { cluster: api }", []string{"error no-check"}},
		"statistics, and all else":            {"match: { path: /ready }", "match: { prefix: / }", []string{"error admin-routed"}},
		"statistics by another path":          {"prefix_rewrite: /stats/prometheus", "prefix_rewrite: /quitquitquit", []string{"error admin-routed"}},
		"an admin interface that is mirrored": {"cluster: shadow, runtime", "cluster: admin, runtime", []string{"error admin-routed"}},
		"a socket for everybody":              {"mode: 0600", "mode: 0622", []string{"warning admin-exposed"}},
		"a socket without a file":             {"{ path: /run/envoy/admin.sock, mode: 0600 }", `{ path: "@admin" }`, []string{"warning admin-exposed", "note no-check"}},
		"an admin interface on the network":   {"{ pipe: { path: /run/envoy/admin.sock, mode: 0600 } }", "{ socket_address: { address: 0.0.0.0, port_value: 1 } }", []string{"error admin-exposed", "note no-check"}},
		"one that answers little":             {"{ pipe: { path: /run/envoy/admin.sock, mode: 0600 } }", "{ socket_address: { address: 0.0.0.0, port_value: 1 } }\n  allow_paths: [{ prefix: /stats }, { exact: /ready }]", []string{"note no-check"}},
		"bytes to who is asked about":         {"cluster: redis\n", "weighted_clusters: { clusters: [{ name: redis, weight: 1 }, { name: api, weight: 1 }] }\n", []string{"warning bypass-chain"}},
		"bytes to within":                     {"cluster: redis\n", "cluster: within\n", []string{"warning bypass-chain", "error no-check"}},
		"bytes to Latchkey":                   {"cluster: redis\n", "cluster: latchkey\n", []string{"warning check-routed"}},
		"a cluster by server name":            {"            - name: envoy.filters.network.tcp_proxy\n              typed_config:\n                \"@type\": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy\n                stat_prefix: again", "            - name: sni\n              typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster }\n            - name: envoy.filters.network.tcp_proxy\n              typed_config:\n                \"@type\": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy\n                stat_prefix: again", []string{"warning bypass-chain"}},
		"a listener within for others, too":   {"- match: { prefix: / }\n                          redirect: { https_redirect: true }", "- match: { prefix: / }\n                          route: { cluster: within }", []string{"error no-check", "error no-check"}},
		"a log of requests with the query":    {"%PATH(NQ:ORIG_OR_PATH)%", "%PATH()%", []string{"warning log-query"}},
		"a log of one header, or of the key":  {`"%REQ(USER-AGENT)%"`, `'%COALESCE({"operators":[{"command":"REQ","param":"authorization"}]})%'`, []string{"error log-credential"}},
		"a reply that says otherwise":         {"default_value: 504", "default_value: 503", []string{"note replies-changed"}},
		"replies to errors of a kind":         {"op: EQ, value: { default_value: 504", "op: GE, value: { default_value: 400", []string{"note replies-changed"}},
		"a reply to what Latchkey refuses":    {"filter: { status_code_filter: { comparison: { op: EQ, value: { default_value: 504, runtime_key: gone } } } }", "filter: { response_flag_filter: { flags: [NR, UAEX] } }", []string{"note replies-changed"}},
		"a reply where there is no route":     {"filter: { status_code_filter: { comparison: { op: EQ, value: { default_value: 504, runtime_key: gone } } } }", "filter: { response_flag_filter: { flags: [NR] } }", nil},
		"bytes to who asks":                   {"cluster: nowhere", "cluster: https", nil},
		"bytes to the API":                    {"cluster: nowhere", "cluster: api", []string{"warning bypass-chain"}},
		"a tap that waits to be asked":        {"- name: envoy.filters.http.grpc_web\n                    typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", "- name: t\n                    typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap, common_config: { admin_config: { config_id: x } } }", []string{"warning tapped"}},
		"health checks for all paths":         {`headers: [{ name: ":path", string_match: { exact: /envoy-health } }]`, "headers: [{ name: x-health, present_match: true }]", []string{"warning answers-before"}},
		"some are asked about":                {"numerator: 100 } }", "numerator: 1, denominator: MILLION } }", []string{"error partly-enabled"}},
		"all are, for the moment":             {"numerator: 100 } }", "numerator: 100 }, runtime_key: ask }", []string{"warning partly-enabled"}},
		"all are, in millionths":              {"numerator: 100 } }", "numerator: 1000000, denominator: MILLION } }", nil},
		"a shard in Latchkey's name":          {"metadata_namespace: envoy.lb", "metadata_namespace: envoy.filters.http.ext_authz", []string{"error metadata-forged"}},
		"a region that is Latchkey's":         {"key: x-region", "key: x-latchkey-environment", []string{"error rewrites-after"}},
		"a script for requests":               {"envoy_on_response(handle) handle:headers():remove('server')", "envoy_on_request(handle)", []string{"error rewrites-after"}},
		"a limit by key":                      {"metadata: { descriptor_key: key, metadata_key: { key: envoy.filters.http.ext_authz, path: [{ key: key_id }] } }", "request_headers: { descriptor_key: key, header_name: x-api-key }", []string{"warning counted-by-key"}},
		"a route that is public":              {"direct_response: { status: 200, body: { inline_string: ok } }", "route: { cluster: api }", []string{"note unchecked-path"}},
		"a prefix that is public":             {"redirect: { host_redirect: docs.example.com }", "route: { cluster: api }", []string{"error unchecked-route"}},
		"underscores as sent":                 {"DROP_HEADER", "ALLOW", []string{"warning underscores"}},
		"slashes as sent":                     {"UNESCAPE_AND_REDIRECT", "KEEP_UNCHANGED", []string{"warning path-normalization"}},
		"a route anew for some headers":       {"filter_enabled:", "clear_route_cache_headers: [x-latchkey-tenant]\n                      filter_enabled:", []string{"warning route-cache-cleared"}},
		"a buffer in front":                   {"- name: envoy.filters.http.grpc_web\n                    typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", "- name: b\n                    typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 1 }", []string{"warning body-sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			if n := strings.Count(string(src), c.old); n != 1 {
				t.Fatalf("%q stands %d times in it, want once", c.old, n)
			}
			if found := findingsIn(t, strings.Replace(string(src), c.old, c.by, 1)); !slices.Equal(found, c.want) {
				t.Errorf("found %v, want %v", found, c.want)
			}
		})
	}
}

// Envoy's cache passes by what has an authorization, and nothing else that may be a key.
func TestCacheInFront(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "edge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const cors = "filters.http.cors.v3.Cors\n"
	text := strings.Replace(string(src), cors, "filters.http.cache.v3.CacheConfig\n", 1)
	for header, want := range map[string]lint.Severity{"authorization": lint.Warning, "x-api-key": lint.Error} {
		found, err := lint.File("envoy.yaml", []byte(text), &envoyconf.Reads{Credentials: []string{header}})
		i := slices.IndexFunc(found, func(f lint.Finding) bool { return f.Rule == "answers-before" })
		if err != nil || i < 0 || found[i].Severity != want {
			t.Errorf("with keys in %s: %v, %v, want answers-before as %s", header, found, err, want)
		}
	}
}
