package lint_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/envoyconf/lint"
	"github.com/latchkey/latchkey/internal/strictyaml"
)

// Whatever a file holds, it is judged or refused: a linter that falls over is one that is taken out of the pipeline.
func FuzzFile(f *testing.F) {
	config, reads := kodey(f)
	f.Add(config)
	for _, hole := range holes(f) {
		text, err := hole.Open(config)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add("typed_config: {'@type': t/HttpConnectionManager, http_filters: [{typed_config: {'@type': t/x.http.ext_authz.v3.ExtAuthz}}, [], null, 1]}")
	f.Add("virtual_hosts: [{domains: x, routes: [{match: [], typed_per_filter_config: {a: {'@type': t/FilterConfig}}}]}, 3]")
	f.Add("http_filters: [{config_discovery: {type_urls: [x.http.ext_authz.v3.ExtAuthz]}}, {name: x}]")
	f.Add("a: &a {b: *a}")
	f.Add(`{"name":"x","connect_timeout":"1s","load_assignment":{"endpoints":[{"lb_endpoints":[null,{}]}]}}`)
	f.Fuzz(func(t *testing.T, src string) {
		found, err := lint.File("envoy.yaml", []byte(src), &reads)
		if mistakes := (strictyaml.Mistakes{}); err != nil && !errors.As(err, &mistakes) && !errors.Is(err, lint.ErrNothing) {
			t.Fatalf("the error is a %T: %v", err, err)
		}
		lines := strings.Count(src, "\n") + 1
		for _, finding := range found {
			if finding.Line < 1 || finding.Line > lines || finding.Column < 1 || finding.Fix == "" || finding.Severity == "" {
				t.Errorf("%+v in a file of %d lines", finding, lines)
			}
		}
	})
}
