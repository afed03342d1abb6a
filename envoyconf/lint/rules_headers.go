package lint

import (
	"regexp"
	"strings"

	"github.com/latchkey/latchkey/envoyconf"
)

// headerRules are about which headers Envoy shows to Latchkey, and which it lets it change.
var headerRules = []Rule{
	{
		"headers-hidden", Error, "keys are refused, or tenants not verified",
		"Latchkey judges what Envoy shows it; what the policy reads and Envoy hides counts as absent, while the API may still get it",
		"add the header to allowed_headers, and take it out of disallowed_headers; `latchkey envoy config` prints the list for your policies",
	},
	{
		"identity-hidden", Warning, "clients can hand the API x-latchkey- headers of their own making",
		"Latchkey removes those that it sees, and always those that it knows; others of this prefix it must be shown",
		"add { prefix: x-latchkey- } to allowed_headers.patterns",
	},
	{
		"all-headers-shown", Note, "nothing; cookies and other secrets cross a socket that needs none of them",
		"without allowed_headers Envoy sends every header of every request along",
		"set allowed_headers to what the policies read: `latchkey envoy config` prints the list",
	},
	{
		"mutations-blocked", Error, "forged identity headers and the client's key reach the API",
		"Envoy drops in silence what decoder_header_mutation_rules don't let Latchkey set or remove",
		"let allow_expression match x-latchkey-.*, each header with a credential and each that names a tenant",
	},
	{
		"mutations-open", Warning, "whoever takes Latchkey's place can change path, method and host after the check",
		"without rules, or with wide ones, an answer may rewrite all of a request",
		"set decoder_header_mutation_rules with disallow_all: true and an allow_expression",
	},
}

func lookAtHeaders(l *linter) {
	for _, c := range l.survey.checks {
		allowed, disallowed := c.get("allowed_headers"), c.get("disallowed_headers")
		if !allowed.ok() {
			l.find("all-headers-shown", c.node, "there is no allowed_headers")
		}
		for _, name := range l.needed() {
			switch hidden := "headers-hidden"; {
			case matchesAny(disallowed, name, false):
				l.find(hidden, disallowed, "disallowed_headers hides "+name+" from Latchkey")
			case allowed.ok() && !matchesAny(allowed, name, true):
				l.find(hidden, allowed, "allowed_headers hides "+name+" from Latchkey")
			}
		}
		// A name that nobody lists, so that only the prefix shows it.
		if made := envoyconf.IdentityPrefix + "any-other"; allowed.ok() && !matchesAny(allowed, made, true) || matchesAny(disallowed, made, false) {
			at := allowed
			if !at.ok() {
				at = disallowed
			}
			l.find("identity-hidden", at, "headers that begin with "+envoyconf.IdentityPrefix+" are hidden from Latchkey")
		}
		l.lookAtMutations(c)
	}
}

// needed are the headers without which Latchkey judges otherwise. It reads method and host where they stand in the question
// anyway.
func (l *linter) needed() []string {
	var names []string
	for _, name := range l.reads.Headers() {
		if name != ":method" && name != ":authority" {
			names = append(names, name)
		}
	}
	return names
}

func (l *linter) lookAtMutations(c check) {
	rules := c.get("decoder_header_mutation_rules")
	if !rules.ok() {
		l.find("mutations-open", c.node, "there are no decoder_header_mutation_rules")
		return
	}
	if !rules.get("disallow_all").isTrue() {
		l.find("mutations-open", rules, "decoder_header_mutation_rules don't begin with disallow_all")
	}
	for _, name := range append([]string{envoyconf.IdentityPrefix + "key-id"}, append(l.reads.Credentials, l.reads.Tenants...)...) {
		if !mayChange(rules, name) {
			l.find("mutations-blocked", rules, "decoder_header_mutation_rules don't let Latchkey set or remove "+name)
			return
		}
	}
	for _, name := range []string{":path", ":method", "x-forwarded-for"} {
		if rules.get("disallow_all").isTrue() && mayChange(rules, name) {
			l.find("mutations-open", rules, "decoder_header_mutation_rules let Latchkey change "+name)
			return
		}
	}
}

// mayChange reports whether the rules of mutations permit a header, in Envoy's order.
func mayChange(rules node, name string) bool {
	if pattern := rules.get("disallow_expression", "regex"); pattern.ok() && whole(pattern.text(), name, false) {
		return false
	}
	if pattern := rules.get("allow_expression", "regex"); pattern.ok() && whole(pattern.text(), name, true) {
		return true
	}
	return !rules.get("disallow_all").isTrue()
}

// whole reports whether a pattern matches the whole of a name; unknown is the answer for a pattern that Go doesn't know.
func whole(pattern, name string, unknown bool) bool {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return unknown
	}
	return re.MatchString(name)
}

// matchesAny reports whether a ListStringMatcher has a pattern for a name; unknown is the answer of patterns of other kinds.
func matchesAny(list node, name string, unknown bool) bool {
	for _, p := range list.get("patterns").items() {
		if matches(p, name, unknown) {
			return true
		}
	}
	return false
}

func matches(p node, name string, unknown bool) bool {
	text := func(field string) string {
		if p.get("ignore_case").isTrue() {
			return strings.ToLower(p.get(field).text())
		}
		return p.get(field).text()
	}
	switch {
	case p.get("exact").ok():
		return text("exact") == name
	case p.get("prefix").ok():
		return strings.HasPrefix(name, text("prefix"))
	case p.get("suffix").ok():
		return strings.HasSuffix(name, text("suffix"))
	case p.get("contains").ok():
		return strings.Contains(name, text("contains"))
	case p.get("safe_regex").ok():
		return whole(p.get("safe_regex", "regex").text(), name, unknown)
	}
	return unknown
}
