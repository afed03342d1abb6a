package lint

import "slices"

// factRules are about what Latchkey has found out of a request, as it stands in Envoy's dynamic metadata: rate limits, access
// logs and others go by it.
var factRules = []Rule{
	{
		"metadata-forged", Error, "limits and logs take one caller for another",
		"a filter writes where Latchkey's facts stand; what it writes wins, or stays where Latchkey says nothing of it",
		"let it write into a namespace of its own",
	},
	{
		"metadata-ignored", Warning, "limits and logs know nothing of who is asking",
		"Envoy throws away the facts that come with each answer",
		"take enable_dynamic_metadata_ingestion out",
	},
	{
		"facts-too-early", Warning, "what goes by Latchkey's facts finds none, and lets requests be",
		"the facts are there once Latchkey was asked, which this filter doesn't wait for",
		"put the filter behind the ext_authz filter",
	},
}

// factsNamespace is where Envoy keeps what Latchkey tells it, whatever the filter is called.
const factsNamespace = "envoy.filters.http.ext_authz"

func lookAtFacts(l *linter) {
	for _, c := range l.survey.checks {
		if f := c.get("enable_dynamic_metadata_ingestion"); f.ok() && !f.isTrue() && f.get("value").text() != "true" {
			l.find("metadata-ignored", f, "enable_dynamic_metadata_ingestion is off")
		}
	}
	for _, m := range l.survey.managers {
		if m.guard < 0 {
			continue
		}
		l.lookAtForged(m.get("http_filters"))
		l.lookAtForged(m.get("upgrade_configs"))
		l.lookAtEarly(m)
	}
	for _, r := range l.survey.routes {
		for _, scope := range r.scopes() {
			l.lookAtForged(scope.get("typed_per_filter_config"))
		}
	}
}

// lookAtForged looks for filters that write into Latchkey's namespace.
func (l *linter) lookAtForged(filters node) {
	filters.within(func(field string, n node) bool {
		switch field {
		case "metadata_namespace":
			if n.text() == factsNamespace {
				l.find("metadata-forged", n, "a filter writes into "+n.text())
			}
		case "receiving_namespaces":
			n.within(func(_ string, n node) bool {
				if n.text() == factsNamespace {
					l.find("metadata-forged", n, "an external processor writes into "+n.text())
				}
				return true
			})
		}
		return true
	})
}

// lookAtEarly looks for filters before the check that read the facts, and for limits that count by them there.
func (l *linter) lookAtEarly(m *manager) {
	isLimiter := func(f filter) bool { return slices.Contains(limiters, f.kind) }
	for _, c := range m.chains() {
		for _, f := range c.before() {
			switch {
			case readsFacts(f.node):
				l.find("facts-too-early", f.node, "the filter "+f.kind+" reads "+factsNamespace+", and stands before ext_authz")
			case isLimiter(f) && !slices.ContainsFunc(c.after(), isLimiter):
				for _, r := range l.survey.routesOf(m) {
					for _, scope := range r.scopes() {
						if readsFacts(scope.get("rate_limits")) || readsFacts(scope.get("route", "rate_limits")) {
							l.find("facts-too-early", f.node, "the filter "+f.kind+" counts by "+factsNamespace+", and stands before ext_authz")
						}
					}
				}
			}
		}
	}
}

// readsFacts reports whether something goes by what stands in Latchkey's namespace.
func readsFacts(n node) bool {
	found := false
	n.within(func(field string, n node) bool {
		found = found || slices.Contains([]string{"filter", "key"}, field) && n.text() == factsNamespace
		return true
	})
	return found
}
