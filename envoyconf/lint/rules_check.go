package lint

import (
	"fmt"
	"time"
)

// checkRules are about the ext_authz filter itself: when it asks, and what it makes of no answer.
var checkRules = []Rule{
	{
		"failure-mode-allow", Error, "every request passes while Latchkey doesn't answer",
		"a crash, a full queue or a slow moment opens the API, without a key; whoever can cause load can cause that",
		"set failure_mode_allow: false",
	},
	{
		"shadow-mode", Error, "refused requests pass",
		"in shadow mode the filter asks, counts the refusal, and lets the request through",
		"take shadow_mode out once the trial is over",
	},
	{
		"partly-enabled", Error, "some requests are not asked about",
		"a fraction, a runtime key or metadata decides whether the filter asks at all",
		"take filter_enabled and filter_enabled_metadata out: which paths are public is said in the policy",
	},
	{
		"conditional-check", Error, "requests that a condition leaves out are not asked about",
		"a filter that is disabled, optional or wrapped in a matcher asks only where something else switches it on",
		"put the ext_authz filter into http_filters by itself, neither disabled nor optional",
	},
	{
		"not-grpc", Error, "no check can succeed",
		"Latchkey speaks Envoy's gRPC protocol and no other",
		"set grpc_service with envoy_grpc, and take http_service out",
	},
	{
		"status-on-error", Warning, "an outage looks like a refusal",
		"without an answer Envoy says 403, which clients take for a key that lacks something; they should try again",
		"set status_on_error: { code: ServiceUnavailable }",
	},
	{
		"check-timeout", Warning, "a Latchkey that hangs holds every request",
		"it answers from memory; requests that wait longer than a moment only fill Envoy",
		"set grpc_service.timeout to 0.5s",
	},
	{
		"validate-mutations", Warning, "an answer with a line break in a header splits the response",
		"Envoy writes headers of the answer as they are, unless it is told to look at them",
		"set validate_mutations: true",
	},
	{
		"raw-headers", Warning, "Latchkey and the API see different bytes",
		"Envoy shows `!` for each byte that isn't UTF-8, and passes on the byte; doubled headers arrive as one joined value",
		"set encode_raw_headers: true",
	},
	{
		"body-sent", Warning, "strangers fill Envoy's memory before they are asked for a key",
		"Latchkey reads no body, and Envoy holds it back until the answer is there",
		"take with_request_body out",
	},
	{
		"route-cache-cleared", Warning, "a request may take another route than it was checked for",
		"after the answer the route is chosen anew, by headers that the answer has changed",
		"set clear_route_cache: false",
	},
	{
		"check-unseen", Note, "nothing that is known",
		"the settings of the filter come from a control plane",
		"look at Envoy's /config_dump, which has the settings that it uses",
	},
}

// maxCheckTime is longer than any check needs, in a process that is well.
const maxCheckTime = time.Second

func lookAtChecks(l *linter) {
	for _, c := range l.survey.checks {
		if f := c.get("failure_mode_allow"); f.isTrue() {
			l.find("failure-mode-allow", f, "failure_mode_allow is on")
		}
		if f := c.get("shadow_mode"); f.isTrue() {
			l.find("shadow-mode", f, "shadow_mode is on")
		}
		if !c.get("deny_at_disable", "default_value").isTrue() {
			if f := c.get("filter_enabled_metadata"); f.ok() {
				l.find("partly-enabled", f, "filter_enabled_metadata decides which requests are asked about")
			}
			l.lookAtFraction(c.get("filter_enabled"))
		}
		l.lookAtService(c)
		if code := c.get("status_on_error", "code").text(); code != "ServiceUnavailable" && code != "503" {
			at := c.get("status_on_error")
			if !at.ok() {
				at = c.node
			}
			l.find("status-on-error", at, "an outage isn't answered 503")
		}
		if !c.get("validate_mutations").isTrue() {
			l.find("validate-mutations", c.node, "validate_mutations is off")
		}
		if !c.get("encode_raw_headers").isTrue() {
			l.find("raw-headers", c.node, "encode_raw_headers is off")
		}
		if f := c.get("with_request_body"); f.ok() {
			l.find("body-sent", f, "bodies are sent along")
		}
		if f := c.get("clear_route_cache"); f.isTrue() {
			l.find("route-cache-cleared", f, "clear_route_cache is on")
		}
		if f := c.get("clear_route_cache_headers"); len(f.items()) > 0 {
			l.find("route-cache-cleared", f, "clear_route_cache_headers has the route chosen anew")
		}
	}
	for _, m := range l.survey.managers {
		for _, c := range m.chains() {
			l.lookAtCondition(c.filters[c.guard])
		}
	}
}

// denominators are the wholes of Envoy's fractions.
var denominators = map[string]float64{"": 100, "HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}

// lookAtFraction: all requests are asked about, and nobody can change that while Envoy runs.
func (l *linter) lookAtFraction(f node) {
	if !f.ok() {
		return
	}
	share, _ := f.get("default_value", "numerator").number()
	key := f.get("runtime_key").text()
	switch all := share > 0 && share >= denominators[f.get("default_value", "denominator").text()]; {
	case !all:
		l.find("partly-enabled", f, "filter_enabled decides which requests are asked about")
	case key != "":
		l.findAs("partly-enabled", Warning, f, "the runtime key "+key+" decides which requests are asked about: all, until somebody sets it")
	}
}

func (l *linter) lookAtService(c check) {
	if f := c.get("http_service"); f.ok() {
		l.find("not-grpc", f, "the filter asks over http_service")
		return
	}
	service := c.get("grpc_service")
	if !service.ok() {
		l.find("not-grpc", c.node, "the filter has no grpc_service")
		return
	}
	timeout := service.get("timeout")
	if d, ok := timeout.duration(); ok && (d <= 0 || d > maxCheckTime) {
		l.find("check-timeout", timeout, fmt.Sprintf("a check may take %s", timeout.text()))
	}
}

// lookAtCondition: the filter stands in http_filters by itself, whatever else is the case.
func (l *linter) lookAtCondition(f filter) {
	for _, name := range []string{"disabled", "is_optional"} {
		if flag := f.get(name); flag.isTrue() {
			l.find("conditional-check", flag, "the ext_authz filter is "+map[string]string{"disabled": "disabled until a route enables it", "is_optional": "left out where Envoy can't load it"}[name])
		}
	}
	if later := f.get("config_discovery"); later.ok() {
		l.find("check-unseen", later, "the ext_authz filter comes by config_discovery")
	}
	if config := f.get("typed_config"); config.ok() && !config.is("ExtAuthz") {
		name, _ := config.typed()
		l.find("conditional-check", config, "the ext_authz filter is wrapped in "+name)
	}
}
