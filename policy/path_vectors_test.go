package policy_test

import (
	"testing"

	"github.com/latchkey/latchkey/policy"
)

// What Envoy 1.40 was seen to pass on, plain and with every normalization
// switched on, for paths that attackers send. Each must be refused, or be the
// plain path that the upstream gets too, and then mean its own endpoint.
func TestEnvoyVectors(t *testing.T) {
	p := compile(t, named, hasOrg, hasScopes, hasType,
		endpoints([]string{"* /v1/chat/**", "* /v1/members", "* /v1/members/**", "* /v1/other/{x}"}))
	const dirty = "not clean"
	for _, tc := range []struct {
		id       string
		path     string
		verbatim policy.Verbatim
		want     string // the route, "" for none, or dirty
	}{
		{"F1 plain", "//v1/members", raw, dirty},
		{"F1 plain", "/v1//members", raw, dirty},
		{"F1 merged", "/v1/members", rendered, "* /v1/members"},
		{"F2 plain", "/v1/chat/../members", raw, dirty},
		{"F2 plain", "/v1/chat/%2e%2e/members", raw, dirty},
		{"F2 plain", "/v1/chat/%2E%2E/members", raw, dirty},
		{"F2 plain", "/v1/chat/.%2e/members", raw, dirty},
		{"F2 normalized", "/v1/members", rendered, "* /v1/members"},
		{"F3 plain", "/v1/chat/..;/members", raw, dirty},
		{"F3 plain", "/v1/chat/..;a=b/members", raw, dirty},
		{"F3b plain", "/v1/chat/%2e%2e;/members", raw, dirty},
		{"F3b plain", "/v1/chat/.%2e;/members", raw, dirty},
		{"F3b plain", "/v1/chat/%2E.;/members", raw, dirty},
		{"F3b normalized", "/v1/chat/..;/members", rendered, dirty},
		{"F4", "/v1/chat%2f..%2fmembers", raw, dirty},
		{"F4", "/v1/chat%5c..%5cmembers", raw, dirty},
		{"F5 plain", `/v1/chat\..\members`, raw, dirty},
		{"F5 normalized", "/v1/members", rendered, "* /v1/members"},
		{"F6", "/v1/members#/../chat", raw, dirty},
		{"F7 rendered", "/v1/other/x!", rendered, dirty},
		{"F7 as sent", "/v1/other/x\xff", raw, dirty},
		{"F7 a real !", "/v1/other/x!", raw, "* /v1/other/{x}"},
		{"F7 encoded", "/v1/other/x%FF", rendered, dirty},
		{"F8", "/v1/members%00", raw, dirty},
		{"F8", "/v1/members\x00", raw, dirty},
		{"F9 plain", "/v1/%6dembers", raw, dirty},
		{"F9 plain", "/v1/members%7e", raw, dirty},
		{"F9 normalized", "/v1/members~", rendered, ""},
		{"F10", "/v1/chat/%252e%252e/members", raw, dirty},
		{"F10", "/v1/chat/%c0%ae%c0%ae/members", raw, dirty},
		{"F10", "/v1/chat/%u002e%u002e/members", raw, dirty},
		{"F10", "/v1/members%09", raw, dirty},
		{"F10", "/v1/members%0d%0a", raw, dirty},
		{"F10", "/v1/members%20", raw, dirty},
		{"F10", "/v1/members%zz", raw, dirty},
		{"F10", "/v1/members%", raw, dirty},
		{"F11 plain", `/v1/other/"`, raw, dirty},
		{"F11 plain", "/v1/other/<>", raw, dirty},
		{"F11 plain", "/v1/other/^`", raw, dirty},
		{"F11 plain", "/v1/other/{|}", raw, dirty},
		{"F11 normalized", "/v1/other/%22", rendered, dirty},
		{"F12", "/v1/members;x=1", raw, dirty},
		{"F12", "/v1/;/members", raw, dirty},
		{"F12", "/v1/members.", raw, ""},
		{"F12", "/V1/Members", raw, ""},
		{"F12", "/v1/members/", raw, ""},
		{"F13 absolute form", "/v1/other/x", raw, "* /v1/other/{x}"},
		{"F13 unparsed", "http://other/v1/members", raw, dirty},
		{"F14", "http://other?x=/v1", raw, dirty},
		{"F15", "v1/members", raw, dirty},
		{"F15", "*", raw, dirty},
		{"F15", "?x", raw, dirty},
		{"F15", "", raw, dirty},
	} {
		got := dirty
		if p.CleanPath(tc.path, tc.verbatim) {
			got = matched(p, "GET", tc.path)
		}
		if got != tc.want {
			t.Errorf("%s: %q: got %q, want %q", tc.id, tc.path, got, tc.want)
		}
	}
}
