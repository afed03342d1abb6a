package lint

import (
	"slices"
	"strings"
)

// replyRules are about what becomes of Latchkey's refusals on their way to the client.
var replyRules = []Rule{{
	"replies-changed", Warning, "clients take a refusal for something else",
	"Envoy puts another status, or another body, in the place of what the policy says",
	"leave 401, 403 and 503 alone in local_reply_config and custom_response, or answer alike: the policy's replies say what clients get",
}}

// refusals are the statuses with which Latchkey refuses.
var refusals = []float64{401, 403, 503}

func lookAtReplies(l *linter) {
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			continue
		}
		replies := m.get("local_reply_config")
		if f := replies.get("body_format"); f.ok() {
			l.findAs("replies-changed", Note, f, "bodies of all refusals are written anew")
		}
		for _, mapper := range replies.get("mappers").items() {
			if !meansRefusals(mapper.get("filter")) {
				continue
			}
			if f := mapper.get("status_code"); f.ok() {
				l.find("replies-changed", f, "refusals are answered with the status "+f.text()+f.get("value").text())
				continue
			}
			for _, name := range []string{"body", "body_format_override"} {
				if f := mapper.get(name); f.ok() {
					l.findAs("replies-changed", Note, f, "bodies of refusals are written anew")
				}
			}
		}
		for _, c := range m.chains() {
			for _, outer := range c.filters {
				for _, f := range outer.parts() {
					if f.kind == "custom_response" {
						l.findAs("replies-changed", Note, f.node, "the filter custom_response may answer in Latchkey's place")
					}
				}
			}
		}
	}
}

// meansRefusals reports whether a filter of responses lets through some that Latchkey has made; what isn't known here is taken to
// be true of all.
func meansRefusals(filter node) bool {
	if !filter.ok() {
		return false
	}
	for name, f := range filter.members() {
		switch snake(name) {
		case "status_code_filter":
			return slices.ContainsFunc(refusals, func(status float64) bool { return compares(f.get("comparison"), status) })
		case "response_flag_filter":
			flags := f.get("flags").items()
			return len(flags) == 0 || slices.ContainsFunc(flags, func(f node) bool { return f.text() == "UAEX" })
		case "and_filter":
			return !slices.ContainsFunc(f.get("filters").items(), func(n node) bool { return !meansRefusals(n) })
		case "or_filter":
			return slices.ContainsFunc(f.get("filters").items(), meansRefusals)
		case "duration_filter", "grpc_status_filter", "log_type_filter":
			return false
		}
	}
	return true
}

// compares reports whether a comparison holds for a status.
func compares(comparison node, status float64) bool {
	with, ok := comparison.get("value", "default_value").number()
	if !ok {
		return true
	}
	switch strings.ToUpper(comparison.get("op").text()) {
	case "GE":
		return status >= with
	case "LE":
		return status <= with
	case "NE":
		return status != with
	}
	return status == with
}
