package lint

import (
	"fmt"
	"slices"
	"strings"
)

// keyRules are about where a key goes besides Latchkey, and where one comes from besides the client.
var keyRules = []Rule{
	{
		"credential-copied", Error, "the client's key reaches the API, or logs, by another name",
		"Latchkey takes the key out of the header that holds it, and knows of no copy that was made before",
		"copy no header that holds a key; who is asking stands in the x-latchkey- headers",
	},
	{
		"credential-given", Error, "who has no key uses one of this Envoy's",
		"a filter in front of the check writes the header that holds the key, so that Latchkey judges that key in every request",
		"send the upstream's own credential from behind the ext_authz filter",
	},
	{
		"tapped", Error, "keys are where taps are kept, or sent",
		"a tap has requests as the client sent them, with all of their headers",
		"take the tap out once the search is over; behind the ext_authz filter it sees no keys",
	},
	{
		"counted-by-key", Warning, "limits are evaded with keys that don't exist, or limit nobody; keys go to the rate limit service",
		"in front of the check nothing is known of the key in the header; behind it the header is gone, and what isn't there isn't counted",
		"put the limit behind the ext_authz filter and count by metadata: { metadata_key: { key: envoy.filters.http.ext_authz, path: [{ key: key_id }] } }",
	},
}

func lookAtKeys(l *linter) {
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			continue
		}
		for _, early := range m.get("early_header_mutation_extensions").items() {
			l.lookAtWritten(early.get("typed_config", "mutations"))
		}
		for _, c := range m.chains() {
			l.lookAtKeysIn(c)
		}
	}
	for _, r := range l.survey.routes {
		for _, scope := range r.scopes() {
			for _, o := range scope.overrides() {
				if r.isBefore(o.name) {
					l.lookAtKeysBefore(filterOf(o.at, o.kind, o.settings))
				}
			}
		}
	}
	for _, listener := range l.survey.listeners {
		for _, chain := range chainsOf(listener) {
			if holdsCheck(chain) {
				l.lookAtTap(chain.get("transport_socket", "typed_config"), "connections of clients")
			}
		}
	}
	for _, cluster := range l.survey.clusters {
		if l.survey.asked[cluster.get("name").text()] {
			l.lookAtTap(cluster.get("transport_socket", "typed_config"), "the questions to Latchkey")
		}
	}
	for _, header := range l.survey.counts {
		if l.isCredential(header.text()) {
			l.find("counted-by-key", header, "requests are counted by the header "+header.text())
		}
	}
}

func (l *linter) lookAtKeysIn(c chain) {
	for _, outer := range c.before() {
		for _, f := range outer.parts() {
			l.lookAtKeysBefore(f)
			if f.kind == "tap" {
				l.lookAtTap(f.config, "requests, before they are asked about")
			}
		}
	}
}

// lookAtKeysBefore looks at a filter that sees the key, because nobody has taken it out yet.
func (l *linter) lookAtKeysBefore(f filter) {
	switch f.kind {
	case "header_mutation":
		l.lookAtWritten(f.config.get("mutations", "request_mutations"))
	case "credential_injector":
		config := f.config.get("credential", "typed_config")
		name := config.get("header")
		if text := name.text(); slices.Contains(l.reads.Credentials, strings.ToLower(text)) || text == "" && slices.Contains(l.reads.Credentials, "authorization") {
			l.find("credential-given", f.node, "the filter credential_injector stands before ext_authz")
		}
	case "header_to_metadata":
		for _, rule := range f.config.get("request_rules").items() {
			if name := rule.get("header"); l.isCredential(name.text()) {
				l.find("credential-copied", name, "the header "+name.text()+" becomes metadata")
			}
		}
	case "set_filter_state":
		l.lookAtFormats(f.config, "credential-copied")
	}
}

// lookAtWritten looks at mutations of headers before the check.
func (l *linter) lookAtWritten(mutations node) {
	for _, mutation := range mutations.items() {
		header := mutation.get("append", "header")
		name, value := strings.ToLower(header.get("key").text()), header.get("value")
		switch declared := slices.Contains(l.reads.Credentials, name); {
		case declared && !strings.Contains(value.text(), "%"):
			l.find("credential-given", header, "the header "+name+" is written before ext_authz")
		case !declared:
			for _, told := range l.told(value.text()) {
				if told.credential {
					l.find("credential-copied", value, fmt.Sprintf("%s is copied to the header %s", told.operator, name))
				}
			}
		}
	}
}

// lookAtTap looks at what may be the settings of a tap. One that waits for the admin interface shows nothing to others.
func (l *linter) lookAtTap(tap node, what string) {
	if !tap.is("Tap") {
		return
	}
	severity := Error
	if tap.get("common_config", "admin_config").ok() {
		severity = Warning
	}
	l.findAs("tapped", severity, tap, "there is a tap of "+what)
}
