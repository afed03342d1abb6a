package lint_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/internal/envoytest"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

func rulesIn(t *testing.T, src string) (ids []string) {
	t.Helper()
	found, err := lint.File("envoy.yaml", []byte(src), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, src)
	}
	for _, f := range found {
		ids = append(ids, f.Rule)
	}
	return ids
}

const filter = `
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
  grpc_service: { envoy_grpc: { cluster_name: authz }, timeout: 0.2s }
  status_on_error: { code: 503 }
  encode_raw_headers: true
  validate_mutations: true
  allowed_headers: { patterns: [{ safe_regex: { regex: "(?i).*" } }] }
  decoder_header_mutation_rules: { disallow_all: true, allow_expression: { regex: "authorization|x-latchkey-.*" } }
`

// A part of a configuration is judged by itself, however it is spelt.
func TestFragments(t *testing.T) {
	manager := func(more string) string {
		return "name: main\ntyped_config:\n  \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n" +
			"  normalizePath: true\n  mergeSlashes: true\n  pathWithEscapedSlashesAction: REJECT_REQUEST\n  useRemoteAddress: true\n" +
			"  commonHttpProtocolOptions: { headersWithUnderscoresAction: REJECT_REQUEST, maxStreamDuration: 60s }\n  codecType: HTTP1\n" + more
	}
	guarded := "  httpFilters:\n  - name: ask" + strings.ReplaceAll(filter, "\n", "\n    ") + "\n"
	before := func(typ, config string) string {
		return strings.Replace(guarded, "  httpFilters:\n", "  httpFilters:\n  - { name: y, typedConfig: { '@type': t/envoy.extensions.filters.http."+typ+", "+config+" } }\n", 1)
	}
	after := func(typ, config string) string {
		return "  - { name: x, typedConfig: { '@type': t/envoy.extensions.filters.http." + typ + ", " + config + " } }\n"
	}
	const everything = "  routeConfig: { name: r, virtualHosts: [{ name: all, domains: ['*'], routes: [{ match: { prefix: / }, route: { cluster: api } }] }] }\n"
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"a filter":                         {filter, nil},
		"a filter that hides in JSON":      {`{"name":"x",` + "\t" + `"typedConfig":{"@type":"type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz","grpcService":{"envoyGrpc":{"clusterName":"a"}},"failureModeAllow":true,"statusOnError":{"code":"ServiceUnavailable"},"encodeRawHeaders":true,"validateMutations":true,"allowedHeaders":{"patterns":[{"prefix":""}]},"decoderHeaderMutationRules":{"disallowAll":true,"allowExpression":{"regex":"authorization|x-latchkey-.*"}}}}`, []string{"failure-mode-allow"}},
		"the message of a filter":          {"grpc_service: {}\nfailure_mode_allow: on\nstatus_on_error: { code: 503 }\nencode_raw_headers: true\nvalidate_mutations: true\nallowed_headers: { patterns: [{ contains: '' }] }\ndecoder_header_mutation_rules: { disallow_all: true, allow_expression: { regex: 'authorization|x-latchkey-.*' } }", []string{"failure-mode-allow"}},
		"a manager":                        {manager(guarded + everything), nil},
		"a manager that asks nobody":       {manager("  httpFilters: [{ name: r, typedConfig: { '@type': t/envoy.extensions.filters.http.router.v3.Router } }]\n" + everything), []string{"no-check"}},
		"one that only redirects":          {manager("  httpFilters: [{ name: r }]\n  routeConfig: { virtualHosts: [{ domains: ['*'], routes: [{ match: { prefix: / }, redirect: { httpsRedirect: true } }] }] }\n"), nil},
		"one for health checks":            {manager("  httpFilters: [{ name: h, typedConfig: { '@type': t/envoy.extensions.filters.http.health_check.v3.HealthCheck } }]\n  routeConfig: { name: health }\n"), nil},
		"one for requests from here":       {"name: out\ntrafficDirection: OUTBOUND\nfilterChains: [{ filters: [{ typedConfig: { '@type': t/HttpConnectionManager, httpFilters: [{ name: r }] } }] }]", nil},
		"routes by name":                   {"static_resources:\n  listeners:\n  - filter_chains:\n    - filters:\n      - " + strings.ReplaceAll(manager(guarded+"  rds: { routeConfigName: r }\n"), "\n", "\n        ") + "\nroutes: [{ name: r, virtual_hosts: [{ name: all, domains: [a.example], routes: [{ match: { prefix: / } }] }] }]", []string{"no-catch-all"}},
		"routes from nowhere":              {manager(guarded + "  rds: { routeConfigName: r }\n"), []string{"routes-unseen"}},
		"route configuration":              {"name: r\nvirtual_hosts: [{ name: all, domains: ['*'], routes: [{ match: { safe_regex: { regex: .* } }, route: { cluster: api, regex_rewrite: {} } }] }]", []string{"rewritten-path"}},
		"a matcher in a virtual host":      {"name: r\nvirtual_hosts: [{ name: all, domains: ['*'], matcher: {} }]", []string{"routes-unseen"}},
		"a cluster":                        {"name: x\nconnect_timeout: 1s\nhttp2_protocol_options: {}\ncommon_lb_config: { healthy_panic_threshold: {} }\ncircuit_breakers: { thresholds: [{ max_requests: 5000, max_pending_requests: 5000 }, { priority: HIGH, max_requests: 1 }] }", []string{"health-check"}},
		"a cluster that isn't there":       {"static_resources:\n  clusters: [{ name: api, connect_timeout: 1s }]\nfilter:" + strings.ReplaceAll(filter, "\n", "\n  "), []string{"cluster-unseen"}},
		"resources of a control plane":     {"resources:\n- '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: x\n  http2_protocol_options: {}\n  common_lb_config: { healthy_panic_threshold: { value: 0 } }\n  health_checks: [{ grpc_health_check: {} }]\n", []string{"small-limits"}},
		"a filter from elsewhere":          {manager("  httpFilters: [{ name: e, configDiscovery: { typeUrls: [t/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz] } }]\n" + everything), []string{"check-unseen"}},
		"a script from elsewhere":          {manager(guarded + "  - { name: w, configDiscovery: { typeUrls: [t/envoy.extensions.filters.http.wasm.v3.Wasm] } }\n" + everything), []string{"rewrites-after"}},
		"a wrapped script":                 {manager(guarded + "  - { name: w, typedConfig: { '@type': t/xds.type.v3.TypedStruct, type_url: t/envoy.extensions.filters.http.wasm.v3.Wasm, value: {} } }\n" + everything), []string{"rewrites-after"}},
		"HTTP/3":                           {strings.Replace(manager(guarded+everything), "codecType: HTTP1", "codecType: HTTP3", 1), []string{"shared-connection"}},
		"HTTP/3, and one bad request":      {strings.Replace(manager(guarded+everything), "codecType: HTTP1", "codecType: HTTP3\n  http3ProtocolOptions: { overrideStreamErrorOnInvalidHttpMessage: true }", 1), nil},
		"a tap for who asks":               {manager(before("tap.v3.Tap", "commonConfig: { adminConfig: { configId: x } }") + everything), []string{"tapped"}},
		"a tap behind the check":           {manager(guarded + after("tap.v3.Tap", "commonConfig: { adminConfig: { configId: x } }") + everything), nil},
		"a key that is injected":           {manager(before("credential_injector.v3.CredentialInjector", "credential: { typedConfig: { '@type': t/Generic } }") + everything), []string{"credential-given"}},
		"another header's credential":      {manager(before("credential_injector.v3.CredentialInjector", "credential: { typedConfig: { '@type': t/Generic, header: x-upstream } }") + everything), nil},
		"a key from another header":        {manager(before("header_mutation.v3.HeaderMutation", "mutations: { requestMutations: [{ append: { header: { key: Authorization, value: 'Bearer %REQ(x-key)%' } } }] }") + everything), nil},
		"a key in metadata":                {manager(before("header_to_metadata.v3.Config", "requestRules: [{ header: Authorization, onHeaderPresent: { key: k } }]") + everything), []string{"credential-copied"}},
		"a key in filter state":            {manager(before("set_filter_state.v3.Config", "onRequestHeaders: [{ objectKey: k, formatString: { textFormatSource: { inlineString: '%REQ(authorization)%' } } }]") + everything), []string{"credential-copied"}},
		"a limit in front":                 {manager(before("ratelimit.v3.RateLimit", "domain: x") + strings.Replace(everything, "name: all,", "name: all, rateLimits: [{ actions: [{ metadata: { metadataKey: { key: envoy.filters.http.ext_authz } } }] }],", 1)), []string{"facts-too-early"}},
		"a limit on both sides":            {manager(before("ratelimit.v3.RateLimit", "domain: x") + after("ratelimit.v3.RateLimit", "domain: x") + strings.Replace(everything, "name: all,", "name: all, rateLimits: [{ actions: [{ metadata: { metadataKey: { key: envoy.filters.http.ext_authz } } }] }],", 1)), nil},
		"facts of a processor":             {manager(guarded + after("ext_proc.v3.ExternalProcessor", "observabilityMode: true, metadataOptions: { receivingNamespaces: { untyped: [envoy.filters.http.ext_authz] } }") + everything), []string{"metadata-forged"}},
		"a processor of answers":           {manager(guarded + after("ext_proc.v3.ExternalProcessor", "processingMode: { requestHeaderMode: SKIP }") + everything), nil},
		"a processor of requests":          {manager(guarded + after("ext_proc.v3.ExternalProcessor", "processingMode: { requestHeaderMode: SEND }") + everything), []string{"rewrites-after"}},
		"a claim as a header":              {manager(guarded + after("jwt_authn.v3.JwtAuthentication", "providers: { p: { claimToHeaders: [{ headerName: x-latchkey-principal, claimName: sub }] } }") + everything), []string{"identity-changed"}},
		"filters of a chain":               {manager("  httpFilters:\n  - name: c\n    typed_config:\n      '@type': t/envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig\n      default_filter_chain:\n        filters:\n        - name: ask" + strings.ReplaceAll(filter, "\n", "\n          ") + "\n        - { name: w, typed_config: { '@type': t/envoy.extensions.filters.http.wasm.v3.Wasm } }\n" + everything), []string{"conditional-check", "rewrites-after"}},
		"filters that are picked":          {manager(guarded + "  - { name: c, typedConfig: { '@type': t/envoy.extensions.filters.http.composite.v3.Composite, matcher: { onNoMatch: { action: { typedConfig: { '@type': t/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction, dynamicConfig: { configDiscovery: { typeUrls: [t/envoy.extensions.filters.http.rbac.v3.RBAC] } } } } } } } }\n" + everything), nil},
		"filters that a route picks":       {manager(guarded + "  - { name: c, typedConfig: { '@type': t/envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig } }\n" + strings.Replace(everything, "name: all,", "name: all, typedPerFilterConfig: { c: { '@type': t/envoy.extensions.filters.http.filter_chain.v3.FilterChainConfigPerRoute, filterChain: { filters: [{ typedConfig: { '@type': t/envoy.extensions.filters.http.golang.v3alpha.Config } }] } } },", 1)), []string{"rewrites-after"}},
		"a script that a route is without": {manager(guarded + after("lua.v3.Lua", "defaultSourceCode: { inlineString: function envoy_on_response(h) end }") + strings.Replace(everything, "name: all,", "name: all, typedPerFilterConfig: { x: { '@type': t/envoy.extensions.filters.http.lua.v3.LuaPerRoute, disabled: true } },", 1)), nil},
		"a script that a route brings":     {manager(guarded + after("lua.v3.Lua", "defaultSourceCode: { inlineString: function envoy_on_response(h) end }") + strings.Replace(everything, "name: all,", "name: all, typedPerFilterConfig: { x: { '@type': t/envoy.extensions.filters.http.lua.v3.LuaPerRoute, sourceCode: { inlineString: function envoy_on_request(h) end } } },", 1)), []string{"rewrites-after"}},
		"a script for answers in front":    {manager(before("lua.v3.Lua", "defaultSourceCode: { inlineString: function envoy_on_response(h) end }") + everything), nil},
		"routes on demand":                 {manager(guarded + after("on_demand.v3.OnDemand", "") + everything), []string{"rewrites-after"}},
		"a span's name":                    {manager("  tracing: { operation: '%REQ(authorization)%' }\n" + guarded + everything), []string{"trace-credential", "trace-query"}},
		"a host out of the path":           {"name: r\nvirtual_hosts: [{ name: all, domains: ['*'], routes: [{ match: { prefix: / }, route: { cluster: api, host_rewrite_path_regex: {} } }] }]", []string{"client-chooses"}},
		"gRPC of Google's":                 {strings.Replace(filter, "envoy_grpc: { cluster_name: authz }", "google_grpc: { target_uri: 'dns:///latchkey.example:9000' }", 1), []string{"check-in-clear"}},
		"gRPC of Google's, here":           {strings.Replace(filter, "envoy_grpc: { cluster_name: authz }", "google_grpc: { target_uri: 'unix:/run/authz.sock' }", 1), nil},
		"anchors":                          {"a: &a { failure_mode_allow: true, grpc_service: {} }\nb: [*a, *a]", []string{"all-headers-shown", "failure-mode-allow", "mutations-open", "raw-headers", "status-on-error", "validate-mutations"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := rulesIn(t, c.src)
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v in\n%s", got, c.want, c.src)
			}
		})
	}
}

func TestWhatIsNoConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		want string
	}{
		"another program's":         {"server: { port: 1 }", "there is no listener"},
		"text":                      {"hello", "there is no listener"},
		"nothing":                   {"", "empty"},
		"a field that stands twice": {"a: 1\nfailure_mode_allow: true\nfailure_mode_allow: false", `envoy.yaml:3:1: "failure_mode_allow" stands twice, first in line 2`},
		"two documents":             {"a: 1\n---\nb: 2", "second document"},
		"a bomb":                    {"a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]", "more than"},
	} {
		_, err := lint.File("envoy.yaml", []byte(c.src), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if mistakes := (strictyaml.Mistakes{}); !errors.As(err, &mistakes) && !errors.Is(err, lint.ErrNothing) {
			t.Errorf("%s: the error is a %T", name, err)
		}
	}
}

// differs are the rules that find something in configurations of ours that are for tests and measurements, with the reason.
var differs = map[string]map[string]string{
	"internal/envoytest": {
		"stream-duration": "no test waits for it",
	},
	"bench": {
		"stream-duration": "requests are short",
		"check-timeout":   "the cores are full there on purpose",
		"panic-threshold": "a server that isn't well ends the measurement",
		"health-check":    "the same",
	},
}

// The configurations that tests and measurements run by are as hard as the one that is printed, but for what is said of them.
func TestOurOtherConfigurations(t *testing.T) {
	tested, err := envoytest.Bootstrap(envoytest.Config{
		AuthzSocket: "authz.sock", Upstream: "127.0.0.1:1", PolicyHeaders: []string{"x-team-id"}, Listeners: []envoytest.Listener{{Profile: envoytest.Hardened}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var measured strings.Builder
	bench, err := template.ParseFiles(filepath.Join(root, "bench/envoy.yaml.tmpl"))
	if err == nil {
		err = bench.Execute(&measured, map[string]any{"Filter": "ext_authz", "Joined": false, "Socket": "authz.sock"})
	}
	if err != nil {
		t.Fatal(err)
	}
	_, reads := kodey(t)
	for name, text := range map[string]string{"internal/envoytest": string(tested), "bench": measured.String()} {
		found, err := lint.File(name, []byte(text), &reads)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		used := map[string]bool{}
		for _, f := range found {
			used[f.Rule] = true
			if differs[name][f.Rule] == "" {
				t.Errorf("%s:%d: %s: %s", name, f.Line, told(f), f.Message)
			}
		}
		for rule := range differs[name] {
			if !used[rule] {
				t.Errorf("%s no longer differs by %s: take the row out of differs", name, rule)
			}
		}
	}
}
